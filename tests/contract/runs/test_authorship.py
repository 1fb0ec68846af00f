"""Authors of the commits and pushes of a run (contract 5.8 step 6, 13.3)."""

from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import OriginProduct
from app.models import Project, Task, User
from tests.support.assertions import assert_invalid
from tests.support.callers import CallerKind
from tests.support.factories import (
    make_integration,
    make_project,
    make_run,
    make_task,
    make_user,
    make_user_integration,
)
from tests.support.runs import started

Json = dict[str, Any]
AS_USER: Json = {"pr_authorship_mode": "user"}


class TestAuthorship:
    """Contract 5.8 step 6, in the order of 13.3."""

    def assert_unauthorized(self, response: httpx.Response, detail: str) -> None:
        assert_invalid(response, "pr_authorship_mode", "github_authorization_required", detail)

    @pytest.mark.caller(CallerKind.MEMBER)
    async def test_other_than_the_creator_needs_a_token(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User, tasks_url: str
    ) -> None:
        await make_user_integration(session, user=owner)
        await make_integration(session, project=project)
        shared = await make_task(
            session, project=project, created_by=owner, origin_product=OriginProduct.HOGDESK
        )
        url = f"{tasks_url}/{shared.id}/run"
        detail = "User-authored runs must be started by the task creator, or provide github_user_token."
        self.assert_unauthorized(await client.post(url, json=AS_USER), detail)
        run = await started(client, url, {**AS_USER, "github_user_token": "ghu_x"})
        assert run["state"]["github_credential_source"] == "caller_token"

    async def test_linked_account_of_the_creator_is_used(
        self, client: httpx.AsyncClient, session: AsyncSession, owner: User, run_url: str
    ) -> None:
        await make_user_integration(session, user=owner)
        run = await started(client, run_url, AS_USER)
        assert run["state"] == {
            "mode": "background",
            "pr_authorship_mode": "user",
            "github_credential_source": "server_integration",
        }

    async def test_integration_of_the_project_falls_back_to_bot(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, run_url: str
    ) -> None:
        await make_integration(session, project=project)
        run = await started(client, run_url, AS_USER)
        assert run["state"] == {"mode": "background", "pr_authorship_mode": "bot"}

    async def test_without_any_account_the_creator_must_link_one(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, run_url: str
    ) -> None:
        """Integrations of others do not count."""
        await make_user_integration(session, user=await make_user(session, projects=[project]))
        await make_integration(session, project=await make_project(session))
        detail = "Link a GitHub account with repo access before running user-authored cloud tasks."
        self.assert_unauthorized(await client.post(run_url, json=AS_USER), detail)

    async def test_inherited_wish_is_checked_too(
        self, client: httpx.AsyncClient, session: AsyncSession, task: Task, run_url: str
    ) -> None:
        previous = await make_run(session, task=task, state=AS_USER)
        response = await client.post(run_url, json={"resume_from_run_id": str(previous.id)})
        detail = "Link a GitHub account with repo access before running user-authored cloud tasks."
        self.assert_unauthorized(response, detail)
