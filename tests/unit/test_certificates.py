"""Clients that read RFC 5280 to the letter, as Python 3.13 and later do, accept the cluster."""

from __future__ import annotations

import ssl
from pathlib import Path

from ..cluster.local.certificates import Authority


def test_a_strict_client_accepts_a_server_of_the_cluster(tmp_path: Path) -> None:
    authority = Authority("somebody", tmp_path)
    pair = authority.issue("server", subject="server", names=("kubernetes.default.svc",))
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(pair.certificate, pair.key)
    client_side = ssl.create_default_context(cafile=str(authority.pair.certificate))
    client_side.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(to_client, to_server, server_hostname="kubernetes.default.svc")
    server = server_side.wrap_bio(to_server, to_client, server_side=True)

    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue

    assert client.version() == "TLSv1.3"
