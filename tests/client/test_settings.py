"""Where the client's settings come from, and what the key is protected from."""

import ast
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

import taskbeacon
from taskbeacon.client import Client, InvalidSignature, TaskbeaconError, verify_webhook
from taskbeacon.client.settings import config_file, find_settings, read_config, write_private
from tests.client.command import Taskbeacon
from tests.client.server import Reply, Server, answer, failure
from tests.support.assertions import concerning

PROFILES = """
profile = "work"
[profiles.work]
url = "https://beacon.example/"
project = 12
key = "phx_work"
[profiles.home]
url = "http://127.0.0.1:8000"
key = "phx_home"
"""


@pytest.fixture
def config(tmp_path: Path) -> None:
    file = config_file()
    assert file == tmp_path / "config" / "taskbeacon" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(PROFILES)


@pytest.mark.usefixtures("config")
def test_arguments_then_environment_then_profile() -> None:
    work = find_settings(environment={})
    assert (work.url, work.token, work.project, work.key_from) == (
        "https://beacon.example",
        "phx_work",
        "12",
        "file",
    )
    home = find_settings(environment={"TASKBEACON_PROFILE": "home"})
    assert (home.url, home.token, home.project, home.profile) == (
        "http://127.0.0.1:8000",
        "phx_home",
        "@current",
        "home",
    )
    assert find_settings(profile="work", environment={"TASKBEACON_PROFILE": "home"}).token == "phx_work"
    variables = {"TASKBEACON_TOKEN": "phx_ci", "TASKBEACON_PROJECT": "3"}
    ci = find_settings(environment=variables)
    assert (ci.url, ci.token, ci.project, ci.key_from) == (
        "https://beacon.example",
        "phx_ci",
        "3",
        "environment",
    )
    given = find_settings("https://other.example", "phx_given", 4, environment=variables)
    assert (given.url, given.token, given.project, given.key_from) == (
        "https://other.example", "phx_given", "4", "argument",
    )  # fmt: skip


@pytest.mark.usefixtures("config")
def test_a_stored_key_goes_to_its_own_server_only() -> None:
    for url, environment in (
        ("https://other.example", {}),
        ("https://beacon.example:8443", {}),
        (None, {"TASKBEACON_URL": "https://other.example"}),
    ):
        with concerning((url, environment)), pytest.raises(TaskbeaconError) as raised:
            find_settings(url, environment=environment)
        assert raised.value.code == "not_signed_in"
    assert find_settings("https://other.example", "phx_a", environment={}).project == "@current"
    assert find_settings("https://beacon.example/", environment={}).token == "phx_work"


def test_without_a_server_or_a_key() -> None:
    for url in (None, "https://beacon.example"):
        with pytest.raises(TaskbeaconError, match="taskbeacon login") as raised:
            find_settings(url, environment={})
        assert raised.value.code == "not_signed_in"


@pytest.mark.usefixtures("config")
def test_configurations_that_are_none() -> None:
    with pytest.raises(ValueError, match="there is no profile 'nobody'"):
        find_settings(profile="nobody", environment={})
    config_file().write_text("profile = ")
    with pytest.raises(ValueError, match="cannot be read"):
        find_settings(environment={})
    assert find_settings("https://a.example", "phx_a", "1", environment={}).token == "phx_a"


@pytest.mark.usefixtures("config")
def test_a_sign_in_keeps_what_else_the_configuration_has(beacon: Server, taskbeacon: Taskbeacon) -> None:
    """Regression: `login` and `logout` dropped unknown keys, and made texts of numbers."""
    more = '[new]\nlist = [1, 2.5, { deep = true }]\n[profiles."a b"]\nproject = 3\nnote = "x"\n'
    config_file().write_text('editor = "🖋\\u007F"  # mine\n' + PROFILES + more)
    before = read_config()
    assert before["editor"] == "🖋\x7f"
    assert taskbeacon("login", "--with-token", "--profile", "a b", text="phx_secret\n").code == 0
    before["profiles"]["a b"] = {"note": "x", "url": beacon.url, "key": "phx_secret"}
    assert read_config() == before
    assert taskbeacon("logout", "--profile", "work").code == 0
    del before["profiles"]["work"]["key"]
    assert read_config() == before


