"""Where the embedded PostgreSQL cannot start, it says why in one exception."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from threadkeep.embedded.failures import EmbeddedServerError, Reason
from threadkeep.embedded.postgres import PostgresServer

from ..conftest import start_postgres
from ..support.postgres import copy_directory


def refusal(server: PostgresServer) -> EmbeddedServerError:
    with pytest.raises(EmbeddedServerError) as caught:
        server.start(seconds=20)
    assert server.pid is None
    return caught.value


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "letter.txt").write_text("mine")
    error = refusal(PostgresServer(tmp_path / "data"))

    assert error.reason is Reason.BROKEN
    assert "not a PostgreSQL data directory" in str(error)
    assert (tmp_path / "data" / "letter.txt").read_text() == "mine"


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    error = refusal(PostgresServer(tmp_path / "data"))

    assert error.reason is Reason.BROKEN
    assert (tmp_path / "data").read_text() == "mine"


def test_a_damaged_directory_is_explained_by_the_log(made_directory: Path, tmp_path: Path) -> None:
    copy_directory(made_directory, tmp_path / "data")
    (tmp_path / "data" / "global" / "pg_control").unlink()
    error = refusal(PostgresServer(tmp_path / "data"))

    assert error.reason is Reason.BROKEN
    assert str(tmp_path / "data") in error.message
    assert "pg_control" in error.log
    assert "pg_control" in str(error)


def test_another_version_is_named(made_directory: Path, tmp_path: Path) -> None:
    copy_directory(made_directory, tmp_path / "data")
    (tmp_path / "data" / "PG_VERSION").write_text("16\n")
    error = refusal(PostgresServer(tmp_path / "data"))

    assert error.reason is Reason.VERSION
    assert "'16'" in str(error)
    assert "pg_upgrade" in str(error)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        error = refusal(PostgresServer(tmp_path / "data", tcp_port=port, password="secret"))

    assert error.reason is Reason.PORT
    assert f"Port {port}" in str(error)


def test_a_directory_in_use_is_refused(made_directory: Path, tmp_path: Path) -> None:
    copy_directory(made_directory, tmp_path / "data")
    server = PostgresServer(tmp_path / "data")
    start_postgres(server)
    error = refusal(PostgresServer(tmp_path / "data"))

    assert error.reason is Reason.IN_USE
    assert f"process {os.getpid()}" in str(error)
    assert server.pid is not None
    server.stop()


def test_a_socket_path_that_is_too_long(tmp_path: Path) -> None:
    error = refusal(PostgresServer(tmp_path / "data", socket_directory=tmp_path / ("long" * 30)))

    assert error.reason is Reason.SOCKET


def test_a_wrong_setting_is_explained_by_the_log(made_directory: Path, tmp_path: Path) -> None:
    copy_directory(made_directory, tmp_path / "data")
    error = refusal(PostgresServer(tmp_path / "data", settings={"no_such_setting": "1"}))

    assert error.reason is Reason.FAILED
    assert "no_such_setting" in str(error)


_IN_A_SMALL_FILE_SYSTEM = """
import sys
from pathlib import Path
from threadkeep.embedded.failures import EmbeddedServerError
from threadkeep.embedded.postgres import PostgresServer
folder = Path(sys.argv[1])
server = PostgresServer(folder / "data")
try:
    if sys.argv[2] == "filled":
        server.start()
        server.stop()
        with (folder / "filler").open("wb", buffering=0) as filler:
            while filler.write(bytes(1 << 16)):
                pass
    server.start()
except EmbeddedServerError as exc:
    print(exc.reason, exc)
except OSError as exc:
    if sys.argv[2] != "filled" or exc.errno != 28:
        raise
    try:
        server.start()
        server.kill()
    except EmbeddedServerError as exc:
        print(exc.reason, exc)
"""


@pytest.mark.parametrize(("megabytes", "case"), [(12, "small"), (20, "small"), (80, "filled")])
def test_a_full_disk_is_named(tmp_path: Path, megabytes: int, case: str) -> None:
    """On a file system of its own, in a mount namespace that ends with the program."""
    script = tmp_path / "start.py"
    script.write_text(_IN_A_SMALL_FILE_SYSTEM)
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = f'mount -t tmpfs -o size={megabytes}m none "$1" && exec "$2" "$3" "$1" {case}'
    namespace = ["unshare", "--user", "--map-root-user", "--mount"]
    answer = subprocess.run(
        [*namespace, "sh", "-c", mounting, "sh", str(disk), sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    if "mount:" in answer.stderr or "unshare:" in answer.stderr:
        pytest.skip(f"no mount namespace here: {answer.stderr.strip()}")

    assert answer.stdout.startswith("disk_full"), answer
    assert "the disk is full" in answer.stdout
