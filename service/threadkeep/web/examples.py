"""Examples of what callers send, for the description of the API; a test decodes each of them."""

from __future__ import annotations

from typing import Any, Final

EXAMPLES: Final[dict[Any, Any]] = {}
"""Struct → JSON value."""
