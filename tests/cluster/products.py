"""The product's images, brought to the nodes of a cluster."""

from __future__ import annotations

from collections.abc import Callable

from .access import Cluster
from .images.build import Image, build

Say = Callable[[str], None]


def load(cluster: Cluster, say: Say) -> list[Image]:
    """Build what changed and load it; on a cluster that pulls its images there is nothing to do."""
    images = build()
    if cluster.load is not None:
        for each in images:
            say(f"Loading {each.references[0]} ...")
            cluster.load(each.archive, each.references)
    return images