@pytest.mark.parametrize(
    "text", ["profiles = 3", "profiles.work = 3", "profiles.work.url = 3", "profile = 3"]
)
def test_a_configuration_of_another_shape_is_named(taskbeacon: Taskbeacon, text: str) -> None:
    """Regression: it ended commands as a defect."""
    config_file().parent.mkdir(parents=True)
    config_file().write_text(text)
    with pytest.raises(ValueError, match="`profile` is a name"):
        find_settings(environment={})
    for arguments in (("login", "--with-token"), ("logout",)):
        result = taskbeacon(*arguments, text="phx_secret")
        assert (result.code, "config.toml: `profile`" in result.err) == (2, True)


def test_two_writers_of_a_private_file(tmp_path: Path) -> None:
    """Regression: their drafts had the same name, so that one failed, or replaced the file by half of the other."""
    file = tmp_path / "config.toml"
    texts = ["a" * 100_000, "b" * 100_000]

    def write(text: str) -> None:
        for _ in range(200):
            write_private(file, text)
            assert file.read_text() in texts

    with ThreadPoolExecutor() as writers:
        _ = list(writers.map(write, texts))
    with pytest.raises(UnicodeEncodeError):
        write_private(file, "\ud800")
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_urls() -> None:
    for url in (
        "http://127.0.0.1:8000",
        "http://[::1]:1",
        "http://localhost",
        "http://a.localhost",
        "https://a.example/b",
    ):
        assert find_settings(f"{url}/", "phx_a", environment={}).url == url
    for url in ("http://a.example", "http://10.0.0.1", "http://127.0.0.1.a.example", "a.example", "ftp://a.example",
                "https://user@a.example", "https://a.example?x=1", "https://a.example#x", "https://"):  # fmt: skip
        with concerning(url), pytest.raises(ValueError, match=r"URL|encrypted"):
            find_settings(url, "phx_a", environment={})
    assert find_settings("http://a.example", "phx_a", insecure=True, environment={}).insecure


def test_the_key_is_not_shown() -> None:
    with Client("https://a.example", "phx_secret") as client:
        assert "phx_secret" not in repr(client.settings)
        request = client.core.build("GET", "tasks")
        assert "phx_secret" not in repr(request)


def test_webhook_messages(official_message: tuple[bytes, dict[str, str]]) -> None:
    body, headers = official_message
    assert verify_webhook(body, headers, SECRET) == {"type": "run.completed"}
    assert verify_webhook(body, {name.title(): text for name, text in headers.items()}, [OTHER, SECRET])
    cases = [
        (body + b" ", headers, SECRET),
        (body, headers, OTHER),
        (body, headers | {"webhook-timestamp": "1"}, SECRET),
        (body, headers | {"webhook-signature": "nonsense"}, SECRET),
        (body, {}, SECRET),
        (b"\xff", headers, SECRET),
    ]
    for number, (data, heads, secret) in enumerate(cases):
        with concerning(number), pytest.raises(InvalidSignature):
            verify_webhook(data, heads, secret)
    for empty in ([""], ["whsec_"], list[str]()):
        with concerning(empty), pytest.raises(ValueError, match="empty"):
            verify_webhook(body, headers, empty)


SECRET, OTHER = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz", "whsec_b3RoZXIgc2VjcmV0IG90aGVyIHNlY3JldA=="


