"""`python -m app.devstack.new_account [PROJECT USER]`: create the developer's account, and print it as JSON.

If the ids of an existing account are given, its user gets a new key. If they are not given, or not in this database, a
new account is made.
"""

import asyncio
import json
import secrets
import sys
from dataclasses import asdict

from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.db import create_engine, create_session_factory, unit_of_work
from app.devstack.account import Account
from app.enums import Scope
from app.errors import InvalidInput, NotFound
from app.services.accounts.administration import (
    create_organization,
    create_project,
    create_user,
    require_projects,
)
from app.services.accounts.api_keys import create_api_key


async def make_account(session: AsyncSession, *, project_id: int | None, user_id: int | None) -> Account:
    """Return the developer's account with a new API key."""
    if project_id is not None and user_id is not None:
        try:
            await require_projects(session, [project_id])
            return await _with_key(session, project_id, user_id)
        except (NotFound, InvalidInput):
            pass  # the ids are of another database, or the user is deactivated
    organization = await create_organization(session, "Development")
    project = await create_project(session, "Playground", organization_id=organization.id)
    user = await create_user(
        session,
        # The database may still have the developer of a deleted home folder, and addresses are unique.
        f"developer-{secrets.token_hex(3)}@example.com",
        first_name="Dev",
        last_name="Eloper",
        is_staff=True,
        project_ids=[project.id],
    )
    return await _with_key(session, project.id, user.id)


async def _with_key(session: AsyncSession, project_id: int, user_id: int) -> Account:
    key = await create_api_key(session, user_id=user_id, scopes=[Scope.ANY], label="development stack")
    return Account(project_id, user_id, key.value)


async def _main(project_id: int | None = None, user_id: int | None = None) -> None:
    engine = create_engine(Settings(development=True), application_name="taskbeacon-dev")
    try:
        async with unit_of_work(create_session_factory(engine)) as session:
            account = await make_account(session, project_id=project_id, user_id=user_id)
    finally:
        await engine.dispose()
    print(json.dumps(asdict(account)))


if __name__ == "__main__":
    asyncio.run(_main(*(int(argument) for argument in sys.argv[1:])))
