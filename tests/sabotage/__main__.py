"""`python -m tests.sabotage NAME serve …`: the command `threadkeep`, with one mechanism broken."""

from __future__ import annotations

import importlib
import pkgutil
import sys

from threadkeep.cli import main

from . import mechanisms
from .mechanisms import BREAKS

for module in pkgutil.iter_modules(mechanisms.__path__):
    importlib.import_module(f"{mechanisms.__name__}.{module.name}")
name = sys.argv.pop(1)
if name not in BREAKS:
    sys.exit(f"there is no sabotage {name}; known are {', '.join(sorted(BREAKS))}")
BREAKS[name]()
main()
