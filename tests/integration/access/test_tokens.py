from __future__ import annotations

import asyncio
import base64
import json
import time
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.postgres import one_value
from tests.support.waiting import until
from threadkeep.domain import scopes
from threadkeep.domain.configuration import NewIssuer
from threadkeep.errors import Forbidden, InvalidRequest, NotAuthenticated, Unavailable
from threadkeep.services.access.sealing import Sealer
from threadkeep.services.access.tokens import UserTokens
from threadkeep.services.windows import PageRequest

from .conftest import Access

SECRET = "s" * 40
URL = "https://issuer.example/jwks.json"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
WEAK = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to see that it is refused
EC = ec.generate_private_key(ec.SECP256R1())


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    given = {"iss": "acme", "aud": "chat", "sub": "ann", "iat": now, "exp": now + 60} | changes
    return {name: value for name, value in given.items() if value is not None}


def signed(key: Any = SECRET, algorithm: str = "HS256", kid: str = "k1", **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers={"kid": kid})


def pem(key: Any) -> str:
    encoded: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return encoded.decode()


def jwks(**keys: Any) -> bytes:
    algorithms = {
        kid: jwt.algorithms.RSAAlgorithm
        if isinstance(key, rsa.RSAPrivateKey)
        else jwt.algorithms.ECAlgorithm
        for kid, key in keys.items()
    }
    documents = [
        algorithms[kid].to_jwk(key.public_key(), as_dict=True) | {"kid": kid}
        for kid, key in keys.items()
    ]
    return json.dumps({"keys": documents}).encode()


async def register(access: Access, tenant: str, **changes: Any) -> str:
    given = {"issuer": "acme", "audience": "chat", "algorithm": "HS256", "key_id": "k1"} | changes
    if given["algorithm"] == "HS256":
        given.setdefault("secret", SECRET)
    issuer, _ = await access.tenants.issuers.create(tenant, NewIssuer(**given), actor="test")
    return issuer.id


async def is_refused(access: Access, token: str) -> bool:
    try:
        await access.credentials.authenticate(token, None)
    except NotAuthenticated:
        return True
    return False


async def test_a_token_is_one_user_of_the_issuers_tenant(access: Access) -> None:
    tenant = await access.tenant()
    issuer = await register(access, tenant)
    token = signed()

    principal = await access.credentials.authenticate(token, None)

    given = jwt.decode(token, options={"verify_signature": False})
    assert (principal.tenant, principal.owner, principal.actor) == (tenant, "ann", "user:ann")
    assert principal.scopes == scopes.USER_SCOPES
    assert principal.expires_at == datetime.fromtimestamp(given["exp"], UTC)
    assert principal.issued_at == datetime.fromtimestamp(given["iat"], UTC)
    assert principal.key_id == issuer


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("expired", {"exp": int(time.time()) - 1}),
        ("without exp", {"exp": None}),
        ("exp is no number", {"exp": "tomorrow"}),
        ("exp is beyond time", {"exp": 10**18}),
        ("exp is infinite", {"exp": float("inf")}),
        ("not yet valid", {"nbf": int(time.time()) + 86_400}),
        ("issued in the future", {"iat": int(time.time()) + 86_400}),
        ("another audience", {"aud": "other"}),
        ("without audience", {"aud": None}),
        ("another issuer", {"iss": "evil"}),
        ("without issuer", {"iss": None}),
        ("issuer with NUL", {"iss": "acme\0"}),
        ("without sub", {"sub": None}),
        ("empty sub", {"sub": ""}),
        ("long sub", {"sub": "a" * 256}),
        ("sub with NUL", {"sub": "a\0"}),
        ("sub is a number", {"sub": 7}),
        ("scope is a list", {"scope": ["threads:read"]}),
    ],
)
async def test_tokens_with_wrong_claims_are_refused(
    access: Access, name: str, changes: dict[str, Any]
) -> None:
    await register(access, await access.tenant())
    good, bad = signed(), forged({"alg": "HS256", "kid": "k1"}, claims(**changes), SECRET)
    await access.credentials.authenticate(good, None)

    with pytest.raises(NotAuthenticated) as refusal:
        await access.credentials.authenticate(bad, None)
    assert str(refusal.value) == "Valid credentials are required."