@pytest.fixture
def official_message() -> tuple[bytes, dict[str, str]]:
    """A message that the official library has signed."""
    body, now = '{"type":"run.completed"}', datetime.now(UTC)
    signature = Webhook(SECRET).sign("msg-1", now, body)
    headers = {
        "webhook-id": "msg-1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    return body.encode(), headers


def test_the_client_imports_nothing_of_the_server() -> None:
    folder = Path(taskbeacon.__file__).parent
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & {"app", "migrations"}, file


@pytest.mark.parametrize(
    ("imported", "libraries"),
    [("taskbeacon.client.settings", set[str]()), ("taskbeacon.client.Client", {"httpx"})],
)
def test_the_client_loads_what_it_needs_alone(imported: str, libraries: set[str]) -> None:
    module, _, name = imported.rpartition(".")
    program = f"import sys; from {module} import {name}; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(Path(taskbeacon.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    others = {"app", "asyncio", "httpx", "standardwebhooks", "taskbeacon.client.types"}
    assert others & set(found) == libraries


def test_sign_in_by_a_code(beacon: Server, taskbeacon: Taskbeacon, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = {"device_code": "d", "user_code": "BCDF-GHJK", "verification_uri": "https://a.example/console/device",
             "expires_in": 600, "interval": 2}  # fmt: skip
    token = "POST /api/cli/login/token"
    beacon.on("POST /api/cli/login", answer(begun, 201))
    beacon.on(
        token,
        failure(400, "authorization_pending"),
        failure(400, "slow_down"),
        Reply(cut=True),
        answer({"api_key": "phx_secret", "project_id": 12}),
        failure(400, "access_denied"),
        failure(400, "expired_token"),
    )
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.delenv("TASKBEACON_TOKEN")
    result = taskbeacon("login")
    assert (result.code, result.out) == (0, "")
    asked, signed_in = result.err.splitlines()
    assert asked == "Open https://a.example/console/device and enter the code BCDF-GHJK"
    assert signed_in == f"Signed in to {beacon.url} as a@example.com."
    assert pauses == [2, 2, 7, 7]
    assert {sent.body for sent in beacon.at(token)} == {b'{"device_code": "d"}'}
    kept = {"url": beacon.url, "project": "12", "key": "phx_secret"}
    assert read_config()["profiles"]["default"] == kept
    for code in ("access_denied", "expired_token"):
        with concerning(code):
            result = taskbeacon("login", "--profile", "other")
            assert (result.code, result.err.splitlines()[-1]) == (4, f"taskbeacon: It is {code}.")
    assert "other" not in read_config()["profiles"]


@pytest.mark.usefixtures("_pauses_pass")
def test_a_sign_in_goes_on_over_a_busy_server(
    beacon: Server, taskbeacon: Taskbeacon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """429 and 503 ended it: it asks again when the server says, while the code is valid."""
    begun = {"device_code": "d", "user_code": "BCDF-GHJK", "verification_uri": "https://a.example/console/device",
             "expires_in": 600, "interval": 100}  # fmt: skip
    token = "POST /api/cli/login/token"
    beacon.on("POST /api/cli/login", answer(begun, 201))
    made = answer({"api_key": "phx_secret", "project_id": 12})
    beacon.on(
        token, failure(429, "throttled", Retry_After=150), failure(503, "unavailable"), Reply(cut=True), made
    )
    monkeypatch.delenv("TASKBEACON_TOKEN")
    began = time.monotonic()
    assert taskbeacon("login").code == 0
    assert 100 + 150 + 100 + 100 <= time.monotonic() - began < 500
    for refusals, code, number in (
        ([failure(503, "unavailable")], 8, 5),
        ([failure(429, "throttled", Retry_After=700)], 8, 1),
        ([failure(500, "error")], 8, 1),
        ([failure(503, "unavailable"), failure(400, "expired_token")], 4, 2),
    ):
        with concerning(refusals):
            beacon.reset(token, *refusals)
            beacon.received.clear()
            assert taskbeacon("login", "--profile", "other").code == code
            assert len(beacon.at(token)) == number
    assert "other" not in read_config()["profiles"]
