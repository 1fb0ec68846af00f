"""Definitions of checks as people write them: check sets, acceptance of tasks and runs, and the checks file."""

import re
import tomllib
from collections.abc import Sequence
from copy import copy
from datetime import datetime
from typing import Annotated, ClassVar, Final, NotRequired
from uuid import UUID

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from typing_extensions import TypedDict

from app.enums import BaseExpectation, BaseUse, CheckGate, ChecksNetwork, OnUnverified
from app.json_types import JsonDict
from app.schemas.base import Input, ListPage, QueryInput, doc
from app.schemas.checks.check_commands import Arguments, CommandLine, check_relative, refuse_if_it_cannot_fail
from app.schemas.fields import Boolean, Choice, Integer, Items, Text, check_repository, fail, require_object
from app.schemas.users import UserBasic
from app.verdicts.definitions import CHECK_SET, Check, CheckSet, Step

MAX_CHECKS: Final = 20
FILE_BYTES: Final = 64 * 1024
# The texts of errors that bodies of requests cannot have, or report differently.
_FAULTS = {"missing": "This field is required.", "extra_forbidden": "The key is unknown."}
_ID = re.compile(r"[a-z0-9_-]{1,40}")

_Seconds = Annotated[int, Integer(minimum=1, maximum=3600), doc("Seconds after which it is ended.")]
_Glob = Annotated[str, Text(max_length=500, check=check_relative)]
_GLOBS = Items(max_length=50)


def _check_id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise fail("invalid_input", "Enter 1 to 40 of the characters a-z, 0-9, `_` and `-`.")
    return text


def _check_cached(path: str) -> str:
    inside = path.removeprefix("~/").removesuffix("/")
    if path.startswith("/") or {"", ".", ".."} & set(inside.split("/")):
        raise fail("invalid_input", "Enter a path in the clone or below `~/`, without `..`.")
    return path


class StepIn(CommandLine):
    """A set-up step: a command that prepares a clone, or stays in the background as a service."""

    background: Annotated[bool, Boolean(), doc("Whether it runs on beside the agent, or the checks.")] = False
    ready: Annotated[Arguments, doc("Only with `background`: exits with 0 once it can be used.")] = None
    timeout_seconds: _Seconds = 600
    cache: Annotated[
        list[Annotated[str, Text(max_length=500, check=_check_cached)]],
        Items(max_length=10),
        doc("Paths that are kept for later runs: in the clone, or below `~/`.", ["node_modules"]),
    ] = []
    cache_key: Annotated[
        list[_Glob],
        _GLOBS,
        doc("Files whose content decides whether a cache may be used.", ["package-lock.json"]),
    ] = []

    @field_validator("ready")
    @classmethod
    def _needs_background(cls, ready: list[str] | None, info: ValidationInfo) -> list[str] | None:
        if ready is not None and info.data.get("background") is False:
            raise fail("invalid_input", "Only a step in the background has `ready`.")
        return ready


class _Identified(Input):
    id: Annotated[str, Text(check=_check_id), doc("Its name, unique among all checks of a run.", "tests")]


# The fields of the last base come first, and fields are checked in their order.
class CheckIn(CommandLine, _Identified):
    """A check: a command with an expectation."""

    paths: Annotated[list[_Glob], _GLOBS, doc("Only if a changed file matches one; empty: always.")] = []
    timeout_seconds: _Seconds = 600
    gate: Annotated[
        CheckGate,
        Choice(of=CheckGate, named=True),
        doc(
            "`strict`: it must pass; `regression`: no case may fail that did not fail on the base; `informational`: "
            "it does not count."
        ),
    ] = CheckGate.REGRESSION
    reports: Annotated[list[_Glob], _GLOBS, doc("JUnit reports, from `cwd`.", ["report.xml"])] = []
    retries: Annotated[int, Integer(minimum=0, maximum=2), doc("Repetitions after a failure.")] = 1
    expect_base: Annotated[
        BaseExpectation | None,
        Choice(of=BaseExpectation, named=True, null=True),
        doc("`failed`: it proves nothing unless it fails on the base."),
    ] = None

    _can_fail = field_validator("run", "shell")(refuse_if_it_cannot_fail)


def _require_own_ids(checks: Sequence[CheckIn]) -> Sequence[CheckIn]:
    ids: set[str] = set()
    for index, check in enumerate(checks):
        if check.id in ids:
            raise fail("invalid_input", "Another check of the list has this id.", index, "id")
        ids.add(check.id)
    return checks