def forged(header: dict[str, Any], payload: dict[str, Any], key: str) -> str:
    """A token signed by hand, for what a library refuses to sign."""
    parts = [encoded(json.dumps(part).encode()) for part in (header, payload)]
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return ".".join([*parts, encoded(mac.sign(".".join(parts).encode(), key.encode()))])


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


async def test_forged_tokens_are_refused(access: Access) -> None:
    tenant, other = await access.tenant(), await access.tenant()
    await register(access, tenant)
    await register(access, tenant, algorithm="RS256", key_id="r1", public_key=pem(RSA))
    await register(access, tenant, algorithm="ES256", key_id="e1", public_key=pem(EC))
    await register(access, other, issuer="other", secret="o" * 40)
    head, body, signature = signed().split(".")
    tokens = {
        "alg none": forged({"alg": "none", "kid": "k1"}, claims(), SECRET).rpartition(".")[0] + ".",
        "alg none, signed": forged({"alg": "none", "kid": "k1"}, claims(), SECRET),
        "the public key as a secret": forged({"alg": "HS256", "kid": "r1"}, claims(), pem(RSA)),
        "RS256 said, HMAC done": forged({"alg": "RS256", "kid": "r1"}, claims(), pem(RSA)),
        "HS512 for HS256": signed(SECRET * 2, "HS512"),
        "another secret": signed("x" * 40),
        "another tenant's secret": signed("o" * 40),
        "another RSA key": signed(rsa.generate_private_key(65537, 2048), "RS256", "r1"),
        "the EC key for RS256": signed(EC, "ES256", "r1"),
        "another curve": signed(ec.generate_private_key(ec.SECP384R1()), "ES384", "e1"),
        "unknown kid": signed(kid="k2"),
        "kid with NUL": signed(kid="k1\0"),
        "without kid": jwt.encode(claims(), SECRET, algorithm="HS256"),
        "without signature": f"{head}.{body}.",
        "changed body": f"{head}.{encoded(json.dumps(claims(sub='bob')).encode())}.{signature}",
        "a list for a body": f"{head}.{encoded(b'[]')}.{signature}",
        "deep body": f"{head}.{encoded(b'[' * 3000)}.{signature}",
        "not base64": f"{head}.{body}!.{signature}",
        "not ascii": f"{head}.{body}é.{signature}",
        "too long": signed(padding="x" * 9000),
        "two parts": f"{head}.{body}",
        "empty parts": "..",
    }
    accepted = [name for name, token in tokens.items() if not await is_refused(access, token)]

    assert accepted == []
    for good in (signed(), signed(RSA, "RS256", "r1"), signed(EC, "ES256", "e1")):
        assert (await access.credentials.authenticate(good, None)).tenant == tenant


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (None, scopes.USER_SCOPES),
        ("threads:read", {"threads:read"}),
        ("openid threads:read admin worker", {"threads:read"}),
        ("", set()),
    ],
)
async def test_a_token_never_holds_more_than_a_users_scopes(
    access: Access, claim: str | None, expected: set[str]
) -> None:
    await register(access, await access.tenant())

    principal = await access.credentials.authenticate(signed(scope=claim), None)
    assert principal.scopes == expected


async def test_a_token_acts_for_its_user_alone_and_the_attempt_is_audited(access: Access) -> None:
    await register(access, await access.tenant())
    assert (await access.credentials.authenticate(signed(), "ann")).owner == "ann"

    with pytest.raises(Forbidden):
        await access.credentials.authenticate(signed(), "bob")

    await access.audit.flush()
    query = "SELECT (actor, action, target)::text FROM audit WHERE owner = 'ann'"
    assert await one_value(access.given.superuser_url, query) == "(user:ann,act_for,bob)"
    with pytest.raises(Forbidden):
        await access.credentials.authenticate_tenant(signed())


