"""`make bench`: the service as users run it, beside references of the same minutes."""
