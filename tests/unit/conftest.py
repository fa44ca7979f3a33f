"""How examples are made for tests of rules."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# How long an example takes says something about the machine only; each test has a time limit.
settings.register_profile("rules", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rules")
