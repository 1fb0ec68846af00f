"""Read the spec of a run from its row, and those of its task, project, person and sandbox environment."""

from typing import Any, NamedTuple
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import and_, bindparam, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.statements import Prepared
from app.enums import CheckSource, NetworkAccessLevel
from app.json_types import JsonDict
from app.models import CheckSet as CheckSetRow
from app.models import Project, PushedBranch, Run, SandboxEnvironment, Task, User, Verification
from app.models.runs.run_facts import ACCEPTANCE
from app.models.runs.run_transitions import RunPhase, is_in
from app.schemas.staged_artifacts import ArtifactOut
from app.services.access.visibility import usable_environment
from app.services.runs.run_authority import frozen_or_current, person_of
from app.services.views.task_links import slug, slug_prefix
from app.verdicts.definitions import CHECK_SET, CheckSet, StoredDefinitions

_LONGEST_OPTION = 1000

# For an outer join, with `Task` in the statement. It reads the column, not `state`, which clients write. A private
# environment that the run's person may not use now counts as deleted.
_ENVIRONMENT_OF_RUN = and_(
    SandboxEnvironment.id == Run.sandbox_environment_id, usable_environment(Run.project_id, person_of())
)


class SpecEnvironment(NamedTuple):
    network_access_level: NetworkAccessLevel
    allowed_domains: list[str]
    include_default_domains: bool
    encrypted_variables: dict[str, str]
    for_checks: list[str]


class Person(NamedTuple):
    email: str
    first_name: str
    last_name: str


class Repair(NamedTuple):
    """The request to the agent to correct its work, which checks have refuted."""

    message: str
    worked_seconds: float
    # The checks of the work.
    definitions: StoredDefinitions
    # The commit at which the run began.
    began: str | None


class RunSpec(NamedTuple):
    """The facts of a run from its rows, for the worker that performs the run or checks its work."""

    branch: str | None
    state: JsonDict
    artifacts: list[ArtifactOut]
    title: str
    description: str
    repository: str | None
    json_schema: Any
    acceptance: JsonDict | None
    # The check sets of its project and repository, each a list of repository and definition.
    check_sets: list[tuple[str | None, JsonDict]] | None
    task_number: int | None
    project_id: int
    project_name: str
    may_notify: bool
    sandbox_environment_id: UUID | None
    environment: SpecEnvironment | None
    person: Person | None
    encrypted_mcp_servers: str | None
    repair: Repair | None

    @property
    def places(self) -> tuple[tuple[CheckSource, CheckSet], ...]:
        """The check sets of the project, repository, task and run (contract 18.2), without the checks file."""
        defined: dict[CheckSource, Any] = {
            CheckSource.PROJECT if repository is None else CheckSource.REPOSITORY: definition
            for repository, definition in self.check_sets or ()
        }
        defined |= {CheckSource.TASK: self.acceptance, CheckSource.RUN: self.state.get(ACCEPTANCE)}
        read = ((source, _read(defined.get(source))) for source in CheckSource)
        return tuple((source, place) for source, place in read if place is not None)

    @property
    def slug(self) -> str:
        return slug(slug_prefix(self.project_name), self.task_number) or "task"

    def text(self, key: str) -> str | None:
        """Return a text from the state; None for any other value, since clients write the state too."""
        value = self.state.get(key)
        return value if isinstance(value, str) else None

    def option(self, key: str) -> str | None:
        value = self.text(key)
        return None if value is None or len(value) > _LONGEST_OPTION else value


def _read(definition: object) -> CheckSet | None:
    try:
        return CHECK_SET.validate_python(definition)
    except ValidationError:
        # There is none, or the run's state has another value under this key, from a client of an earlier release.
        return None


# A run whose work is checked or corrected stays with the repository of its push, also if its task names another now.
_PUSHED_TO = (
    select(PushedBranch.repository).where(PushedBranch.run_id == Run.id).correlate(Run).scalar_subquery()
)
_REPOSITORY = func.coalesce(
    case((Run.verification.is_not(None), _PUSHED_TO)), frozen_or_current(Task.repository).element
)
_CHECK_SETS = (
    select(func.jsonb_agg(func.jsonb_build_array(CheckSetRow.repository, CheckSetRow.definition)))
    .where(
        CheckSetRow.project_id == Run.project_id,
        CheckSetRow.repository.is_(None) | (CheckSetRow.repository == func.lower(_REPOSITORY)),
    )
    .correlate(Run, Task)
    .scalar_subquery()
)
_NEWEST = (
    select(
        Verification.repair.label("message"),
        Verification.delivery["worked_seconds"].label("worked_seconds"),
        Verification.definitions,
        Verification.delivery["began"].label("began"),
    )
    .where(Verification.run_id == Run.id)
    .order_by(Verification.attempt.desc())
    .limit(1)
    .correlate(Run)
    .lateral("newest")
)
_RUN = Prepared(
    select(
        Run.branch,
        Run.state.op("||")(Run.facts).label("state"),
        Run.artifacts,
        frozen_or_current(Task.title),
        frozen_or_current(Task.description),
        _REPOSITORY.label("repository"),
        frozen_or_current(Task.json_schema),
        frozen_or_current(Task.acceptance),
        _CHECK_SETS.label("check_sets"),
        Task.task_number,
        Run.project_id,
        Project.name.label("project_name"),
        (Project.notify_user & Task.created_by_id.is_not(None)).label("may_notify"),
        Run.sandbox_environment_id,
        SandboxEnvironment.network_access_level,
        SandboxEnvironment.allowed_domains,
        SandboxEnvironment.include_default_domains,
        SandboxEnvironment.encrypted_variables,
        SandboxEnvironment.for_checks,
        User.email,
        User.first_name,
        User.last_name,
        Run.encrypted_mcp_servers,
        *_NEWEST.c,
    )
    .join(Task, Task.id == Run.task_id)
    .outerjoin(User, User.id == person_of())
    .join(Project, Project.id == Run.project_id)
    .outerjoin(SandboxEnvironment, _ENVIRONMENT_OF_RUN)
    .outerjoin(_NEWEST, is_in(RunPhase.REPAIRING))
    .where(Run.id == bindparam("run")),
    RunSpec,
)


async def read_run_spec(session: AsyncSession, run_id: UUID) -> RunSpec:
    return await _RUN.one(session, {"run": run_id})
