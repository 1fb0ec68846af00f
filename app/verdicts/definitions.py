"""The checks and set-up steps of a run, united from all places that define them."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import ConfigDict, TypeAdapter
from typing_extensions import TypedDict

from app.enums import BaseExpectation, BaseUse, CheckGate, ChecksNetwork, CheckSource, OnUnverified
from app.verdicts.globs import matches

CHECKS_FILE: Final = ".taskbeacon/checks.toml"
_PROTECTED: Final = (".github/**", ".gitlab-ci.yml")
_TESTS: Final = (
    "tests/**",
    "test/**",
    "**/tests/**",
    "**/test_*.py",
    "**/*_test.*",
    "**/*.test.*",
    "**/*.spec.*",
    "**/__tests__/**",
    "**/src/test/**",
)
# In responses of the API, a step and a check have all their fields.
_SHOWN_WHOLE: Final = ConfigDict(json_schema_serialization_defaults_required=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command that prepares a clone. It has either `run` or `shell`."""

    __pydantic_config__ = _SHOWN_WHOLE
    run: tuple[str, ...] | None = None
    shell: str | None = None
    cwd: str = ""
    background: bool = False
    ready: tuple[str, ...] | None = None  # exits with 0 as soon as the background process can be used
    timeout_seconds: int = 600
    cache: tuple[str, ...] = ()  # paths in the clone, or below `~/`
    cache_key: tuple[str, ...] = ()  # globs of the files that decide whether a cache may be used


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A command with an expectation. It has either `run` or `shell`."""

    __pydantic_config__ = _SHOWN_WHOLE
    id: str
    run: tuple[str, ...] | None = None
    shell: str | None = None
    cwd: str = ""
    paths: tuple[str, ...] = ()
    timeout_seconds: int = 600
    gate: CheckGate = CheckGate.REGRESSION
    reports: tuple[str, ...] = ()  # globs of JUnit reports, from `cwd`
    retries: int = 1
    expect_base: BaseExpectation | None = None

    @property
    def is_gating(self) -> bool:
        return self.gate is not CheckGate.INFORMATIONAL

    def applies_to(self, changed: Iterable[str]) -> bool:
        return not self.paths or any(matches(self.paths, path) for path in changed)


def command_of(definition: Step | Check) -> str:
    return shlex.join(definition.run) if definition.run is not None else definition.shell or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSet:
    """What one place defines."""

    setup: tuple[Step, ...] = ()
    checks: tuple[Check, ...] = ()
    protected_paths: tuple[str, ...] | None = None
    test_paths: tuple[str, ...] | None = None
    checks_network: ChecksNetwork = ChecksNetwork.NONE
    max_repairs: int | None = None
    on_unverified: OnUnverified = OnUnverified.COMPLETE
    base: BaseUse = BaseUse.AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedCheck:
    check: Check
    source: CheckSource
    network: ChecksNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCheck:
    """A check that a file of the repository suggests; it is executed only once a person has taken it."""

    check: Check
    path: str  # of the file that suggests it
    key: str | None = None  # in that file


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """What all places together define for a run."""

    setup: tuple[Step, ...]
    checks: tuple[PlacedCheck, ...]
    protected_paths: tuple[str, ...]
    test_paths: tuple[str, ...]
    max_repairs: int | None
    on_unverified: OnUnverified
    base: BaseUse
    # Why the checks file is invalid; it defines nothing then.
    file_fault: str | None = None
    # The checks that the repository suggests, if no place defines one.
    found: tuple[FoundCheck, ...] = ()


CHECK_SET: Final = TypeAdapter(CheckSet)
_DEFINITIONS: Final = TypeAdapter(Definitions)


class StoredDefinitions(TypedDict):
    """Definitions as JSON, with what is read of them even if they are damaged."""

    on_unverified: OnUnverified


def store_definitions(definitions: Definitions) -> StoredDefinitions:
    stored: StoredDefinitions = _DEFINITIONS.dump_python(definitions, mode="json")
    return stored


def read_definitions(stored: StoredDefinitions | None) -> Definitions | None:
    return None if stored is None else _DEFINITIONS.validate_python(stored)


def unite(places: Sequence[tuple[CheckSource, CheckSet]], *, file_fault: str | None = None) -> Definitions:
    checks: dict[str, PlacedCheck] = {}
    for source, place in places:
        for check in place.checks:
            checks.setdefault(check.id, PlacedCheck(check=check, source=source, network=place.checks_network))
    sets = [place for _, place in places]
    repairs = [place.max_repairs for place in sets if place.max_repairs is not None]
    fails = any(place.on_unverified is OnUnverified.FAIL for place in sets)
    always = any(place.base is BaseUse.ALWAYS for place in sets)
    protected = _add_up([place.protected_paths for place in sets], _PROTECTED)
    return Definitions(
        setup=tuple(step for place in sets for step in place.setup),
        checks=tuple(checks.values()),
        protected_paths=(*protected, CHECKS_FILE),
        test_paths=_add_up([place.test_paths for place in sets], _TESTS),
        max_repairs=repairs[-1] if repairs else None,
        on_unverified=OnUnverified.FAIL if fails else OnUnverified.COMPLETE,
        base=BaseUse.ALWAYS if always else BaseUse.AUTO,
        file_fault=file_fault,
    )


def _add_up(lists_of_globs: Sequence[Sequence[str] | None], default: Sequence[str]) -> tuple[str, ...]:
    lists = [globs for globs in lists_of_globs if globs is not None] or [default]
    return tuple(dict.fromkeys(glob for globs in lists for glob in globs))
