"""The fields of check sets: defaults, and the code and place of each fault, in the order of the fields."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.enums import BaseUse, CheckGate, ChecksNetwork, OnUnverified
from app.schemas.checks.check_sets import CheckSetIn, ChecksFileInvalid, DefinitionsIn, read_checks_file
from app.verdicts.definitions import Check, CheckSet, Step
from app.web.body import first_error
from tests.support.verification import CHECK_DEFAULTS, DEFINITIONS_DEFAULTS, STEP_DEFAULTS

RUN = ["pytest", "-q"]
CHECK = {"id": "tests", "run": RUN}


def fault_of(body: dict[str, Any]) -> tuple[str, str | None]:
    with pytest.raises(ValidationError) as refused:
        CheckSetIn.model_validate(body)
    error = first_error(refused.value.errors(include_url=False))
    return error.code, error.attr


def fault_of_check(**fields: Any) -> tuple[str, str | None]:
    code, attr = fault_of({"checks": [CHECK | fields]})
    return code, attr and attr.removeprefix("checks__0__")


def fault_of_step(**fields: Any) -> tuple[str, str | None]:
    code, attr = fault_of({"setup": [{"run": RUN} | fields]})
    return code, attr and attr.removeprefix("setup__0__")


def test_every_key_is_shown_with_its_default() -> None:
    shown = CheckSetIn.model_validate({"setup": [{"shell": "make"}], "checks": [CHECK]}).model_dump(
        mode="json"
    )

    assert shown == {
        "repository": None,
        **DEFINITIONS_DEFAULTS,
        "setup": [STEP_DEFAULTS | {"shell": "make"}],
        "checks": [CHECK_DEFAULTS | CHECK],
    }
    assert CheckSetIn.model_validate(shown).model_dump(mode="json") == shown


def test_null_is_the_default_of_a_field_and_counts_as_given() -> None:
    given = CheckSetIn.model_validate(dict.fromkeys(CheckSetIn.model_fields))

    assert given == CheckSetIn()
    assert all(map(given.given, CheckSetIn.model_fields))
    given.setup.append(CheckSetIn.model_validate({"setup": [{"run": RUN}]}).setup[0])
    assert CheckSetIn.model_validate({"setup": None}).setup == []


@pytest.mark.parametrize(
    ("given", "repository"), [("Org/Name", "org/name"), ("", None), (" ", None), (None, None)]
)
def test_repository_is_kept_in_lower_case(given: str | None, repository: str | None) -> None:
    assert CheckSetIn.model_validate({"repository": given}).repository == repository


def test_fields_become_values() -> None:
    given = DefinitionsIn.model_validate(
        {
            "setup": [{"run": ["db"], "background": True, "ready": ["pg_isready"], "cache": ["~/.cache/uv"]}],
            "checks": [CHECK | {"gate": "strict", "retries": "2"}],
            "protected_paths": ["Makefile"],
            "checks_network": "run",
            "on_unverified": "fail",
            "base": "always",
        }
    )

    service = Step(run=("db",), background=True, ready=("pg_isready",), cache=("~/.cache/uv",))
    assert given.defined == CheckSet(
        setup=(service,),
        checks=(Check(id="tests", run=("pytest", "-q"), gate=CheckGate.STRICT, retries=2),),
        protected_paths=("Makefile",),
        checks_network=ChecksNetwork.RUN,
        on_unverified=OnUnverified.FAIL,
        base=BaseUse.ALWAYS,
    )


def test_arguments_are_kept_as_they_are() -> None:
    check = {"id": "a", "run": ["grep", "", " x ", 5]}

    assert CheckSetIn.model_validate({"checks": [check]}).checks[0].run == ["grep", "", " x ", "5"]


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"repository": "x", "setup": 1}, "invalid_input", "repository"),
    ({"setup": 1, "checks": 1}, "not_a_list", "setup"),
    ({"setup": [CHECK] * 11}, "max_length", "setup"),
    ({"setup": [[]]}, "not_a_dict", "setup__0"),
    ({"setup": [{}]}, "required", "setup__0__run"),
    ({"checks": {}, "protected_paths": 1}, "not_a_list", "checks"),
    ({"checks": [CHECK | {"id": f"c{n}"} for n in range(21)]}, "max_length", "checks"),
    ({"checks": [CHECK, 1]}, "not_a_dict", "checks__1"),
    ({"checks": [None]}, "not_a_dict", "checks__0"),
    ({"checks": [{}]}, "required", "checks__0__id"),
    ({"checks": [CHECK, CHECK]}, "invalid_input", "checks__1__id"),
    ({"checks": [CHECK, {"id": "a", "shell": "x"}, CHECK], "base": "x"}, "invalid_input", "checks__2__id"),
    ({"checks": [{"id": "a", "cwd": "/"}]}, "required", "checks__0__run"),
    ({"checks": [{"id": "a", "run": None, "shell": None}]}, "required", "checks__0__run"),
    ({"checks": [{"id": "A"}]}, "invalid_input", "checks__0__id"),
    ({"protected_paths": "x", "test_paths": "x"}, "not_a_list", "protected_paths"),
    ({"protected_paths": ["a", "/a"]}, "invalid_input", "protected_paths__1"),
    ({"protected_paths": ["a/../b"]}, "invalid_input", "protected_paths__0"),
    ({"protected_paths": ["a"] * 51}, "max_length", "protected_paths"),
    ({"protected_paths": ["a" * 501]}, "max_length", "protected_paths__0"),
    ({"test_paths": [""], "checks_network": "x"}, "blank", "test_paths__0"),
    ({"checks_network": "all", "max_repairs": 9}, "invalid_choice", "checks_network"),
    ({"max_repairs": 6, "on_unverified": "x"}, "max_value", "max_repairs"),
    ({"max_repairs": -1}, "min_value", "max_repairs"),
    ({"max_repairs": "x"}, "invalid_input", "max_repairs"),
    ({"on_unverified": "x", "base": "x"}, "invalid_choice", "on_unverified"),
    ({"base": "never"}, "invalid_choice", "base"),
]


@pytest.mark.parametrize(("body", "code", "attr"), FAULTS)
def test_first_fault_is_reported(body: dict[str, Any], code: str, attr: str) -> None:
    assert fault_of(body) == (code, attr)


@pytest.mark.parametrize(
    ("fields", "code", "attr"),
    [
        ({"id": "ä"}, "invalid_input", "id"),
        ({"id": "a" * 41}, "invalid_input", "id"),
        ({"id": None}, "null", "id"),
        ({"shell": "x"}, "invalid_input", "shell"),
        ({"run": "x"}, "not_a_list", "run"),
        ({"run": []}, "empty", "run"),
        ({"run": ["x"] * 101}, "max_length", "run"),
        ({"run": [" ", "x"]}, "blank", "run__0"),
        ({"run": ["x", "y" * 4097]}, "max_length", "run__1"),
        ({"run": ["x", True]}, "invalid_input", "run__1"),
        ({"run": ["x", "a\0"]}, "null_characters_not_allowed", "run__1"),
        ({"run": None, "shell": "x" * 16_385}, "max_length", "shell"),
        ({"run": None, "shell": " "}, "blank", "shell"),
        ({"cwd": "../x", "paths": 1}, "invalid_input", "cwd"),
        ({"cwd": "/x"}, "invalid_input", "cwd"),
        ({"paths": ["/x"], "timeout_seconds": 0}, "invalid_input", "paths__0"),
        ({"timeout_seconds": 0}, "min_value", "timeout_seconds"),
        ({"timeout_seconds": 3601}, "max_value", "timeout_seconds"),
        ({"timeout_seconds": None}, "null", "timeout_seconds"),
        ({"gate": "loose", "reports": 1}, "invalid_choice", "gate"),
        ({"reports": "x", "retries": 5}, "not_a_list", "reports"),
        ({"retries": 3, "expect_base": "x"}, "max_value", "retries"),
        ({"retries": -1}, "min_value", "retries"),
        ({"expect_base": "passed"}, "invalid_choice", "expect_base"),
    ],
)
def test_fault_of_a_check(fields: dict[str, Any], code: str, attr: str) -> None:
    assert fault_of_check(**fields) == (code, attr)


@pytest.mark.parametrize(
    ("fields", "code", "attr"),
    [
        ({"shell": "x"}, "invalid_input", "shell"),
        ({"background": "perhaps", "ready": ["x"]}, "invalid_input", "background"),
        ({"ready": ["x"]}, "invalid_input", "ready"),
        ({"background": True, "ready": "x"}, "not_a_list", "ready"),
        ({"timeout_seconds": 3601}, "max_value", "timeout_seconds"),
        ({"cache": ["x"] * 11}, "max_length", "cache"),
        ({"cache": ["/x"]}, "invalid_input", "cache__0"),
        ({"cache": ["~/"]}, "invalid_input", "cache__0"),
        ({"cache": ["a/../b"]}, "invalid_input", "cache__0"),
        ({"cache": ["."]}, "invalid_input", "cache__0"),
        ({"cache": ["~//x"]}, "invalid_input", "cache__0"),
        ({"cache_key": ["../x"]}, "invalid_input", "cache_key__0"),
    ],
)
def test_fault_of_a_step(fields: dict[str, Any], code: str, attr: str) -> None:
    assert fault_of_step(**fields) == (code, attr)


@pytest.mark.parametrize("cache", ["node_modules", "a/b/", "~/.cache/uv", "~x"])
def test_cache_is_in_the_clone_or_the_home(cache: str) -> None:
    given = CheckSetIn.model_validate({"setup": [{"run": RUN, "cache": [cache]}]})

    assert given.setup[0].cache == [cache]


def test_ready_belongs_to_the_background() -> None:
    CheckSetIn.model_validate({"setup": [{"run": RUN, "background": "yes", "ready": ["x"]}]})


def test_checks_file_defines_what_a_set_does() -> None:
    defined = read_checks_file(
        b"""
        max_repairs = 1
        test_paths = ["spec/**"]
        [[setup]]
        run = ["uv", "sync"]
        [[check]]
        id = "tests"
        shell = "pytest | tee log"
        """
    )

    assert defined.setup[0].run == ("uv", "sync")
    assert [check.id for check in defined.checks] == ["tests"]
    assert (defined.max_repairs, defined.test_paths) == (1, ("spec/**",))
    assert read_checks_file(b"") == CheckSet()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"[[check]", "The file is not TOML: "),
        (b"a = " + b"[" * 30_000, "The file is not TOML: "),
        (b"\xff", "The file is not UTF-8."),
        (b" " * 65_537, "The file has more than 65536 bytes."),
        (b"checks = []", "checks: The key is unknown."),
        (b"repository = 'a/b'", "repository: The key is unknown."),
        (b"[[check]]\nid='a'\nrun=['x']\nsource='github'", "check.0.source: The key is unknown."),
        (b"[[setup]]\nrun=['x']\nid='a'", "setup.0.id: The key is unknown."),
        (b"[[check]]\nrun=['x']", "check.0.id: This field is required."),
        (b"check = 1", 'check: Expected a list of items but got type "int".'),
        (b"check = [1]", 'check.0: Expected a dictionary of items but got type "int".'),
        (
            b"[[check]]\nid='a'\nshell='true'",
            "check.0.shell: This command cannot fail, so it proves nothing.",
        ),
        (
            b"[[check]]\nid='a'\nrun=['x']\n[[check]]\nid='a'\nrun=['x']",
            "check.1.id: Another check of the list has this id.",
        ),
        (b"max_repairs = 1979-05-27", "max_repairs: A valid integer is required."),
    ],
)
def test_faulty_checks_file_counts_for_nothing(content: bytes, fault: str) -> None:
    with pytest.raises(ChecksFileInvalid) as refused:
        read_checks_file(content)

    assert str(refused.value).startswith(fault)
