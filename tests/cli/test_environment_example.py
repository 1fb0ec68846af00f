"""`.env.example` names every setting, explains it in its own words, and works."""

import re
from pathlib import Path

import pytest

from app.config import Settings

_EXAMPLE = Path(__file__).parents[2] / ".env.example"
_ENTRY = re.compile(r"^# (?P<explanation>.+)\n#?TASKBEACON_(?P<name>\w+)=", re.MULTILINE)
_GIVEN = re.compile(r"^#?(?P<name>TASKBEACON_\w+)=(?P<value>.*)$", re.MULTILINE)
_ACTIVE = re.compile(r"^(?P<name>TASKBEACON_\w+)=(?P<value>.*)$", re.MULTILINE)


def test_example_explains_every_setting_as_the_code_does() -> None:
    entries = {
        match["name"].lower(): match["explanation"]
        for match in _ENTRY.finditer(_EXAMPLE.read_text(encoding="utf-8"))
    }

    assert entries == {name: field.description for name, field in Settings.model_fields.items()}


def test_example_values_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    values = dict(_GIVEN.findall(_EXAMPLE.read_text(encoding="utf-8")))
    for name, value in values.items():
        monkeypatch.setenv(name, value)

    settings = Settings()

    assert {f"TASKBEACON_{name.upper()}" for name in settings.model_fields_set} == set(values)


def test_example_leaves_the_servers_of_compose_alone() -> None:
    """compose.yaml reads the same file, and its containers cannot reach `localhost`."""
    active = dict(_ACTIVE.findall(_EXAMPLE.read_text(encoding="utf-8")))

    assert [name for name, value in active.items() if re.search(r"://.*localhost", value)] == [
        "TASKBEACON_CORS_ORIGINS"
    ]


def test_example_has_a_development_stack_send_no_real_pushes() -> None:
    text = _EXAMPLE.read_text(encoding="utf-8")

    assert re.search(r"^#TASKBEACON_EXPO_BASE_URL=", text, re.MULTILINE)


def test_example_secret_is_refused_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    values = dict(_ACTIVE.findall(_EXAMPLE.read_text(encoding="utf-8")))
    monkeypatch.setenv("TASKBEACON_SECRET_KEYS", values["TASKBEACON_SECRET_KEYS"])
    monkeypatch.delenv("TASKBEACON_DEVELOPMENT", raising=False)

    with pytest.raises(ValueError, match="development secret is refused"):
        Settings()