async def test_a_token_ends_at_its_second_also_while_it_is_remembered(
    lasting_credentials: None, access: Access
) -> None:
    await register(access, await access.tenant())
    expires = int(time.time()) + 4
    token = signed(exp=expires)
    await access.credentials.authenticate(token, None)
    await until(lambda: time.time() >= expires, 15.0)

    assert await is_refused(access, token)


async def test_tokens_of_a_revoked_issuer_are_refused_within_five_seconds(access: Access) -> None:
    tenant = await access.tenant()
    issuer = await register(access, tenant)
    token = signed()
    await access.credentials.authenticate(token, None)
    await access.tenants.issuers.revoke(tenant, issuer, actor="test")

    await until(lambda: is_refused(access, token), 5.0)
    await register(access, tenant)


async def test_tokens_of_a_revoked_user_are_refused_later_ones_are_not(access: Access) -> None:
    tenant = await access.tenant()
    await register(access, tenant)
    now = int(time.time())
    old, undated, bobs = signed(iat=now - 1), signed(iat=None), signed(sub="bob", iat=now - 1)
    await access.credentials.authenticate(old, None)
    await access.tenants.revoke_user(tenant, "ann", actor="test")

    await until(lambda: is_refused(access, old), 5.0)
    assert await is_refused(access, undated)
    assert not await is_refused(access, bobs)
    # Dated after the revocation, within what clocks may differ.
    assert not await is_refused(access, signed(iat=int(time.time()) + 4))

    await access.tenants.unrevoke_user(tenant, "ann", actor="test")
    assert not await is_refused(access, old)


async def test_published_keys_are_fetched_once_and_verify(access: Access) -> None:
    await register(access, await access.tenant(), algorithm="RS256", key_id="", jwks_url=URL)
    access.web.documents[URL] = jwks(r1=RSA, e1=EC)
    tokens = [signed(RSA, "RS256", "r1", sub=f"user {number}") for number in range(20)]

    await asyncio.gather(*(access.credentials.authenticate(token, None) for token in tokens))

    assert access.web.fetched == [URL]
    for bad in (signed(EC, "ES256", "e1"), signed(EC, "ES256", "r1"), signed(RSA, "RS256", "r2")):
        assert await is_refused(access, bad)


async def test_an_unknown_key_id_does_not_make_every_token_fetch(access: Access) -> None:
    await register(access, await access.tenant(), algorithm="RS256", key_id="", jwks_url=URL)
    access.web.documents[URL] = jwks(r1=RSA)
    for number in range(10):
        assert await is_refused(access, signed(RSA, "RS256", f"unknown {number}"))

    assert access.web.fetched == [URL]


@pytest.mark.parametrize(
    "document",
    [
        ConnectionError("refused"),
        TimeoutError(),
        b"",
        b"{}",
        b'{"keys": {}}',
        b"<html>",
        b'{"keys": [' + b" " * 300_000 + b"]}",
    ],
)
async def test_keys_that_cannot_be_had_are_unavailable_and_not_asked_for_each_time(
    access: Access, document: bytes | Exception
) -> None:
    await register(access, await access.tenant(), algorithm="RS256", key_id="", jwks_url=URL)
    access.web.documents[URL] = document
    for _ in range(5):
        with pytest.raises(Unavailable):
            await access.credentials.authenticate(signed(RSA, "RS256", "r1"), None)

    assert access.web.fetched == [URL]


