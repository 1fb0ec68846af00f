"""Rotation of the keys that encrypt stored secrets: it reaches every row of every column with secrets."""

import asyncio
from functools import partial

from pydantic import SecretStr
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.models import Integration, SandboxEnvironment
from app.security.secrets import Cipher
from app.services.accounts.secret_rotation import encrypted_columns, rotate_secrets
from tests.concurrency.races import count_waiting
from tests.support.factories import make_project, make_sandbox_environment
from tests.support.waiting import eventually

OLD, NEW = SecretStr("old" * 12), SecretStr("new" * 12)
# More than the two pages that a rotation reads at a time.
MANY = 401


def test_columns_with_secrets_are_found_by_their_names() -> None:
    assert {f"{column.table.name}.{column.name}" for column in encrypted_columns()} >= {
        "signing_keys.private_key",
        "integrations.encrypted_token",
        "integrations.encrypted_private_key",
        "integrations.encrypted_webhook_secret",
        "user_integrations.encrypted_token",
        "run_credentials.encrypted_token",
        "runs.encrypted_mcp_servers",
        "sandbox_environments.encrypted_variables",
    }


async def test_every_row_is_rotated_and_what_cannot_be_read_stays(
    session: AsyncSession, sessions: SessionFactory
) -> None:
    project, old = await make_project(session), Cipher([OLD])
    rows = [
        Integration(
            project_id=project.id,
            kind="github",
            encrypted_token=old.encrypt(f"token {number}") if number else "of a key that is lost",
            created_at=project.created_at,
        )
        for number in range(MANY)
    ]
    session.add_all(rows)
    await session.flush()

    result = await rotate_secrets(sessions, Cipher([NEW, OLD]))

    assert result == {"rotated": MANY - 1, "unreadable": 1}
    only_new = Cipher([NEW])
    stored = select(Integration.encrypted_token).order_by(Integration.id)
    first, *others = (await session.scalars(stored)).all()
    assert first == "of a key that is lost"
    assert [only_new.decrypt(token or "") for token in others] == [f"token {n}" for n in range(1, MANY)]


async def test_value_that_is_replaced_meanwhile_is_kept_and_not_counted(
    session: AsyncSession, sessions: SessionFactory
) -> None:
    project, old, new = await make_project(session), Cipher([OLD]), Cipher([NEW, OLD])
    row = Integration(
        project_id=project.id,
        kind="github",
        encrypted_token=old.encrypt("first"),
        created_at=project.created_at,
    )
    session.add(row)
    await session.flush()
    fresh = new.encrypt("second")

    async with unit_of_work(sessions) as other:
        await other.execute(update(Integration).values(encrypted_token=fresh))
        rotating = asyncio.create_task(rotate_secrets(sessions, new))
        await eventually(partial(count_waiting, sessions))

    assert await rotating == {"rotated": 0, "unreadable": 0}
    assert await session.scalar(select(Integration.encrypted_token)) == fresh


async def test_each_variable_of_a_sandbox_environment_is_rotated(
    session: AsyncSession, sessions: SessionFactory
) -> None:
    old, values = Cipher([OLD]), {"A": "one", "B": "two"}
    environment = await make_sandbox_environment(
        session,
        project=await make_project(session),
        created_by=None,
        encrypted_variables={name: old.encrypt(value) for name, value in values.items()},
    )

    assert await rotate_secrets(sessions, Cipher([NEW, OLD])) == {"rotated": 1, "unreadable": 0}
    stored = await session.scalar(
        select(SandboxEnvironment.encrypted_variables).where(SandboxEnvironment.id == environment.id)
    )
    only_new = Cipher([NEW])
    assert {name: only_new.decrypt(value) for name, value in (stored or {}).items()} == values


async def test_what_holds_no_secret_is_neither_written_nor_counted(
    session: AsyncSession, sessions: SessionFactory
) -> None:
    """Regression: each webhook endpoint that had no old secrets was updated, and counted as rotated."""
    await make_sandbox_environment(
        session, project=await make_project(session), created_by=None, encrypted_variables={}
    )
    assert await rotate_secrets(sessions, Cipher([NEW, OLD])) == {"rotated": 0, "unreadable": 0}
