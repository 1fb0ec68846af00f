"""Values that settings accept; a wrong value is reported with the setting's name and never repeated."""

import base64
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from app.clients.web_push.vapid import VapidKey
from app.config import Settings, unknown_variables

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def _key(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).decode()


def _read(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> Settings:
    monkeypatch.setenv(f"TASKBEACON_{name.upper()}", value)
    return Settings()


def _paths() -> list[str]:
    """Every setting that is a path."""
    return [name for name, field in Settings.model_fields.items() if "Path" in str(field.annotation)]


@pytest.mark.parametrize("name", _paths())
def test_empty_path_is_unset(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    settings = _read(monkeypatch, name, "")

    assert getattr(settings, name) == Settings.model_fields[name].default
    assert Path.cwd() not in {
        settings.home.absolute(),
        settings.workspaces_path,
        settings.agents_path,
        settings.mirrors_path,
    }


def test_every_path_is_known() -> None:
    assert set(_paths()) == {"home", "agent_catalog", "agents", "workspaces"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database_url", "postgresql+asyncpg:///taskbeacon?host=/run/postgresql"),
        ("database_url", "postgresql+asyncpg://me@team:p#/?w:d@[::1]:5432/taskbeacon"),
        ("database_url", "postgresql+asyncpg://me:pw@/x?host=one:5432&host=two:5432"),
        ("redis_url", "redis://:p%23w@cache:6379/0"),
        ("redis_url", "rediss://cache"),
        ("redis_url", "unix:///run/valkey.sock?db=1"),
        ("redis_url", "redis+sentinel://:p%23w@one,two:26380,[::1]/taskbeacon/1?sentinel_password=pw"),
        ("redis_url", "rediss+sentinel://one/service"),
        ("s3_endpoint_url", "http://seaweed_1:8333"),
        ("s3_public_endpoint_url", "https://files.example.com/s3"),
        ("expo_base_url", "http://[::1]:9999"),
        ("git_base_url", "https://user:token@git.example.com/scm"),
        ("git_base_url", "http://localhost:3000"),
        ("git_base_url", "ssh://git@git.example.com:22"),
        ("git_base_url", "git+ssh://git@git.example.com"),
        ("git_base_url", "git://git.example.com"),
        ("git_base_url", "file:///srv/my git"),
        ("git_base_url", "git@github.com:"),
        ("git_base_url", "git@[::1]:scm"),
        ("git_base_url", "alias:scm/of us"),
        ("git_base_url", "/srv/git"),
        ("vapid_subject", "mailto:operator@example.com"),
        ("vapid_subject", "https://example.com"),
    ],
)
def test_value_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    assert getattr(_read(monkeypatch, name, value), name) == value


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_database_is_reached_by_the_driver_of_the_service(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    settings = _read(monkeypatch, "database_url", f"{scheme}://me@db/taskbeacon")

    assert settings.database_url == "postgresql+asyncpg://me@db/taskbeacon"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("me:pw@one,two:5433/x", "me:pw@/x?host=one,two&port=5432,5433&target_session_attrs=read-write"),
        ("me@[::1],[::2]:1", "me@/?host=::1,::2&port=5432,1&target_session_attrs=read-write"),
        ("one,two/x?target_session_attrs=any", "/x?host=one,two&port=5432,5432&target_session_attrs=any"),
    ],
)
def test_of_several_databases_the_one_that_takes_writes_is_used(
    monkeypatch: pytest.MonkeyPatch, given: str, taken: str
) -> None:
    settings = _read(monkeypatch, "database_url", f"postgresql://{given}")

    assert settings.database_url == f"postgresql+asyncpg://{taken}"


def test_origins_are_read_from_a_comma_list(monkeypatch: pytest.MonkeyPatch) -> None:
    origins = (
        "*",
        "http://localhost:3000",
        "https://app.example.com",
        "capacitor://localhost",
        "http://[::1]:80",
        "http://localhost:*",
    )

    assert _read(monkeypatch, "cors_origins", ", ".join(origins)).cors_origins == origins


