"""Use cases: one public method is one use case and one transaction."""
