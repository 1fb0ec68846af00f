"""What the places that define checks mean together, and which paths globs match."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.enums import BaseExpectation, BaseUse, CheckGate, ChecksNetwork, CheckSource, OnUnverified
from app.verdicts.definitions import (
    CHECK_SET,
    Check,
    CheckSet,
    Step,
    read_definitions,
    store_definitions,
    unite,
)
from app.verdicts.globs import matches

PLACES = tuple(CheckSource)


def united(*sets: CheckSet) -> Any:
    return unite(list(zip(PLACES, sets, strict=False)))


def test_nothing_defined_has_the_defaults() -> None:
    definitions = unite([])

    assert (definitions.setup, definitions.checks) == ((), ())
    assert definitions.protected_paths == (".github/**", ".gitlab-ci.yml", ".taskbeacon/checks.toml")
    assert "**/test_*.py" in definitions.test_paths
    assert definitions.max_repairs is None
    assert definitions.on_unverified is OnUnverified.COMPLETE
    assert definitions.base is BaseUse.AUTO


def test_steps_and_checks_keep_the_order_of_places() -> None:
    definitions = united(
        CheckSet(setup=(Step(run=("a",)),), checks=(Check(id="one", run=("a",)),)),
        CheckSet(setup=(Step(run=("b",)),), checks=(Check(id="two", run=("b",)),)),
    )

    assert [step.run for step in definitions.setup] == [("a",), ("b",)]
    assert [(placed.check.id, placed.source) for placed in definitions.checks] == [
        ("one", CheckSource.PROJECT),
        ("two", CheckSource.REPOSITORY),
    ]


def test_later_check_with_a_known_id_is_dropped() -> None:
    definitions = united(
        CheckSet(checks=(Check(id="tests", run=("strict",), gate=CheckGate.STRICT),)),
        CheckSet(checks=(Check(id="tests", run=("loose",), gate=CheckGate.INFORMATIONAL),)),
    )

    assert [placed.check.run for placed in definitions.checks] == [("strict",)]


def test_network_holds_for_the_checks_of_its_own_place() -> None:
    definitions = united(
        CheckSet(checks=(Check(id="one", run=("a",)),), checks_network=ChecksNetwork.RUN),
        CheckSet(checks=(Check(id="two", run=("a",)),)),
    )

    assert [placed.network for placed in definitions.checks] == [ChecksNetwork.RUN, ChecksNetwork.NONE]


def test_paths_add_up_and_replace_the_defaults_if_named() -> None:
    definitions = united(
        CheckSet(
            protected_paths=(
                "a",
                "b",
            )
        ),
        CheckSet(test_paths=()),
        CheckSet(
            protected_paths=(
                "b",
                "c",
            )
        ),
    )

    assert definitions.protected_paths == ("a", "b", "c", ".taskbeacon/checks.toml")
    assert definitions.test_paths == ()


@pytest.mark.parametrize("place", [0, 1])
def test_failing_and_always_count_from_any_place(place: int) -> None:
    sets = [CheckSet(), CheckSet()]
    sets[place] = CheckSet(on_unverified=OnUnverified.FAIL, base=BaseUse.ALWAYS)

    definitions = united(*sets)

    assert definitions.on_unverified is OnUnverified.FAIL
    assert definitions.base is BaseUse.ALWAYS


def test_last_place_that_names_a_number_of_repairs_counts() -> None:
    assert united(CheckSet(max_repairs=3), CheckSet(max_repairs=0), CheckSet()).max_repairs == 0


def test_definitions_survive_json() -> None:
    check = Check(
        id="a",
        run=("x",),
        gate=CheckGate.STRICT,
        expect_base=BaseExpectation.FAILED,
    )
    place = CheckSet(setup=(Step(run=("a",)),), checks=(check,), max_repairs=2)
    definitions = unite([(CheckSource.TASK, place)], file_fault="check.0.id: This field is required.")

    assert read_definitions(json.loads(json.dumps(store_definitions(definitions)))) == definitions
    assert CHECK_SET.validate_json("{}") == CheckSet()


@pytest.mark.parametrize(
    ("glob", "matching", "others"),
    [
        ("a.py", ["a.py"], ["b.py", "x/a.py", "a.pyc", "aXpy"]),
        ("*.py", ["a.py", ".py"], ["x/a.py"]),
        ("a*b*c", ["abc", "aXbYc", "abcbc"], ["ab", "aXb/c"]),
        ("*/a*b/*", ["x/ab/y", "x/aab/y"], ["ab/y", "x/ab"]),
        ("tests/**", ["tests/a.py", "tests/x/a.py"], ["tests", "tests/", "a/tests/b", "testsX/a"]),
        ("**/tests/**", ["tests/a", "x/tests/a", "x/y/tests/z/a"], ["tests", "xtests/a"]),
        ("**/test_*.py", ["test_a.py", "x/y/test_.py"], ["x/test_a.txt", "xtest_a.py", "test_x/a.py"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a/xb", "ab", "xa/b"]),
        ("a/**/b/**/c", ["a/b/c", "a/b/x/b/y/c"], ["a/c", "a/b"]),
        ("**/*_test.*", ["a_test.go", "x/a_test.tar.gz"], ["a_test"]),
        ("a/**/**/b", ["a/b", "a/x/b"], ["a/xb"]),
        ("**", ["a", "a/b"], [""]),
        ("a**b", ["ab", "axb"], ["a/b"]),
        ("app/[id]/page.?", ["app/[id]/page.?"], ["app/i/page.x"]),
        ("a*", ["a\nb"], ["a/\nb"]),
    ],
)
def test_glob_matches(glob: str, matching: list[str], others: list[str]) -> None:
    assert [path for path in [*matching, *others] if matches([glob], path)] == matching


def test_path_matches_one_of_several_globs() -> None:
    assert matches(["a", "b"], "b")
    assert not matches([], "b")


NAMES = st.text("ab", min_size=1, max_size=3)
PATTERNS = st.one_of(st.just("**"), st.text("ab*", min_size=1, max_size=4).filter(lambda s: "**" not in s))


@given(st.lists(PATTERNS, min_size=1, max_size=4), st.lists(NAMES, min_size=1, max_size=4))
def test_globs_match_as_a_plain_search_of_all_ways_does(pattern: list[str], names: list[str]) -> None:
    assert matches(["/".join(pattern)], "/".join(names)) == _search(pattern, names)


def _search(pattern: list[str], names: list[str]) -> bool:
    if not pattern:
        return not names
    if pattern[0] == "**":
        if len(pattern) == 1:
            return bool(names)
        return any(_search(pattern[1:], names[skipped:]) for skipped in range(len(names)))
    wildcard = re.compile(pattern[0].replace("*", ".*"))
    return bool(names) and bool(wildcard.fullmatch(names[0])) and _search(pattern[1:], names[1:])


def test_no_glob_takes_long() -> None:
    # With backtracking each of these would take longer than the universe has.
    assert not matches(["*a" * 250], "a" * 4000 + "b")
    assert not matches(["**/a/" * 80 + "b"], "a/" * 2000 + "c")


@pytest.mark.parametrize(
    ("paths", "changed", "applies"),
    [((), [], True), (("a/**",), ["b", "a/c"], True), (("a/**",), ["b"], False)],
)
def test_check_with_paths_applies_if_one_of_them_changed(
    paths: tuple[str, ...], changed: list[str], *, applies: bool
) -> None:
    assert Check(id="a", run=("x",), paths=paths).applies_to(changed) is applies


def test_informational_check_is_not_gating() -> None:
    gating = {gate for gate in CheckGate if Check(id="a", run=("x",), gate=gate).is_gating}

    assert gating == {CheckGate.STRICT, CheckGate.REGRESSION}
