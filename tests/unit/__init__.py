"""Tests of rules and formats; nothing but the processor."""
