"""Create and drop indexes without blocking writers, so that an upgrade that failed can be repeated.

A build that fails leaves an index behind that takes the name, slows writes down, and serves no query.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import context, op

# Requests wait behind a statement that waits for a lock. It gives up before a second has passed, after which PostgreSQL
# looks for deadlocks and could end a request; then the migration begins again (env.py).
_LIMITS = {"lock_timeout": "500ms", "statement_timeout": "10min"}

_IS_VALID = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")


def limits() -> dict[str, str]:
    """Return what a statement may take, by the name of its setting; `limits` of the configuration come first."""
    given: dict[str, str] = context.config.attributes.get("limits", {})
    return _LIMITS | given


def create_index_concurrently(
    name: str,
    table: str,
    columns: Sequence[str | sa.TextClause],
    *,
    where: str | None = None,
    include: Sequence[str] = (),
    unique: bool = False,
    using: str | None = None,
) -> None:
    """Create an index, unless an upgrade that failed has built it; an invalid one that it left behind is replaced."""
    # By then it may be the only one of its kind, where the revision drops another one after it.
    if op.get_bind().scalar(_IS_VALID, {"name": name}):
        return
    drop_index_concurrently(name, table)
    with _waiting_for_others():
        op.create_index(
            name,
            table,
            list(columns),
            unique=unique,
            postgresql_using=using,
            postgresql_where=None if where is None else sa.text(where),
            postgresql_include=list(include),
            postgresql_concurrently=True,
        )


def drop_index_concurrently(name: str, table: str) -> None:
    """Drop an index, unless an upgrade that failed has dropped it already."""
    with _waiting_for_others():
        op.drop_index(name, table_name=table, postgresql_concurrently=True, if_exists=True)


@contextmanager
def _waiting_for_others() -> Iterator[None]:
    # Such a statement waits for the transactions that have begun before it, and no request waits for it. Ended after a
    # time it would be ended again at each repetition, and each would leave an invalid index.
    with op.get_context().autocommit_block():
        for name in limits():
            op.execute(f"SET {name} = 0")
        yield
        for name, limit in limits().items():
            op.execute(f"SET {name} = '{limit}'")
