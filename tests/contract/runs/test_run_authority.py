"""One rule for one act (contract 5.8, 6.4, 9.2, 13.3, 13.17): every way to have a run act, for every caller and run.

What is expected is worked out here from the rule's own sentences, not read from the code:

- A caller that may not use the project, or may only read, causes nothing.
- Everyone who sees a run may stop it, and write what no agent feels.
- A run that acts with a person's account is started and steered by that person alone. A request that brings a token, or
  that a linked account of the task's creator serves, may be authored by its caller.
- A private sandbox environment is its creator's alone: refused, and left out where a new run merely inherits it.
- A follow-up of a failed check acts as the person of the run that it follows, while they are an active member.
"""

import hashlib
import hmac
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import override

from app.clock import utcnow
from app.enums import OriginProduct, RunStatus, Scope
from app.ids import new_hex_id, new_id
from app.models import Membership, Project, Run, RunCredential, SandboxEnvironment, Task, User
from app.runtime import ProcessContext
from app.services.accounts import integrations
from app.services.code_hosts.branch_records import BranchRecord, record_branch
from tests.support.assertions import concerning
from tests.support.callers import bearer
from tests.support.factories import (
    make_key,
    make_project,
    make_run,
    make_sandbox_environment,
    make_task,
    make_user,
    make_user_integration,
)
from tests.support.questions import make_question

pytestmark = pytest.mark.walls

JSON = dict[str, Any]

SECRET = "a-secret-between-github-and-us"
BRANCH, SHA = "taskbeacon/tes-0-1234abcd", "a" * 40
CALLERS = ("creator", "member", "deactivated", "removed", "read_only")
AUTHORSHIPS = ("none", "linked", "token", "bot")
# Its owner, as seen from the creator, who asked for the run.
ENVIRONMENTS = ("none", "own", "other's", "shared")
ALL_CASES = tuple(itertools.product(AUTHORSHIPS, ENVIRONMENTS))


@dataclass(frozen=True, slots=True)
class Way:
    """A request that has a run act, or not; the run that it is about is in this status."""

    name: str
    status: RunStatus
    method: str
    path: str
    body: Mapping[str, Any]
    # What it amounts to.
    kind: str

    @override
    def __str__(self) -> str:
        return self.name


def _command(method: str, kind: str, **params: Any) -> Way:
    body = {"jsonrpc": "2.0", "method": method, "params": params}
    return Way(method, RunStatus.IN_PROGRESS, "POST", "/runs/{run}/command", body, kind)


def _patch(name: str, begun: RunStatus, kind: str, **body: Any) -> Way:
    return Way(f"patch-{name}", begun, "PATCH", "/runs/{run}", body, kind)


WAYS = (
    Way("run", RunStatus.COMPLETED, "POST", "/run", {}, "create"),
    Way("runs-cloud", RunStatus.COMPLETED, "POST", "/runs", {"environment": "cloud"}, "create"),
    Way("runs-local", RunStatus.COMPLETED, "POST", "/runs", {}, "create"),
    Way("run-resume", RunStatus.COMPLETED, "POST", "/run", {"resume_from_run_id": "{run}"}, "inherit"),
    Way("start", RunStatus.QUEUED, "POST", "/runs/{run}/start", {"pending_user_message": "go"}, "perform"),
    Way("resume_in_cloud", RunStatus.COMPLETED, "POST", "/runs/{run}/resume_in_cloud", {}, "perform"),
    _command("user_message", "steer", content="go"),
    _command("set_config_option", "steer", configId="mode", value="plan"),
    _command("queue_clear", "steer"),
    _command("permission_response", "steer", requestId="r1", optionId="allow"),
    Way(
        "answer",
        RunStatus.IN_PROGRESS,
        "POST",
        "/questions/{question}/answer",
        {"option_id": "allow"},
        "steer",
    ),
    _command("cancel", "stop"),
    _command("close", "stop"),
    _patch("message", RunStatus.QUEUED, "steer", state={"pending_user_message": "go"}),
    _patch("forgotten-message", RunStatus.QUEUED, "steer", state_remove_keys=["pending_user_message"]),
    _patch("branch", RunStatus.QUEUED, "steer", branch="other"),
    _patch("queued", RunStatus.IN_PROGRESS, "steer", status="queued"),
    _patch("cancelled", RunStatus.IN_PROGRESS, "stop", status="cancelled"),
    _patch("stage", RunStatus.IN_PROGRESS, "stop", stage="build", output={"a": 1}),
)


@dataclass(frozen=True, slots=True)
class Expected:
    """An answer, and what the run then acts with; None where there is no such run."""

    status: int
    said: str = ""
    account: str | None = None
    environment: str | None = None


