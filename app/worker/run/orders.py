"""From a claimed run to the agent's orders, and from the agent's result to the run's last words.

Reads what an agent needs to know and decides what the run says in the end; it starts nothing itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.adapters.catalog import DEFAULT_ADAPTER, Catalog
from app.agents.base.attachments import Attachment
from app.agents.errors import AgentCancelled, AgentError, is_disk_full
from app.agents.execution.execution import RunResult, RunSpec
from app.agents.git.mirrors import Mirrors
from app.agents.git.repository import Author
from app.agents.sandbox.sandbox import Sandbox
from app.agents.session.budget import Budget
from app.agents.session.conversation import Manners
from app.agents.session.spending import Spent
from app.agents.workspace.kept_session import KeptSession
from app.config import Settings
from app.enums import PrAuthorshipMode, RunMode, RunStatus
from app.models import Project, Run, SandboxEnvironment, Task, User
from app.schemas.runs import ArtifactOut
from app.security import Cipher
from app.services.code_hosts import pull_requests
from app.services.code_hosts.credentials import CodeHost, HostAccess, clone_url, read_code_host
from app.services.code_hosts.pushed_branches import PushRecord, branch_to_resume
from app.services.resume_chain import resumes
from app.services.runs.authority import as_asked, person_of
from app.services.runs.facts import LEFT_OUT, NOT_STORED
from app.services.runs.options import token_budget
from app.services.runs.usage import spent_by_others
from app.services.storage_keys import RunRef
from app.services.views.slugs import slug, slug_prefix
from app.statements import Fields, Prepared
from app.worker.run.memory import Earlier, earlier_runs
from app.worker.run.sandbox import ENVIRONMENT_COLUMNS, ENVIRONMENT_OF_RUN, RunSandbox, run_sandbox

__all__ = ["UNEXPECTED", "Ending", "Orders", "ending_of", "read_orders"]

_SHORT_ID_LENGTH = 8
_LONGEST_WISH = 1000
_LEFT_OUT_CHARACTERS = 2000
_NAMED_FILES = 10
UNEXPECTED = "The worker met an unexpected error while performing this run. Its log has the details."
_NO_ROOM = "The disk of the worker is full. Start the run again when there is room."


@dataclass(frozen=True, slots=True)
class Orders:
    """What one run is about: the rows' part of a `RunSpec`."""

    run_id: UUID
    task_id: UUID
    project_id: int
    slug: str
    title: str
    prompt: str
    repository: str | None
    branch: str | None
    json_schema: Any
    state: Mapping[str, Any]
    confines: RunSandbox
    host: CodeHost
    # Who signs the commits.
    author: Author
    # What an earlier run of the chain has pushed; this one goes on with it.
    resumed_branch: str | None = None
    # Files that the agent is given (contract 5.8).
    attached: tuple[ArtifactOut, ...] = ()
    # What the other runs of the task had used when this was read.
    spent: Spent = field(default_factory=Spent)
    # The runs that this one goes on from, oldest first.
    earlier: tuple[Earlier, ...] = ()
    # What was said when the run was asked for, beside what the task says.
    follow_up: str | None = None

    @property
    def log(self) -> RunRef:
        """The log that the agent's updates go to."""
        return RunRef(self.project_id, self.task_id, self.run_id)

    @property
    def push_branch(self) -> str:
        """The branch that takes the work."""
        # Random digits: a time-ordered id begins alike for runs of the same minute.
        own = f"taskbeacon/{self.slug.lower()}-{self.run_id.hex[-_SHORT_ID_LENGTH:]}"
        return self.resumed_branch or own

    def _wish(self, key: str) -> str | None:
        """Return what the state says of how the agent works; clients write it too, and what is no text is none."""
        value = self.state.get(key)
        return value if isinstance(value, str) and len(value) <= _LONGEST_WISH else None

    def subject(self, settings: Settings) -> pull_requests.Subject:
        """Return what a pull request of this run is about."""
        url = settings.task_url.replace("{project_id}", str(self.project_id))
        return pull_requests.Subject(
            repository=self.repository or "",
            title=self.title,
            slug=self.slug,
            task_url=url.replace("{task_id}", str(self.task_id)),
        )

    def pushed(self, result: RunResult, outcome: pull_requests.Outcome) -> PushRecord | None:
        """Return what is kept of what the run left at its host, None if it pushed nothing."""
        if self.repository is None or result.head_branch is None or result.head_sha is None:
            return None
        return PushRecord(
            repository=self.repository,
            integration_id=self.host.integration_id,
            branch=result.head_branch,
            base_branch=result.base_branch,
            head_sha=result.head_sha,
            pull_request=outcome.pull_request,
        )

    def spec(
        self,
        settings: Settings,
        *,
        catalog: Catalog,
        sandbox: Sandbox,
        environment: Mapping[str, str],
        access: HostAccess,
        mirrors: Mirrors | None,
        attachments: Sequence[Attachment] = (),
        outbox: Path | None = None,
        memory: str | None = None,
        session: KeptSession | None = None,
        session_file: Path | None = None,
    ) -> RunSpec:
        """Return the agent's orders.

        Raises:
            EnvironmentUnavailable: the run's sandbox environment is gone, or its variables cannot be read.
            RepositoryNotFound: the task's repository is not a name that can be cloned.
            UnknownAdapter: the run asks for an agent that is not in the catalog any more.

        """
        return RunSpec(
            run_id=self.run_id,
            adapter=catalog.find(self._wish("runtime_adapter") or DEFAULT_ADAPTER),
            agents=settings.agents_path,
            prompt=self.prompt,
            memory=memory,
            session=session,
            follow_up=self.follow_up,
            session_file=session_file,
            root=settings.workspaces_path,
            push_branch=self.push_branch,
            resumes=self.resumed_branch is not None,
            clone_url=clone_url(self.host.git_url, self.repository) if self.repository else None,
            credential=access.credential,
            base_branch=self.branch,
            clone_depth=settings.git_clone_depth,
            clone_filter=settings.git_clone_filter,
            mirrors=mirrors,
            submodules_below=self.host.git_url if settings.git_submodules else None,
            git_lfs=settings.git_lfs,
            author=self.author,
            model=self._wish("model"),
            reasoning_effort=self._wish("reasoning_effort"),
            permission_mode=self._wish("initial_permission_mode"),
            json_schema=self.json_schema,
            budget=Budget(
                tokens=_least(settings.task_token_budget or None, token_budget(self.state)),
                cost=settings.task_cost_budget or None,
            ),
            timeout=settings.run_timeout,
            manners=Manners(
                interactive=self.state.get("mode") == RunMode.INTERACTIVE,
                patience=settings.run_idle,
            ),
            sandbox=sandbox,
            environment=environment,
            commit_subject=self.title or self.slug,
            network=self.confines.network(settings),
            variables=self.confines.variables(Cipher(settings.secret_keys)),
            hidden=_hidden(settings),
            attachments=attachments,
            outbox=outbox,
        )


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends, as far as the agent decides it."""

    status: RunStatus
    output: Any = None
    error_message: str | None = None
    # What the agent changed, still to be stored.
    patch: bytes = b""
    # What is stored.
    files: tuple[ArtifactOut, ...] = ()
    # What is at the code host now.
    pushed: PushRecord | None = None
    # Keys that the run's state gets.
    state: Mapping[str, Any] = field(default_factory=dict)

    def lacking(self, names: Sequence[str], *, log_end: bool) -> "Ending":
        """Return how the run ends if the store did not take these files, and `log_end`: nor the end of its log.

        A run without its result is not completed, whatever its agent came to; what the agent said of it stays.
        """
        if not names and not log_end:
            return self
        words = []
        if names:
            shown = ", ".join(names[:_NAMED_FILES]) + (", …" if len(names) > _NAMED_FILES else "")
            words.append(f"The object store did not answer, so these files of the run are lost: {shown}.")
        if log_end:
            words.append("The end of the run's log could not be stored.")
        is_without_result = names and self.status is RunStatus.COMPLETED
        if is_without_result:
            words.append("Start the run again.")
        return replace(
            self,
            status=RunStatus.FAILED if is_without_result else self.status,
            error_message=" ".join([*([self.error_message] if self.error_message else []), *words]),
            state={**self.state, NOT_STORED: {"files": list(names[:_NAMED_FILES]), "log_end": log_end}},
        )


_ORDERS = Prepared(
    select(
        Run.task_id,
        Run.project_id,
        Run.branch,
        Run.state.op("||")(Run.facts).label("state"),
        Run.artifacts,
        as_asked(Task.title),
        as_asked(Task.description),
        as_asked(Task.repository),
        as_asked(Task.json_schema),
        Task.task_number,
        Project.name.label("project_name"),
        *ENVIRONMENT_COLUMNS,
        User.first_name,
        User.last_name,
        User.email,
    )
    .join(Task, Task.id == Run.task_id)
    .outerjoin(User, User.id == person_of())
    .join(Project, Project.id == Run.project_id)
    .outerjoin(SandboxEnvironment, ENVIRONMENT_OF_RUN)
    .where(Run.id == bindparam("run"))
)


async def read_orders(session: AsyncSession, run_id: UUID, *, git_base_url: str) -> Orders:
    """Return what a claimed run is about."""
    row = await _ORDERS.first(session, {"run": run_id})
    assert row is not None
    # Clients write to the state too: what is no text is no message.
    message = row["state"].get("pending_user_message")
    parts = (row["description"] or row["title"], message if isinstance(message, str) else None)
    prompt = "\n\n".join(part for part in parts if part)
    host, resumed = CodeHost(git_url=git_base_url, api_url=None), None
    if row["repository"]:
        host = await read_code_host(session, git_base_url=git_base_url, run_id=run_id, state=row["state"])
        resumed = await branch_to_resume(
            session, task_id=row["task_id"], run_id=run_id, repository=row["repository"]
        )
    return Orders(
        run_id=run_id,
        task_id=row["task_id"],
        project_id=row["project_id"],
        slug=slug(slug_prefix(row["project_name"]), row["task_number"]) or "task",
        title=row["title"],
        prompt=prompt,
        repository=row["repository"],
        branch=row["branch"],
        json_schema=row["json_schema"],
        state=row["state"],
        confines=run_sandbox(row),
        host=host,
        author=_author(row),
        resumed_branch=resumed,
        attached=_attached(row["state"], row["artifacts"]),
        spent=await spent_by_others(session, row["task_id"], run_id),
        earlier=await earlier_runs(session, row["task_id"], run_id) if resumes(row["state"]) else (),
        follow_up=message if isinstance(message, str) and message.strip() else None,
    )


def _author(row: Fields) -> Author:
    """Return who signs the commits: the person in whose name the run acts (contract 5.8)."""
    if row["state"].get("pr_authorship_mode") != PrAuthorshipMode.USER or row["email"] is None:
        return Author()
    name = " ".join(f"{row['first_name']} {row['last_name']}".split())
    return Author(name=name or row["email"], email=row["email"])


def _attached(state: Mapping[str, Any], artifacts: Sequence[ArtifactOut]) -> tuple[ArtifactOut, ...]:
    """Return the files of the run that wait for its agent; state is written by clients too and may name anything."""
    ids = state.get("pending_user_artifact_ids")
    known = {artifact["id"]: artifact for artifact in artifacts}
    wanted = [value for value in ids if isinstance(value, str)] if isinstance(ids, list) else []
    return tuple(known[value] for value in dict.fromkeys(wanted) if value in known)


def ending_of(
    outcome: RunResult | BaseException, published: Mapping[str, Any], *, has_schema: bool
) -> Ending:
    """Return how a run ends whose agent came to this outcome; people act on `error_message`.

    What is said of the pull request (`published`) goes to the output, unless a schema decides what that holds, and to
    the state in any case.
    """
    if isinstance(outcome, RunResult):
        output = (
            outcome.structured
            if has_schema
            else {
                "head_branch": outcome.head_branch,
                "head_sha": outcome.head_sha,
                "summary": outcome.summary,
                "files_changed": outcome.files_changed,
                **published,
            }
        )
        state = {**published, **_left_out(outcome)}
        return Ending(RunStatus.COMPLETED, output=output, patch=outcome.patch, state=state)
    if isinstance(outcome, AgentError):
        patch = outcome.partial.patch if outcome.partial else b""
        state = _left_out(outcome.partial) if outcome.partial else {}
        if isinstance(outcome, AgentCancelled):
            return Ending(RunStatus.CANCELLED, patch=patch, state=state)
        return Ending(RunStatus.FAILED, error_message=outcome.message, patch=patch, state=state)
    return Ending(RunStatus.FAILED, error_message=_NO_ROOM if is_disk_full(outcome) else UNEXPECTED)


def _left_out(result: RunResult) -> dict[str, str]:
    """Return what the state says of work that could not be kept, or is not in the patch."""
    return {LEFT_OUT: result.left_out[:_LEFT_OUT_CHARACTERS]} if result.left_out else {}


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _hidden(settings: Settings) -> tuple[Path, ...]:
    return (settings.home.absolute(),)
