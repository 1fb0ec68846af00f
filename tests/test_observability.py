"""Logs are an interface: one event a line, and no secret in any of them."""

import errno
import io
import logging
import secrets
from collections.abc import Generator
from contextlib import redirect_stderr

import jwt
import orjson
import pytest
import structlog
from typing_extensions import override

from app.config import LogFormat
from app.observability import configure_logging, redact
from app.security.secrets import new_api_key
from tests.support.logs import kept_logging

DATABASE_URL = "postgresql://taskbeacon:hunter2hunter2@db.internal:5432/taskbeacon"


@pytest.fixture
def lines() -> Generator[io.StringIO, None, None]:
    """The log lines of this process, as JSON."""
    with redirect_stderr(io.StringIO()) as written, kept_logging():
        configure_logging(LogFormat.JSON, "INFO")
        yield written


def only_line(lines: io.StringIO) -> dict[str, object]:
    [line] = lines.getvalue().splitlines()
    event: dict[str, object] = orjson.loads(line)
    return event


def test_event_is_one_json_line_with_bound_ids(lines: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        structlog.get_logger("app.test").info("run.claimed", attempts=2)

    event = only_line(lines)
    assert event.pop("timestamp")
    assert event == {
        "event": "run.claimed",
        "attempts": 2,
        "request_id": "r1",
        "level": "info",
        "logger": "app.test",
    }


def test_libraries_log_the_same_way(lines: io.StringIO) -> None:
    logging.getLogger("a.library").warning("closing %s", "now")

    assert (only_line(lines)["event"], only_line(lines)["level"]) == ("closing now", "warning")


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"header": "Bearer {key}"}, id="in a text"),
        pytest.param({"nested": {"deep": ["{key}"]}}, id="nested"),
        pytest.param({"event": "GET /x?personal_api_key={key}"}, id="in the event itself"),
    ],
)
def test_keys_are_redacted_wherever_they_stand(event: dict[str, object]) -> None:
    key = new_api_key()
    filled = orjson.loads(orjson.dumps(event).replace(b"{key}", key.encode()))

    assert key not in str(redact(None, "info", filled))


@pytest.mark.parametrize("prefix", ["whsec_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"])
def test_secrets_of_webhooks_and_tokens_of_github_are_redacted(prefix: str) -> None:
    secret = secrets.token_hex()

    assert redact(None, "info", {"error": f"refused {prefix}{secret} here"}) == {
        "error": "refused [redacted] here"
    }


@pytest.mark.parametrize("secret", [jwt.encode({"aud": "x"}, "k" * 32), "sk-ant-api03-" + "aB3_" * 8])
def test_run_tokens_and_keys_of_model_providers_are_redacted(secret: str) -> None:
    assert redact(None, "info", {"error": f"refused {secret} here"}) == {"error": "refused [redacted] here"}


def test_words_that_only_look_like_a_key_stay() -> None:
    text = "task-sk-1 and risk-assessment-of-the-whole-project, sk-short, eyJust.a.word"

    assert redact(None, "info", {"error": text}) == {"error": text}


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "Cookie",
        "Set-Cookie",
        "token",
        "password",
        "github_user_token",
        "device_code",
        "access_token",
        "private_key",
    ],
)
def test_values_are_redacted_by_their_name(name: str) -> None:
    assert redact(None, "info", {name: "s3cret", "inner": {name: "s3cret"}}) == {
        name: "[redacted]",
        "inner": {name: "[redacted]"},
    }


@pytest.mark.parametrize(
    "url", [DATABASE_URL, "redis://:hunter2@db.internal:6379/0", "https://hunter2@db.internal/org/repo.git"]
)
def test_credential_of_an_url_is_redacted_and_its_host_is_not(url: str) -> None:
    """Some have no user, some nothing else."""
    event = redact(None, "info", {"error": f"cannot connect to {url}"})

    assert "hunter2" not in event["error"]
    assert "db.internal" in event["error"]


def test_code_of_a_terminal_is_redacted() -> None:
    for path, code in (("/api/cli/login/BCDF-GHJK/approve", "GHJK"), ("/api/cli/login/bcdf ghjk/", "ghjk")):
        assert code not in redact(None, "info", {"path": path})["path"]
    assert redact(None, "info", {"path": "/api/cli/login/token"})["path"] == "/api/cli/login/token"


def fail_with(text: str) -> None:
    raise ValueError(text)


def test_traceback_shows_no_values_of_variables(lines: io.StringIO) -> None:
    secret = secrets.token_hex()

    def fail(given: str) -> None:
        fail_with(f"of length {len(given)}")

    try:
        fail(secret)
    except ValueError:
        structlog.get_logger("app.test").exception("it.failed")

    assert "ValueError: of length 64" in str(only_line(lines)["exception"])
    assert secret not in lines.getvalue()


def test_exception_with_a_key_in_its_text_is_redacted(lines: io.StringIO) -> None:
    key = new_api_key()
    try:
        fail_with(key)
    except ValueError:
        structlog.get_logger("app.test").exception("it.failed")

    assert "ValueError: [redacted]" in lines.getvalue()
    assert key not in lines.getvalue()


def test_colours_for_a_terminal_are_left_out(lines: io.StringIO) -> None:
    logging.getLogger("tests.server").info("Started", extra={"color_message": "\x1b[36mStarted", "pid": 1})

    event = only_line(lines)
    assert "color_message" not in event
    assert event["pid"] == 1


def test_stream_that_takes_nothing_stops_no_work() -> None:
    """A full disk behind standard error, or a reader that has gone."""

    class Full(io.StringIO):
        @override
        def write(self, _text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    with redirect_stderr(Full()), kept_logging():
        configure_logging(LogFormat.JSON, "INFO")
        structlog.get_logger("app.test").info("run.claimed")
        structlog.get_logger("app.test").exception("it.failed")


@pytest.mark.parametrize("log_format", LogFormat)
def test_events_below_the_level_are_left_out(log_format: LogFormat) -> None:
    with redirect_stderr(io.StringIO()) as written, kept_logging():
        configure_logging(log_format, "warning")
        structlog.get_logger("app.test").info("run.claimed")
        structlog.get_logger("app.test").warning("run.lost")

    [line] = written.getvalue().splitlines()
    assert "run.lost" in line
    assert "app.test" in line
