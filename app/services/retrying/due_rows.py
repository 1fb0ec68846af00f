"""Claim due rows by lease, lock rows in one order, and settle items so that a failing one does not stop the others.

A claim expires: the rows of a worker that was killed become due again. Only the last claim of a row may store a result.
It is recognised by the row's number of attempts or, if attempts are not counted, by the end of its lease.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar, TypeVarTuple
from uuid import UUID

from sqlalchemy import Select, Update, any_, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.elements import SQLCoreOperations

from app.db import SessionFactory
from app.services.retrying.retries import by_halves, in_transaction

Columns = TypeVarTuple("Columns")
Item = TypeVar("Item")
Settle = Callable[[AsyncSession, Sequence[Item]], Awaitable[None]]


def claim(model: Any, due: Select[Any], *, counts: bool = True, **lease: Any) -> Update:
    """Return the UPDATE that sets the columns `lease` of the rows that `due` selects; `counts` adds an attempt."""
    ((key,), (chosen,)) = due.selected_columns, due.cte("due").c
    return (
        update(model)
        # A list and no join, so that PostgreSQL finds the rows by their key even if the table is small or new.
        .where(key == any_(func.array(select(chosen).scalar_subquery())))
        .values({**({"attempts": model.attempts + 1} if counts else {}), **lease})
        .execution_options(synchronize_session=False)
    )


def lock(rows: Select[*Columns], key: SQLCoreOperations[UUID]) -> Select[*Columns]:
    """Return the SELECT that locks the rows of `key` in its order, so that two transactions do not deadlock."""
    return rows.order_by(key).with_for_update(of=key, key_share=True)


async def settle_each(
    sessions: SessionFactory,
    items: Sequence[Item],
    settle: Settle[Item],
    *,
    event: str,
    name: Callable[[Item], Mapping[str, object]],
) -> None:
    """Settle the items in one transaction, or if it fails, each half in its own. An item that fails alone is logged."""

    async def store(part: Sequence[Item]) -> None:
        await in_transaction(sessions, lambda session: settle(session, part))

    await by_halves(items, store, event=event, name=name)