def test_task_is_seen_in_the_console_unless_another_page_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: pull requests and statuses had no link."""
    assert _read(monkeypatch, "public_url", "").task_url == ""
    in_console = "https://api.example/console/projects/{project_id}/tasks/{task_id}"
    assert _read(monkeypatch, "public_url", "https://api.example/").task_url == in_console
    assert (
        _read(monkeypatch, "task_url", "https://app.example/{task_id}").task_url
        == "https://app.example/{task_id}"
    )


@pytest.mark.parametrize("name", ["s3_endpoint_url", "s3_public_endpoint_url", "vapid_private_key"])
def test_empty_value_is_unset(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert getattr(_read(monkeypatch, name, ""), name) is None


@pytest.mark.parametrize("number", [1, _ORDER - 1])
@pytest.mark.parametrize("end", ["", "=", "\n"])
def test_key_of_web_push_is_taken(monkeypatch: pytest.MonkeyPatch, number: int, end: str) -> None:
    bare = _key(number).rstrip("=")

    key = _read(monkeypatch, "vapid_private_key", bare + end).vapid_private_key

    assert key == SecretStr(bare)
    assert VapidKey(key).public_key == VapidKey(SecretStr(_key(number))).public_key


_DATABASE = ("database_url", "this is no URL")
_REDIS = (
    "redis_url",
    "takes redis://host, rediss://host, unix:///path or redis\\+sentinel://host,host/service",
)
_WEB = "takes https://host or http://host"
_GIT = ("git_base_url", "file:///path, user@host:folder or an absolute path")
_ORIGINS = ("cors_origins", r"takes scheme://host\[:port\]")
_KEY = ("vapid_private_key", "takes 32 bytes in base64url")
_SUBJECT = ("vapid_subject", "takes mailto:name@host or https://host")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        (_DATABASE, "garbage-hunter2"),
        (_DATABASE, "postgresql:/hunter2"),
        (_DATABASE, "postgresql://me:hunter2@db:port/x"),
        (_DATABASE, "postgresql://me:hunter2@db:99999/x"),
        (_DATABASE, "postgresql://me:hunter2@one,two:99999/x"),
        (_DATABASE, "postgresql://me:hunter2@one,/x"),
        (_DATABASE, ""),
        (("database_url", "only postgresql:// is supported"), "mysql://me:hunter2@db/x"),
        (("database_url", "only postgresql:// is supported"), "postgresql+psycopg://me:hunter2@db/x"),
        (_REDIS, "hunter2"),
        (_REDIS, "http://:hunter2@cache"),
        (_REDIS, "redis://:hunter2@cache:port/0"),
        (_REDIS, "redis://:hunter2@"),
        (_REDIS, "unix://"),
        (_REDIS, "redis+sentinel://:hunter2@one,two"),
        (_REDIS, "redis+sentinel://:hunter2@one,two:port/service"),
        (_REDIS, "redis+sentinel://:hunter2@one,/service"),
        (_REDIS, ""),
        (("s3_endpoint_url", _WEB), "hunter2"),
        (("s3_endpoint_url", _WEB), "localhost:8333"),
        (("s3_public_endpoint_url", _WEB), "ftp://hunter2"),
        (("expo_base_url", _WEB), "hunter2"),
        (("expo_base_url", _WEB), "https://"),
        (("expo_base_url", _WEB), "https:// exp.host"),
        (("expo_base_url", _WEB), "https://[hunter2"),
        (_GIT, "hunter2"),
        (_GIT, "folder/hunter2"),
        (_GIT, "https:/hunter2"),
        (_GIT, "https://user:hunter2@"),
        (_GIT, "ext::hunter2"),
        (_GIT, "ftp://hunter2"),
        (_GIT, "file://"),
        (_GIT, ""),
        (_ORIGINS, "notaurl-hunter2"),
        (_ORIGINS, "http://localhost:3000,hunter2"),
        (_ORIGINS, "http://hunter2/"),
        (_ORIGINS, "http://Hunter2"),
        (_ORIGINS, "http://hunter2:99999"),
        (_ORIGINS, "http://hunter2:80:*"),
        (_ORIGINS, "http://*.hunter2"),
        (_KEY, "abc"),
        (_KEY, '{"private_key": "hunter2"}'),
        (_KEY, "hunter2" * 7),
        (_KEY, _key(0)),
        (_KEY, _key(_ORDER)),
        (_KEY, _key(1) + "="),
        (_KEY, "+" + _key(1)[1:]),
        (_SUBJECT, "hunter2@example.com"),
        (_SUBJECT, "mailto:hunter2"),
        (_SUBJECT, "http://hunter2.example.com"),
        (_SUBJECT, "https://example.com/hunter2"),
    ],
)
def test_wrong_value_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, setting: tuple[str, str], value: str
) -> None:
    name, takes = setting

    with pytest.raises(ValidationError, match=takes) as raised:
        _read(monkeypatch, name, value)

    (problem,) = raised.value.errors()
    assert problem["loc"] == (name,)
    assert "hunter2" not in str(raised.value).lower()
    if name == "vapid_private_key":
        assert value not in str(raised.value)


def test_secret_that_is_too_short_is_not_repeated_with_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="needs 32 characters") as raised:
        _read(monkeypatch, "secret_keys", "hunter2")

    assert "hunter2" not in str(raised.value)


def test_variable_that_no_setting_reads_is_named_with_the_nearest() -> None:
    environment = {
        "TASKBEACON_WORKER_CONCURENCY": "2",
        "TASKBEACON_PASSPHRASE": "hunter2",
        "TASKBEACON_TOKEN": "of a command",
        "taskbeacon_port": "8000",
        "TASKBEACON_HOME": "/srv",
        "PATH": "/bin",
    }

    assert unknown_variables(environment) == {
        "TASKBEACON_WORKER_CONCURENCY": "TASKBEACON_WORKER_CONCURRENCY",
        "TASKBEACON_PASSPHRASE": None,
    }