NOT_A_MEMBER = Expected(403, "permission_denied")
REFUSALS = {
    "deactivated": Expected(403, "authentication_failed"),
    "removed": NOT_A_MEMBER,
    "read_only": NOT_A_MEMBER,
}
NO_ACCOUNT = Expected(400, "github_authorization_required")


def expected(way: Way, caller: str, authorship: str, environment: str) -> Expected:
    """Return the outcome that the rule of authority requires."""
    if caller in REFUSALS:
        return REFUSALS[caller]
    is_creator = caller == "creator"
    success = 201 if way.name.startswith("runs-") else 200
    may_use = {"none": True, "shared": True, "own": is_creator, "other's": False}[environment]
    brings_token = way.kind == "create" and authorship == "token"
    if way.kind == "stop":
        return Expected(success, account=authorship, environment=environment)
    if authorship in {"linked", "token"} and not (is_creator or brings_token):
        return NO_ACCOUNT
    # A token is that run's alone: one that resumes it acts by the account that the creator has linked.
    account = "linked" if way.kind == "inherit" and authorship == "token" else authorship
    # Over, it has lost its token.
    if way.name == "resume_in_cloud" and authorship == "token":
        account = "linked"
    if may_use:
        return Expected(success, account=account, environment=environment)
    if way.kind == "inherit":
        return Expected(success, account=account, environment="none")
    steering = "private sandbox environment"
    return Expected(400, steering if way.kind == "steer" else "Invalid sandbox_environment_id")


class Scene:
    """The creator's team-visible task and one run of it, and the people around."""

    def __init__(
        self, session: AsyncSession, project: Project, people: Mapping[str, User], task: Task
    ) -> None:
        self.session = session
        self.project = project
        self.people = people
        self.task = task
        self.headers: dict[str, dict[str, str]] = {}
        self.environments: dict[str, SandboxEnvironment] = {}

    @property
    def url(self) -> str:
        return f"/api/projects/{self.project.id}/tasks/{self.task.id}"

    def state(self, authorship: str, environment: str) -> JSON:
        """Return the state of a run that the creator asked for."""
        state: JSON = {"mode": "background", "pending_user_message": "first"}
        if authorship != "none":
            state["pr_authorship_mode"] = "bot" if authorship == "bot" else "user"
        if authorship in {"linked", "token"}:
            sources = {"linked": "server_integration", "token": "caller_token"}
            state["github_credential_source"] = sources[authorship]
        if environment != "none":
            state["sandbox_environment_id"] = str(self.environments[environment].id)
        return state

    async def make_run(self, status: RunStatus, authorship: str, environment: str) -> Run:
        is_held = status is RunStatus.IN_PROGRESS
        run = await make_run(
            self.session,
            task=self.task,
            status=status,
            state=self.state(authorship, environment),
            asked_by_id=self.people["creator"].id,
            sandbox_environment_id=self.environments[environment].id if environment != "none" else None,
            lease_owner="worker" if is_held else None,
            lease_expires_at=utcnow() + timedelta(seconds=60) if is_held else None,
            dispatch_requested_at=utcnow() if is_held else None,
        )
        if authorship == "token" and status != RunStatus.COMPLETED:
            self.session.add(RunCredential(run_id=run.id, encrypted_token="x", created_at=utcnow()))
            await self.session.flush()
        return run

    async def push(self, run: Run, integration_id: int, repository: str) -> None:
        """Note that a run pushed the commit of which the checks fail."""
        pushed = BranchRecord(
            repository=repository,
            integration_id=integration_id,
            branch=BRANCH,
            base_branch="main",
            head_sha=SHA,
        )
        await record_branch(self.session, task_id=self.task.id, run_id=run.id, pushed=pushed)

    async def address(self, way: Way, run: Run) -> str:
        """Return the URL of a way to the run; an answer has a question that it is about."""
        is_answer = way.name in {"answer", "permission_response"}
        question = (
            await make_question(self.session, task=self.task, run=run, request_id="r1") if is_answer else None
        )
        if question is None or "{question}" not in way.path:
            return self.url + way.path.format(run=run.id)
        return f"/api/projects/{self.project.id}{way.path.format(question=question.id)}"

    def body(self, way: Way, run: Run, authorship: str, environment: str) -> JSON:
        body = {key: str(run.id) if value == "{run}" else value for key, value in way.body.items()}
        if way.kind == "create":
            state = self.state(authorship, environment)
            wanted = ("pr_authorship_mode", "sandbox_environment_id")
            body |= {key: state[key] for key in wanted if key in state}
            body |= {"github_user_token": "ghu_x"} if authorship == "token" else {}
        return body

    async def holding(self, run_id: Any) -> tuple[str, str, int | None, bool]:
        """Return the account and environment that a run has, who asked for it, and whether it keeps its task."""
        columns = (Run.state, Run.sandbox_environment_id, Run.asked_by_id, Run.asked_task.is_not(None))
        state, environment_id, asked_by_id, keeps = (
            await self.session.execute(select(*columns).where(Run.id == run_id))
        ).one()
        account = state.get("pr_authorship_mode", "none")
        if account == "user":
            named = {"server_integration": "linked", "caller_token": "token"}
            account = named[state["github_credential_source"]]
        ids: dict[Any, str] = {environment.id: name for name, environment in self.environments.items()}
        said = state.get("sandbox_environment_id")
        assert said == (str(environment_id) if environment_id else None)
        return account, ids.get(environment_id, "none"), asked_by_id, keeps


