"""Builds what has changed, and says where it is."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import archives, engines, sources
from .commands import BuildError, Step
from .orders import Engine, Order
from .places import CACHE, LOGS, locked
from .recipes import RECIPES, ROOT, Recipe

NAMES: Final = tuple(recipe.name for recipe in RECIPES)
LIST: Final = ROOT / ".threadkeep" / "images.json"
"""The name of each image by digest, for whoever installs the chart from this checkout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One that is there."""

    name: str
    references: tuple[str, ...]
    """By digest first, then by version."""
    archive: Path
    """In Docker's format, uncompressed, with all references in it."""


def build(only: Collection[str] = (), *, fresh: bool = False) -> list[Image]:
    """Build the images named by `only`, or all; those that are there already take no time.

    `fresh` takes new base images, which carry Debian's security updates, and so makes new digests.
    Raises `BuildError`.
    """
    if unknown := set(only) - set(NAMES):
        raise BuildError(f"There is no image {', '.join(sorted(unknown))}; {', '.join(NAMES)} are.")
    chosen = [recipe for recipe in RECIPES if not only or recipe.name in only]
    engine = engines.find()
    images = None if fresh else _find(chosen, engine)
    if images is None:
        with locked():
            stamp = engine.base_stamp(fresh=fresh)
            images = [_build(recipe, engine, stamp) for recipe in chosen]
            for image in images:
                archives.prune(CACHE, image.name)
    _list(images)
    return images


def _find(chosen: Collection[Recipe], engine: Engine) -> list[Image] | None:
    """What is there, without waiting for others who build; None when something is missing."""
    stamp = engine.known_stamp()
    if stamp is None:
        return None
    images = [_image(recipe, recipe.content(stamp)) for recipe in chosen]
    try:
        for image in images:
            # Used now: `prune` keeps it.
            os.utime(image.archive)
    except FileNotFoundError:
        return None
    return images


def _image(recipe: Recipe, content: str) -> Image:
    archive = CACHE / f"{recipe.name}-sha-{content}.tar"
    return Image(name=recipe.name, references=recipe.references(content), archive=archive)


def _build(recipe: Recipe, engine: Engine, stamp: str) -> Image:
    content = recipe.content(stamp)
    image = _image(recipe, content)
    if image.archive.exists():
        os.utime(image.archive)
    else:
        step = Step(f"building {image.references[0]}")
        _make(recipe, engine, content, image.archive)
        step.done(f"{image.archive.stat().st_size / 1e6:.0f} MB")
    return image


def _make(recipe: Recipe, engine: Engine, content: str, archive: Path) -> None:
    log = LOGS / f"{recipe.name}.log"
    log.unlink(missing_ok=True)
    unfinished = archive.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        context, secrets = Path(folder) / "context", Path(folder) / "secrets"
        secrets.mkdir()
        recipe.stage(context)
        order = Order(
            context=context,
            containerfile=recipe.containerfile,
            target=recipe.target,
            base=recipe.base,
            references=recipe.references(content),
            labels={
                "org.opencontainers.image.version": recipe.version(context),
                "dev.threadkeep.content": content,
            },
            secrets=sources.write_secrets(secrets),
            log=log,
        )
        engine.build(order, unfinished)
    unfinished.replace(archive)


def _list(images: list[Image]) -> None:
    known: dict[str, str] = {}
    if LIST.exists():
        known = json.loads(LIST.read_text("utf-8"))
    known |= {image.name: image.references[0] for image in images}
    LIST.parent.mkdir(exist_ok=True)
    LIST.write_text(json.dumps(known, indent=2) + "\n", "utf-8")
