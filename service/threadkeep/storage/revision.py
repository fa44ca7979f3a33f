"""What the service needs of its database, apart from the tools that migrate it.

Those take 29 MB of memory and a third of the time that the service needs to start.
"""

from __future__ import annotations

HEAD = "0001"
"""The revision this version of the service works with."""

MINIMUM_VERSION = 170000
"""PostgreSQL 17; older ones are refused."""
