"""The tests: `unit`, `integration`, `scenarios`; what they run against comes from `support`."""