async def test_weak_and_secret_keys_are_not_taken_from_a_set(access: Access) -> None:
    await register(access, await access.tenant(), algorithm="RS256", key_id="", jwks_url=URL)
    private = jwt.algorithms.RSAAlgorithm.to_jwk(RSA, as_dict=True) | {"kid": "private"}
    shared = {"kty": "oct", "k": encoded(SECRET.encode()), "kid": "shared"}
    keys = json.loads(jwks(weak=WEAK))["keys"] + [private, shared]
    access.web.documents[URL] = json.dumps({"keys": keys}).encode()

    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        short = signed(WEAK, "RS256", "weak")
    for token in (short, signed(RSA, "RS256", "private"), signed(kid="shared")):
        assert await is_refused(access, token)


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithm": "RS256"},
        {"algorithm": "RS256", "public_key": "nonsense"},
        {"algorithm": "RS256", "public_key": pem(EC)},
        {"algorithm": "ES256", "public_key": pem(RSA)},
        {"algorithm": "RS256", "public_key": pem(WEAK)},
        {"algorithm": "RS256", "public_key": pem(RSA), "jwks_url": URL},
        {"algorithm": "RS256", "secret": SECRET},
        {"algorithm": "HS256", "public_key": pem(RSA)},
        {"algorithm": "RS256", "jwks_url": "http://issuer.example/keys"},
        {"algorithm": "RS256", "jwks_url": "file:///etc/passwd"},
        {"algorithm": "RS256", "jwks_url": "https://user:password@issuer.example/"},
        {"algorithm": "RS256", "jwks_url": "http://127.0.0.1.example/"},
        {"issuer": "threadkeep"},
        {"issuer": "a\0b"},
    ],
)
async def test_issuers_that_could_not_be_trusted_are_refused(
    access: Access, changes: dict[str, Any]
) -> None:
    tenant = await access.tenant()
    with pytest.raises(InvalidRequest):
        await register(access, tenant, **changes)


async def test_a_minted_token_is_its_user_for_its_time(access: Access) -> None:
    one, other = await access.tenant(), await access.tenant()
    tokens = await asyncio.gather(*(access.token(one, f"user {n}") for n in range(5)))

    for number, token in enumerate(tokens):
        principal = await access.credentials.authenticate(token, None)
        assert (principal.tenant, principal.owner) == (one, f"user {number}")
    assert (await access.credentials.authenticate(await access.token(other), None)).tenant == other
    assert len((await access.tenants.issuers.list(one, PageRequest())).items) == 1
    with pytest.raises(InvalidRequest):
        await access.token(one, seconds=0)


async def test_a_secret_is_stored_sealed_and_opens_in_its_row_alone(access: Access) -> None:
    tenant, other = await access.tenant(), await access.tenant()
    row = await register(access, tenant)
    sealed = await one_value(
        access.given.superuser_url, "SELECT sealed_secret FROM token_issuers WHERE id = $1", row
    )
    listed = await access.tenants.issuers.list(tenant, PageRequest())

    assert SECRET.encode() not in sealed
    assert SECRET not in repr(listed) + repr(NewIssuer("a", "b", "HS256", secret=SECRET))
    sealer = access.tenants.issuers._sealer
    assert sealer.unseal(sealed, tenant=tenant, row=row) == SECRET.encode()
    for wrong in ({"tenant": other, "row": row}, {"tenant": tenant, "row": other}):
        with pytest.raises(Unavailable):
            sealer.unseal(sealed, **wrong)
    for broken in (b"", sealed[:-1], bytes(len(sealed))):
        with pytest.raises(Unavailable):
            sealer.unseal(broken, tenant=tenant, row=row)


@pytest.mark.parametrize("platform_key", ["", "another platform key"])
async def test_without_the_platform_key_sealed_issuers_are_unavailable(
    access: Access, platform_key: str
) -> None:
    await register(access, await access.tenant())
    tokens = UserTokens(
        access.database, Sealer(platform_key), access.credentials._user_tokens._key_sets
    )
    with pytest.raises(Unavailable):
        await tokens.verify(signed())
