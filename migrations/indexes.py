"""Create and drop indexes without blocking writers, so that an upgrade that failed can be repeated.

A build that fails leaves an index behind that takes the name, slows writes down, and serves no query.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op


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
    """Create an index; one of this name, left behind by an upgrade that failed, is replaced."""
    drop_index_concurrently(name, table)
    with op.get_context().autocommit_block():
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
    with op.get_context().autocommit_block():
        op.drop_index(name, table_name=table, postgresql_concurrently=True, if_exists=True)
