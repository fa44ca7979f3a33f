"""`python -m tests.cluster.images build [--only NAME] [--fresh]`."""

from __future__ import annotations

import argparse
import sys

from .build import NAMES, build
from .commands import BuildError


def main() -> int:
    """Build, and print what there is."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.images")
    command = parser.add_subparsers(required=True).add_parser("build", help="build what changed")
    command.add_argument("--only", action="append", default=[], choices=NAMES)
    command.add_argument("--fresh", action="store_true", help="take new base images")
    options = parser.parse_args()
    try:
        images = build(options.only, fresh=options.fresh)
    except BuildError as exc:
        print(exc, file=sys.stderr)
        return 1
    for image in images:
        print(f"{' '.join(image.references)}  {image.archive.stat().st_size / 1e6:.0f} MB")
    return 0


sys.exit(main())
