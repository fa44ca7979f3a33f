"""The report of all scenarios: a pytest plugin, what it collects, and how it is written."""
