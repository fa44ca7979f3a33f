"""User tokens: JWTs that a tenant's issuer signs for one of its users."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Final

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from threadkeep.domain import scopes
from threadkeep.domain.principals import Principal, check_owner
from threadkeep.errors import InvalidRequest, NotAuthenticated, Unavailable
from threadkeep.logs import get_logger
from threadkeep.services.access.key_sets import KeySets
from threadkeep.services.access.recent import Recent
from threadkeep.services.access.sealing import Sealer
from threadkeep.storage import credentials
from threadkeep.storage.credentials import IssuerRecord
from threadkeep.storage.database import Database

_log = get_logger(__name__)

TOKEN_CHARACTERS: Final = 8192
"""Longest token; headers of that size pass every proxy."""
SKEW_SECONDS: Final = 5.0
"""By how much an issuer's clock may be ahead; `exp` gets no such grace."""
RSA_BITS: Final = 2048
"""Shortest RSA key."""
_NAME = Annotated[str, msgspec.Meta(max_length=255)]


class _Header(msgspec.Struct):
    alg: str
    kid: _NAME = ""


class _Unverified(msgspec.Struct):
    iss: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class _Claims(msgspec.Struct):
    sub: str
    exp: float
    iat: float | None = None
    nbf: float | None = None
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class _Parsed:
    issuer: str
    key_id: str
    algorithm: str


class UserTokens:
    """Verifies tokens by the key that (issuer, key id) names.

    Every fault is `NotAuthenticated` and says nothing more; only a key that cannot be had is
    `Unavailable`.
    """

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        key_sets: KeySets,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._key_sets = key_sets
        self._clock = clock
        self._issuers: Recent[tuple[str, str], IssuerRecord | None] = Recent()

    async def verify(self, token: str) -> Principal:
        """The user whom a token names."""
        parsed = _parse(token)
        key = (parsed.issuer, parsed.key_id)
        record = await self._issuers.get(key, lambda: credentials.find_issuer(self._database, *key))
        if record is None or parsed.algorithm != record.algorithm:
            raise NotAuthenticated
        verifier = await self._verifier(record, parsed.key_id)
        return self._principal(record, _verified(token, verifier, record))

    async def _verifier(self, record: IssuerRecord, key_id: str) -> Any:
        if record.sealed_secret is not None:
            return self._sealer.unseal(record.sealed_secret, tenant=record.tenant, row=record.id)
        if record.public_key is not None:
            return public_key(record.public_key, record.algorithm)
        if record.jwks_url is None:
            raise Unavailable("The token's issuer has no key.")
        found = await self._key_sets.find(record.jwks_url, key_id, record.algorithm)
        if found is None or not _is_strong(found, record.algorithm):
            raise NotAuthenticated
        return found

    def _principal(self, record: IssuerRecord, claims: _Claims) -> Principal:
        latest = self._clock() + SKEW_SECONDS
        if (claims.nbf or 0.0) > latest or (claims.iat or 0.0) > latest:
            raise NotAuthenticated
        try:
            owner = check_owner(claims.sub, field="sub")
            expires_at = datetime.fromtimestamp(claims.exp, UTC)
            # A token that does not say when it was issued is taken for the oldest.
            issued_at = datetime.fromtimestamp(claims.iat or 0.0, UTC)
        except (InvalidRequest, ValueError, OverflowError, OSError) as exc:
            raise NotAuthenticated from exc
        return Principal(
            tenant=record.tenant,
            owner=owner,
            actor=f"user:{owner}",
            scopes=scopes.parse_user_scopes(claims.scope),
            limits=record.limits,
            expires_at=expires_at,
            key_id=record.id,
            issued_at=issued_at,
        )


def public_key(pem: str, algorithm: str) -> Any:
    """A PEM's public key; `InvalidRequest` when it does not fit the algorithm or is too short."""
    found = _load_public_key(pem)
    if found is None or not _is_strong(found, algorithm):
        raise InvalidRequest(f"This is no public key for {algorithm}.", field="public_key")
    return found


@lru_cache(maxsize=1000)
def _load_public_key(pem: str) -> Any | None:
    try:
        return load_pem_public_key(pem.encode())
    except (ValueError, TypeError):
        return None


def _is_strong(key: Any, algorithm: str) -> bool:
    if algorithm == "RS256":
        return isinstance(key, RSAPublicKey) and key.key_size >= RSA_BITS
    is_curve = isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    return algorithm == "ES256" and is_curve


def _parse(token: str) -> _Parsed:
    """What names the key; nothing of it is believed before the signature is verified."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > TOKEN_CHARACTERS:
        raise NotAuthenticated
    try:
        header = msgspec.json.decode(_decoded(parts[0]), type=_Header)
        unverified = msgspec.json.decode(_decoded(parts[1]), type=_Unverified)
    except (ValueError, RecursionError) as exc:
        raise NotAuthenticated from exc
    if "\0" in unverified.iss or "\0" in header.kid:
        raise NotAuthenticated  # PostgreSQL's text holds none
    return _Parsed(unverified.iss, header.kid, header.alg)


def _decoded(part: str) -> bytes:
    return base64.b64decode(part.encode("ascii") + b"=" * (-len(part) % 4), b"-_", validate=True)


def _verified(token: str, verifier: Any, record: IssuerRecord) -> _Claims:
    try:
        payload = jwt.decode(
            token,
            verifier,
            algorithms=[record.algorithm],
            issuer=record.issuer,
            audience=record.audience,
            options={
                "require": ["exp", "sub", "iss", "aud"],
                # With a grace for clocks, checked afterwards.
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
        return msgspec.convert(payload, _Claims)
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as exc:
        _log.info("token.refused", issuer_row=record.id, reason=type(exc).__name__)
        raise NotAuthenticated from exc
