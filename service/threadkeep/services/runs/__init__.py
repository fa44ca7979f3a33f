"""Runs: how an agent answers on a thread, and how one holder at a time is made sure of.

To be read in this order: `scribe`, which writes the events of one run; `transactions`, in which
it does that under the lock of the thread; `starts`, `holders` and `leases`, which begin, continue
and hand out a run in such transactions; `waiting`, the claims that wait for work; and `runs`, the
front of it all. Others import `Runs` alone.
"""

from __future__ import annotations

from threadkeep.services.runs.runs import Runs

__all__ = ["Runs"]
