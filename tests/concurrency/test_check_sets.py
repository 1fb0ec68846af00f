"""Two check sets of a project that are changed at once."""

import httpx
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory
from app.models import CheckSet, Project
from tests.concurrency.races import race
from tests.support.assertions import assert_invalid


async def test_one_of_two_takes_the_repository(
    client: httpx.AsyncClient, sessions: SessionFactory, project: Project
) -> None:
    """The other was a server error: it saw no set of the repository before it wrote."""
    url = f"/api/projects/{project.id}/check_sets"
    first_id, second_id = [
        (await client.post(url, json={"repository": name})).json()["id"] for name in ("acme/api", "acme/web")
    ]

    async def take(session: AsyncSession) -> None:
        await session.execute(update(CheckSet).where(CheckSet.id == first_id).values(repository="acme/shop"))

    async def take_too(_: AsyncSession) -> httpx.Response:
        return await client.patch(f"{url}/{second_id}", json={"repository": "acme/shop"})

    _, refused = await race(sessions, take, take_too)

    assert_invalid(refused, "repository", "unique")
    kept = (await client.get(f"{url}/{second_id}")).json()
    assert kept["repository"] == "acme/web"
