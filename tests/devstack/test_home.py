"""The home folder: one launcher at a time, private files, stable ports."""

import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.devstack.errors import DevstackError
from app.devstack.home import Home, is_free, keep_private, running_environment
from tests.devstack.launchers import launcher, wait_for

HOLDER = """
import sys
from pathlib import Path
from app.devstack.home import Home
home = Home(Path(sys.argv[1]))
home.create()
home.acquire()
home.announce({"base_url": "http://127.0.0.1:1"}, {"TASKBEACON_S3_BUCKET": "b"})
print("held", flush=True)
sys.stdin.read() if len(sys.argv) > 2 else __import__("signal").pause()
"""


@pytest.fixture
def other_launcher(home: Home, tmp_path: Path) -> Iterator[int]:
    output = tmp_path / "output"
    with launcher("-c", HOLDER, str(home.root), output=output) as process:
        wait_for(lambda: b"held" in output.read_bytes(), seconds=60, what="the other launcher")
        yield process.pid


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_second_launcher_is_refused_by_the_name_of_the_first(home: Home, other_launcher: int) -> None:
    with pytest.raises(DevstackError, match=rf"process {other_launcher}, http://127\.0\.0\.1:1"):
        home.acquire()

    assert home.dev_json.exists()


def test_running_stack_offers_its_settings(home: Home, other_launcher: int) -> None:
    assert other_launcher
    assert running_environment(home.root) == {"TASKBEACON_S3_BUCKET": "b"}


def test_what_a_killed_launcher_announced_is_stale_and_replaced(home: Home, tmp_path: Path) -> None:
    output = tmp_path / "output"
    with launcher("-c", HOLDER, str(home.root), output=output) as process:
        wait_for(lambda: b"held" in output.read_bytes(), seconds=60, what="the launcher")
        process.kill()
        process.wait()

    assert home.dev_json.exists()
    assert running_environment(home.root) is None
    os.close(home.acquire())
    assert not home.dev_json.exists()
    assert not home.environment_json.exists()


def test_folder_without_a_stack_has_no_settings(tmp_path: Path) -> None:
    assert running_environment(tmp_path / "nothing") is None


def test_everything_in_it_is_private(home: Home) -> None:
    home.announce({}, {})
    home.ports(["api"])

    assert mode(home.root) == 0o700
    assert {mode(path) for path in home.root.iterdir()} == {0o600}


def test_secrets_are_made_once(tmp_path: Path) -> None:
    path = tmp_path / "secret.json"

    made = keep_private(path, lambda: {"password": "first"})

    assert keep_private(path, lambda: {"password": "second"}) == made == {"password": "first"}
    assert mode(path) == 0o600
    assert json.loads(path.read_text()) == made


def test_damaged_file_counts_as_absent(tmp_path: Path) -> None:
    path = tmp_path / "secret.json"
    path.write_text('{"pass')

    assert keep_private(path, lambda: {"password": "new"}) == {"password": "new"}


def test_port_stays_as_long_as_it_is_free(home: Home) -> None:
    first = home.ports(["api", "worker"])
    again = home.ports(["api", "worker"])
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", first["api"]))
        taker.listen()
        assert not is_free(first["api"])
        moved = home.ports(["api", "worker"])

    assert again == first
    assert moved["api"] not in first.values()
    assert moved["worker"] == first["worker"]


def test_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DevstackError, match="cannot be used"):
        Home(tmp_path / "file" / "home").create()