class DefinitionsIn(Input):
    """Definitions of checks. Null stands for the default of a field."""

    examples: ClassVar = {
        "Tests": {
            "setup": [{"run": ["uv", "sync", "--frozen"]}],
            "checks": [
                {"id": "tests", "run": ["pytest", "-q", "--junitxml=report.xml"], "reports": ["report.xml"]}
            ],
        }
    }

    setup: Annotated[
        list[Annotated[StepIn, BeforeValidator(require_object)]],
        Items(max_length=10),
        doc("Steps that prepare each clone, in this order."),
    ] = []
    checks: Annotated[
        list[Annotated[CheckIn, BeforeValidator(require_object)]],
        Items(max_length=MAX_CHECKS),
        AfterValidator(_require_own_ids),
        doc("Checks of the result, in this order."),
    ] = []
    protected_paths: Annotated[
        list[_Glob] | None,
        Items(max_length=50, null=True),
        doc("Files that are put back before checks; null: `.github/**`, `.gitlab-ci.yml`."),
    ] = None
    test_paths: Annotated[
        list[_Glob] | None, Items(max_length=50, null=True), doc("Files that are tests; null: usual names.")
    ] = None
    checks_network: Annotated[
        ChecksNetwork, Choice(of=ChecksNetwork, named=True), doc("The network of these checks.")
    ] = ChecksNetwork.NONE
    max_repairs: Annotated[
        int | None,
        Integer(minimum=0, maximum=5, null=True),
        doc("How often an agent may correct a refuted result; null: the service's default."),
    ] = None
    on_unverified: Annotated[
        OnUnverified, Choice(of=OnUnverified, named=True), doc("How a run ends that is not verified.")
    ] = OnUnverified.COMPLETE
    base: Annotated[
        BaseUse, Choice(of=BaseUse, named=True), doc("When checks are executed on the base too.")
    ] = BaseUse.AUTO

    @model_validator(mode="before")
    @classmethod
    def _null_is_default(cls, fields: JsonDict) -> JsonDict:
        nulls = [name for name in cls.model_fields if fields.get(name, name) is None]
        return fields | {name: copy(cls.model_fields[name].default) for name in nulls}

    @property
    def stored(self) -> JsonDict:
        return self.model_dump(mode="json", exclude={"repository"})

    @property
    def defined(self) -> CheckSet:
        return CHECK_SET.validate_python(self.model_dump(exclude={"repository"}))


Acceptance = Annotated[
    Annotated[DefinitionsIn, BeforeValidator(require_object)] | None,
    doc("Checks of the work beside those of the project, the repository and the checks file."),
]


def acceptance_of(definitions: DefinitionsIn | None) -> JsonDict | None:
    """Return an acceptance as it is stored, with the defaults filled in; None if it names nothing."""
    return None if definitions is None or not definitions.model_fields_set else definitions.stored


class _OfRepository(Input):
    repository: Annotated[
        str | None,
        Text(max_length=255, blank_is_absent=True, null=True, check=check_repository),
        doc("`organization/repository`; null: all repositories of the project."),
    ] = None


# The fields of the last base come first, and fields are checked in their order.
class CheckSetIn(DefinitionsIn, _OfRepository):
    """A new check set of a project or of one of its repositories, or changes to one."""

    examples: ClassVar = {"Tests": {"repository": "acme/shop", **DefinitionsIn.examples["Tests"]}}


class CheckSetQuery(QueryInput):
    """The filter of a list of check sets."""

    repository: Annotated[str | None, Text(max_length=255), doc("Only the set of this repository.")] = None


class DefinitionsOut(TypedDict):
    """Definitions of checks, with the defaults of fields that were not given."""

    setup: list[Step]
    checks: list[Check]
    protected_paths: Annotated[list[str] | None, doc("Files that are put back before checks; null: default.")]
    test_paths: Annotated[list[str] | None, doc("Files that are tests; null: usual names.")]
    checks_network: ChecksNetwork
    max_repairs: Annotated[int | None, doc("How often an agent may correct a refuted result.")]
    on_unverified: OnUnverified
    base: BaseUse


class CheckSetOut(DefinitionsOut):
    """A check set."""

    id: UUID
    repository: Annotated[str | None, doc("Null: all repositories of the project.", "acme/shop")]
    created_at: datetime
    created_by: UserBasic | None
    updated_at: datetime
    updated_by: UserBasic | None
    warnings: NotRequired[Annotated[list[str], doc("After a change: what workers cannot hold, and why.")]]


class CheckSetPage(ListPage):
    """A page of check sets."""

    results: list[CheckSetOut]


class FoundCheckOut(TypedDict):
    """A check that the repository suggests; it is not run until a check set names it."""

    check: Check
    origin: Annotated[dict[str, str | None], doc("`path`, and `key` in that file, that it comes from.")]


class DetectIn(Input):
    """A repository that is to be looked through for checks."""

    examples: ClassVar = {"A repository": {"repository": "acme/shop"}}

    repository: Annotated[
        str, Text(max_length=255, check=check_repository), doc("`organization/repository`.", "acme/shop")
    ]


class ScanOut(TypedDict):
    """What the files of a repository suggest."""

    repository: str
    commit: Annotated[str | None, doc("The commit of the default branch; null for an empty repository.")]
    scanned_at: datetime
    found: list[FoundCheckOut]


class ScanningOut(TypedDict):
    """The answer while a repository is being looked through."""

    repository: str
    status: Annotated[str, doc("Always `scanning`: ask again.", "scanning")]


class ChecksFileInvalid(Exception):
    """The checks file has a fault, which the message names."""


def read_checks_file(content: bytes) -> CheckSet:
    """Return what a checks file defines. Raises ChecksFileInvalid."""
    if len(content) > FILE_BYTES:
        raise ChecksFileInvalid(f"The file has more than {FILE_BYTES} bytes.")
    try:
        table = tomllib.loads(content.decode())
    except UnicodeDecodeError:
        raise ChecksFileInvalid("The file is not UTF-8.") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ChecksFileInvalid(f"The file is not TOML: {error}") from None
    if "checks" in table:
        raise ChecksFileInvalid("checks: The key is unknown.")
    if "check" in table:
        table["checks"] = table.pop("check")
    try:
        return DefinitionsIn.model_validate(table, extra="forbid").defined
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        steps = (*first["loc"], *first.get("ctx", {}).get("below", ()))
        path = ".".join("check" if step == "checks" else str(step) for step in steps)
        raise ChecksFileInvalid(f"{path}: {_FAULTS.get(first['type'], first['msg'])}") from None
