"""Secrets that the service itself must read again, encrypted before they are stored."""

from __future__ import annotations

import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from threadkeep.errors import Unavailable
from threadkeep.logs import get_logger

_log = get_logger(__name__)

_VERSION: Final = b"\x01"
"""Leads every sealed secret, so that the scheme can change."""
_NONCE_BYTES: Final = 12
_PURPOSE: Final = b"threadkeep issuer secrets 1"


class Sealer:
    """AES-256-GCM under a key derived from the platform key.

    A sealed secret belongs to one row: it opens only with that row's tenant and id.
    """

    def __init__(self, platform_key: str) -> None:
        self._cipher: AESGCM | None = None
        if platform_key:
            derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE)
            self._cipher = AESGCM(derive.derive(platform_key.encode()))

    def seal(self, secret: bytes, *, tenant: str, row: str) -> bytes:
        """Encrypt; `Unavailable` when there is no platform key."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._get_cipher().encrypt(nonce, secret, _bound_to(tenant, row))
        return _VERSION + nonce + sealed

    def unseal(self, sealed: bytes, *, tenant: str, row: str) -> bytes:
        """Decrypt; `Unavailable` when that cannot be done with this platform key."""
        nonce, rest = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._get_cipher().decrypt(nonce, rest, _bound_to(tenant, row))
        except (InvalidTag, ValueError) as exc:
            _log.error("secret.unsealable", tenant=tenant, issuer_row=row)
            raise Unavailable("A secret was sealed with another platform key.") from exc

    def _get_cipher(self) -> AESGCM:
        if self._cipher is None:
            raise Unavailable("Secrets need THREADKEEP_PLATFORM_KEY, which is not set.")
        return self._cipher


def _bound_to(tenant: str, row: str) -> bytes:
    return f"{tenant}:{row}".encode()