@pytest.fixture
async def scene(session: AsyncSession, project: Project) -> Scene:
    people = {name: await make_user(session, projects=[project]) for name in ("creator", "member", "third")}
    await make_user_integration(session, user=people["creator"])
    task = await make_task(
        session, project=project, created_by=people["creator"], origin_product=OriginProduct.HOGDESK
    )
    scene = Scene(session, project, people, task)
    for name, owner, private in (
        ("own", "creator", True),
        ("other's", "third", True),
        ("shared", "third", False),
    ):
        scene.environments[name] = await make_sandbox_environment(
            session, project=project, created_by=people[owner], private=private
        )
    for name in CALLERS:
        user = people["member" if name in {"member", "read_only"} else "creator"]
        scopes = [Scope.TASK_READ] if name == "read_only" else [Scope.ANY]
        scene.headers[name] = bearer(await make_key(session, user=user, scopes=scopes, last_used_at=utcnow()))
    return scene


async def leave(scene: Scene, caller: str) -> None:
    """Have the creator's account end as this caller's has."""
    creator = scene.people["creator"].id
    if caller == "deactivated":
        await scene.session.execute(update(User).where(User.id == creator).values(is_active=False))
    if caller == "removed":
        await scene.session.execute(delete(Membership).where(Membership.user_id == creator))


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("way", WAYS, ids=str)
async def test_rule_holds_for_every_way_and_caller(
    anonymous: httpx.AsyncClient, scene: Scene, way: Way, caller: str
) -> None:
    await leave(scene, caller)
    # A gate refuses some callers before it looks at the run: one that they may want most is enough for them.
    cases = [("linked", "own")] if caller in REFUSALS else ALL_CASES
    for authorship, environment in cases:
        wanted = expected(way, caller, authorship, environment)
        run = await scene.make_run(way.status, authorship, environment)
        answer = await anonymous.request(
            way.method,
            await scene.address(way, run),
            json=scene.body(way, run, authorship, environment),
            headers=scene.headers[caller],
        )
        with concerning(f"{way} by {caller}: authorship {authorship}, environment {environment}"):
            assert answer.status_code == wanted.status, answer.text
            assert wanted.said in answer.text
            if wanted.account is None:
                continue
            made = run.id
            if way.kind in {"create", "inherit"}:
                made = answer.json().get("latest_run", answer.json())["id"]
            account, env, asked_by_id, keeps = await scene.holding(made)
            assert (account, env) == (wanted.account, wanted.environment)
            if way.kind in {"create", "inherit", "perform"}:
                assert asked_by_id == scene.people[caller].id
                is_personal = account in {"linked", "token"} or env in {"own", "other's"}
                assert keeps is is_personal


@pytest.mark.parametrize("creator", ["creator", "deactivated", "removed"])
async def test_follow_up_of_a_failed_check_acts_as_the_person_of_the_run_while_they_are_a_member(
    anonymous: httpx.AsyncClient, process: ProcessContext, scene: Scene, creator: str
) -> None:
    integration = await integrations.create_integration(
        scene.session,
        process.cipher,
        project_id=scene.project.id,
        new=integrations.NewIntegration(kind="github", webhook_secret=SECRET),
    )
    await leave(scene, creator)
    is_there = creator == "creator"
    for number, (authorship, environment) in enumerate(ALL_CASES):
        scene.task = await make_task(scene.session, project=scene.project, created_by=scene.people["creator"])
        run = await scene.make_run(RunStatus.COMPLETED, authorship, environment)
        repository = f"acme/app-{number}"
        await scene.push(run, integration.id, repository)
        answer = await fail_check(anonymous, integration.id, repository)
        with concerning(f"creator {creator}: authorship {authorship}, environment {environment}"):
            assert answer["status"] == "started", answer
            account, env, asked_by_id, keeps = await scene.holding(answer["run"])
            personal = "linked" if is_there else "bot"
            assert account == (personal if authorship in {"linked", "token"} else authorship)
            kept = {"none": True, "shared": True, "own": is_there, "other's": False}[environment]
            assert env == (environment if kept else "none")
            assert asked_by_id == scene.people["creator"].id
            assert keeps is (account == "linked" or env == "own")


