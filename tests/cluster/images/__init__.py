"""Builds the images from the Containerfiles that everybody uses, with or without a registry.

`python -m tests.cluster.images build` makes docker-archives in `~/.cache/threadkeep/images` and
names them in `.threadkeep/images.json`; `images.build.build()` does the same and returns them.
"""
