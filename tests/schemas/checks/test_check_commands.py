"""Commands of checks that cannot fail are refused, and no others."""

import pytest
from pydantic import ValidationError

from app.schemas.checks.check_sets import CheckIn, StepIn

CANNOT_FAIL = [
    ["true"],
    ["/usr/bin/true", "x"],
    [":"],
    ["echo", "ok"],
    ["printf", "%s", "x"],
    ["bash", "-c", "true"],
    ["/bin/sh", "-c", "pytest || true"],
    ["bash", "-ec", "pytest | tee log"],
    ["bash", "-lc", "pytest |& tee log"],
    ["dash", "-e", "-c", "exit 0"],
    ["zsh", "-o", "errexit", "-c", ":"],
    ["bash", "-c", "--", "true"],
    ["sh", "-c", ""],
    # Regression: these were accepted.
    ["env", "true"],
    ["/usr/bin/env", "bash", "-c", "pytest || true"],
    "pytest || (true)",
    "pytest || (echo failed; true)",
    "pytest || { echo failed; }",
    "pytest || /bin/true",
    "pytest || command true",
    "(pytest || true)",
    "{ true; }",
    "true",
    ":",
    "exit 0",
    "exit   0 ;",
    "echo done",
    "printf '%s' x",
    "# nothing",
    "true # nothing",
    "true && echo 'a || b'; printf x\nexit 0",
    "pytest || true",
    "pytest || :",
    "pytest || exit 0",
    "pytest || echo failed",
    "pytest || echo failed >&2",
    "pytest || echo 'it failed' && echo x || true ; # never mind\n\n ;",
    "pytest || \\\n  true",
    "pytest; true",
    "pytest ;true;",
    "pytest;:",
    "pytest\nexit 0\n",
    "pytest\n# the end\ntrue",
    "pytest#; true",
    "set +e\npytest",
    "set -x; set +eu; pytest",
    "set +xe; pytest",
    "set +o pipefail; pytest | tee log",
    "set -e +o pipefail; pytest | tee log",
]
CAN_FAIL = [
    ["pytest"],
    ["test", "-f", "x"],
    ["echoes"],
    ["env", "pytest"],
    # It ignores what recipes return, but not that there is none.
    ["make", "-i", "test"],
    ["bash", "true"],
    ["bash", "run.sh", "-c", "true"],
    ["bash", "-c"],
    ["bash", "--norc", "true"],
    ["bash", "--rcfile", "-c"],
    ["bash", "+c", "true"],
    ["bash", "-c", "pytest"],
    ["bash", "-c", "set -o pipefail; pytest | tee log"],
    ["bash", "-euo", "pipefail", "-c", "pytest | tee log"],
    ["bash", "-c", "pytest || ruff check"],
    ["bash", "-c", "grep 'a|b' x"],
    ["bash", "-c", "pytest >| log"],
    ["fish", "-c", "true"],
    "pytest",
    "test -f x",
    "a || b",
    "a | b",
    "pytest | true",
    "pytest && true",
    "pytest && exit 0",
    "pytest || false",
    "pytest || exit 1",
    "pytest || printf x",
    "pytest || echo x; exit 1",
    "pytest; exit 00",
    "pytest; echo done",
    "pytest; true x",
    "pytest || 'true'",
    "pytest; tr'ue'",
    "pytest 2>&1 true",
    "pytest '; true'",
    'pytest "|| true"',
    "pytest \\; true",
    "pytest '#'; exit 1",
    "pytest # ; true",
    # In a group it is ended by a failure, as `-e` says.
    "(pytest; true)",
    "(pytest || true) && ruff check",
    "pytest || (true; ruff check)",
    "pytest || { echo failed; exit 1; }",
    "pytest ||",
    "[ -e x ] || exec pytest",
    "if a; then true; fi",
    "set -e; pytest",
    "set +x; pytest",
    "set +o nounset; pytest",
    "echo set +e; pytest",
    "'set' +e; pytest",
    "echo 'set +e'; pytest",
    "true; pytest",
    "exit 1",
    "pytest || true &",
    "grep 'it",
]


@pytest.mark.parametrize("command", CANNOT_FAIL, ids=repr)
def test_command_that_cannot_fail_is_refused(command: list[str] | str) -> None:
    name = "shell" if isinstance(command, str) else "run"
    with pytest.raises(ValidationError) as refused:
        CheckIn.model_validate({"id": "a", name: command})

    [fault] = refused.value.errors()
    assert (fault["type"], fault["loc"]) == ("check_cannot_fail", (name,))


@pytest.mark.parametrize("command", CAN_FAIL, ids=repr)
def test_command_that_can_fail_is_accepted(command: list[str] | str) -> None:
    CheckIn.model_validate({"id": "a", "shell" if isinstance(command, str) else "run": command})


def test_set_up_is_free_to_succeed() -> None:
    StepIn.model_validate({"shell": "createdb test || true"})
    StepIn.model_validate({"run": ["true"]})
