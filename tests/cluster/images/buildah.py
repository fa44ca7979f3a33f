"""buildah without a registry: the base images are made from Debian's packages."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Final

from . import archives, sources
from .commands import Step, answer, run
from .orders import Order
from .places import CACHE, LOGS
from .recipes import BaseName

_FOLDER: Final = Path(__file__).parent
_STORAGE: Final = CACHE / "storage"
_RUN: Final = "/run/threadkeep-images"
_MOST_BYTES: Final = 6 << 30
"""Of the storage; more is old layers, and everything in it can be made again."""
_BUILDAH: Final = ("buildah", "--root", str(_STORAGE), "--runroot", _RUN)
_BUILD: Final = (*_BUILDAH, "build", "--isolation", "chroot", "--network", "host", "--layers")


class Buildah:
    """Builds in a change of root, so it needs no daemon, no registry and no namespaces."""

    def __init__(self) -> None:
        self._tree = CACHE / f"{sources.SUITE}.tar"
        self._stamp = CACHE / f"{sources.SUITE}.stamp"

    def known_stamp(self) -> str | None:
        """The digest of the tree of Debian that was made last."""
        if self._tree.exists() and self._stamp.exists():
            return self._stamp.read_text("utf-8")
        return None

    def base_stamp(self, *, fresh: bool) -> str:
        """The same, of a new tree where there is none."""
        if fresh or self.known_stamp() is None:
            self._make_tree()
        return self._stamp.read_text("utf-8")

    def build(self, order: Order, archive: Path) -> None:
        """Build, and write the archive."""
        # Left by builds that were killed; nobody else builds now.
        answer(*_BUILDAH, "rm", "--all")
        _limit_storage()
        base = self._base(order.base)
        run([*_BUILD, *order.options(base), order.context], order.log)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            raw = Path(folder) / "raw.tar"
            run(
                [*_BUILDAH, "push", order.references[0], f"docker-archive:{raw}"],
                order.log,
            )
            archives.give_names(raw, archive, order.references)

    def _make_tree(self) -> None:
        step = Step(f"making Debian {sources.SUITE} from packages")
        unfinished = self._tree.with_suffix(".unfinished.tar")
        unfinished.unlink(missing_ok=True)
        options = [f"--aptopt={line}" for line in sources.apt_settings().splitlines()]
        run(
            [
                *("mmdebstrap", "--variant=apt", "--include=ca-certificates", *options),
                # This machine's name and name server are nobody's business.
                '--customize-hook=rm -f "$1"/etc/resolv.conf "$1"/etc/hostname',
                *(sources.SUITE, str(unfinished), *sources.debian_sources()),
            ],
            LOGS / "bases.log",
        )
        with unfinished.open("rb") as tree:
            stamp = hashlib.file_digest(tree, "sha256").hexdigest()[:12]
        self._stamp.write_text(stamp, "utf-8")
        unfinished.replace(self._tree)
        step.done(f"{self._tree.stat().st_size / 1e6:.0f} MB")

    def _base(self, name: BaseName) -> str:
        stamp = self.base_stamp(fresh=False)
        reference = f"localhost/threadkeep-base/{name}:{stamp}"
        if answer(*_BUILDAH, "inspect", "--type", "image", reference) is not None:
            return reference
        below = [] if name == "debian" else ["--build-arg", f"BASE={self._base('debian')}"]
        step = Step(f"making the base image {name}")
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            context = Path(folder)
            secret = context / "apt.conf"
            secret.write_text(sources.apt_settings(), "utf-8")
            if name == "debian":
                (context / "tree.tar").hardlink_to(self._tree)
            file = _FOLDER / f"{name}.Containerfile"
            words = ["--secret", f"id=apt,src={secret}", "--tag", reference, "--file", str(file)]
            run([*_BUILD, *words, *below, context], LOGS / "bases.log")
        step.done()
        return reference


def _limit_storage() -> None:
    size = answer("du", "--summarize", "--bytes", "--one-file-system", _STORAGE)
    if size is not None and int(size.split()[0]) > _MOST_BYTES:
        answer(*_BUILDAH, "rmi", "--all", "--force", seconds=300)
        shutil.rmtree(_STORAGE, ignore_errors=True)