async def test_follow_up_of_a_run_with_another_members_token_acts_as_no_person(
    anonymous: httpx.AsyncClient, process: ProcessContext, scene: Scene
) -> None:
    """The creator's account must not follow from a member's own token."""
    integration = await integrations.create_integration(
        scene.session,
        process.cipher,
        project_id=scene.project.id,
        new=integrations.NewIntegration(kind="github", webhook_secret=SECRET),
    )
    run = await scene.make_run(RunStatus.COMPLETED, "token", "none")
    member = scene.people["member"].id
    await scene.session.execute(update(Run).where(Run.id == run.id).values(asked_by_id=member))
    await scene.push(run, integration.id, "acme/app")

    answer = await fail_check(anonymous, integration.id, "acme/app")

    assert await scene.holding(answer["run"]) == ("bot", "none", member, False)


async def fail_check(client: httpx.AsyncClient, integration_id: int, repository: str) -> JSON:
    check = {
        "conclusion": "failure",
        "head_branch": BRANCH,
        "head_sha": SHA,
        "name": "tests",
        "head_repository": {"full_name": repository},
    }
    check_event = {"action": "completed", "check_suite": check, "repository": {"full_name": repository}}
    body = orjson.dumps(check_event)
    answer = await client.post(
        f"/api/webhooks/github?integration={integration_id}",
        content=body,
        headers={
            "X-GitHub-Event": "check_suite",
            "X-GitHub-Delivery": new_hex_id(),
            "X-Hub-Signature-256": "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest(),
        },
    )
    assert answer.status_code == 200, answer.text
    given: JSON = answer.json()
    return given


class TestStateIsNoWayAround:
    """Decisions of the service are not a client's to write (contract 6.4)."""

    async def test_patch_changes_neither_environment_nor_account_nor_repository(
        self, anonymous: httpx.AsyncClient, scene: Scene
    ) -> None:
        run = await scene.make_run(RunStatus.QUEUED, "linked", "own")
        url = f"{scene.url}/runs/{run.id}"
        state = {
            "sandbox_environment_id": str(scene.environments["other's"].id),
            "github_credential_source": "caller_token",
            "pr_authorship_mode": "bot",
            "asked_by_id": scene.people["third"].id,
            "asked_task": {"repository": "third/private"},
            "repository": "third/private",
        }
        body = {"state": state, "state_remove_keys": ["sandbox_environment_id"], "asked_by_id": 1}
        answer = await anonymous.patch(url, json=body, headers=scene.headers["creator"])

        assert answer.status_code == 200, answer.text
        holding = await scene.holding(run.id)
        assert holding[:3] == ("linked", "own", scene.people["creator"].id)

    async def test_protected_keys_alone_steer_nothing(
        self, anonymous: httpx.AsyncClient, scene: Scene
    ) -> None:
        """Protected keys are ignored, as before, from every caller."""
        run = await scene.make_run(RunStatus.QUEUED, "linked", "none")
        answer = await anonymous.patch(
            f"{scene.url}/runs/{run.id}",
            json={"state": {"pr_authorship_mode": "bot"}},
            headers=scene.headers["member"],
        )
        assert answer.status_code == 200
        assert (await scene.holding(run.id))[0] == "linked"


class TestEnvironmentThatIsGone:
    """A deleted environment may have been anyone's own."""

    @pytest.mark.parametrize(("caller", "status"), [("creator", 200), ("member", 400)])
    async def test_only_the_runs_person_goes_on(
        self, anonymous: httpx.AsyncClient, scene: Scene, caller: str, status: int
    ) -> None:
        run = await scene.make_run(RunStatus.IN_PROGRESS, "none", "own")
        await scene.session.execute(
            update(Run).where(Run.id == run.id).values(sandbox_environment_id=new_id())
        )
        body = {"jsonrpc": "2.0", "method": "user_message", "params": {"content": "go"}}
        answer = await anonymous.post(
            f"{scene.url}/runs/{run.id}/command", json=body, headers=scene.headers[caller]
        )
        assert answer.status_code == status, answer.text


async def test_environment_of_another_project_is_refused(
    anonymous: httpx.AsyncClient, session: AsyncSession, scene: Scene
) -> None:
    elsewhere = await make_sandbox_environment(
        session, project=await make_project(session), created_by=scene.people["creator"], private=False
    )
    answer = await anonymous.post(
        f"{scene.url}/run",
        json={"sandbox_environment_id": str(elsewhere.id)},
        headers=scene.headers["creator"],
    )
    assert (answer.status_code, answer.json()) == (400, {"detail": "Invalid sandbox_environment_id"})
