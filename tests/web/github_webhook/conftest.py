"""A webhook of GitHub, and the task and run that its reports are about."""

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import RunStatus
from app.ids import new_hex_id
from app.models import Integration, Project, Run, Task, User
from app.runtime import ProcessContext
from app.services.accounts import integrations
from app.services.code_hosts.branch_records import BranchRecord, record_branch
from tests.support.factories import make_run, make_task

SECRET = "a-secret-between-github-and-us"
BRANCH = "taskbeacon/tes-0-1234abcd"
SHA = "a" * 40


def signed(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def payload(event: str = "workflow_run", **changes: Any) -> dict[str, Any]:
    check = {
        "conclusion": "failure",
        "head_branch": BRANCH,
        "head_sha": SHA,
        "name": "tests",
        "head_repository": {"full_name": "Acme/App"},
    }
    repository = {"full_name": "Acme/App"}
    return {"action": "completed", event: check | changes, "repository": repository}


@dataclass(slots=True)
class Hook:
    """The webhook of an integration, and a task that a run has worked on."""

    client: httpx.AsyncClient
    session: AsyncSession
    integration: Integration
    task: Task
    run: Run

    async def send(
        self,
        content: Any,
        *,
        event: str = "workflow_run",
        delivery: str | None = None,
        signature: str | None = None,
    ) -> httpx.Response:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return await self.client.post(
            f"/api/webhooks/github?integration={self.integration.id}",
            content=body,
            headers={
                "X-GitHub-Event": event,
                "X-GitHub-Delivery": delivery or new_hex_id(),
                "X-Hub-Signature-256": signed(body) if signature is None else signature,
            },
        )

    async def follow_up(self, answer: httpx.Response) -> Run:
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == "started", answer.text
        return await self.session.get_one(Run, answer.json()["run"])

    async def push(self, run: Run, sha: str) -> None:
        pushed = BranchRecord(
            repository="acme/app",
            integration_id=self.integration.id,
            branch=BRANCH,
            base_branch="main",
            head_sha=sha,
        )
        await record_branch(self.session, task_id=self.task.id, run_id=run.id, pushed=pushed)

    async def end(self, run: Run, sha: str) -> None:
        """End a run that has pushed this commit."""
        await self.session.execute(
            update(Task).where(Task.id == self.task.id).values(latest_run_status=RunStatus.COMPLETED)
        )
        await self.push(run, sha)


@pytest.fixture
async def hook(
    anonymous: httpx.AsyncClient,
    session: AsyncSession,
    process: ProcessContext,
    project: Project,
    owner: User,
) -> Hook:
    integration = await integrations.create_integration(
        session,
        process.cipher,
        project_id=project.id,
        new=integrations.NewIntegration(kind="github", webhook_secret=SECRET),
    )
    task = await make_task(session, project=project, created_by=owner, ci_prompt="Mend it.")
    state = {"mode": "interactive", "pr_base_branch": "main", "pr_authorship_mode": "user"}
    run = await make_run(session, task=task, status=RunStatus.COMPLETED, state=state)
    made = Hook(anonymous, session, integration, task, run)
    await made.end(run, SHA)
    return made


def check_run(
    name: str,
    conclusion: str | None = None,
    *,
    number: int = 1,
    branch: str = BRANCH,
    sha: str = SHA,
    app: int = 1,
) -> dict[str, Any]:
    check = {
        "id": number,
        "name": name,
        "conclusion": conclusion,
        "head_sha": sha,
        "html_url": f"https://host.test/checks/{number}",
        "check_suite": {"head_branch": branch},
        "app": {"id": app, "name": "CI"},
    }
    return {"action": "completed", "check_run": check, "repository": {"full_name": "Acme/App"}}
