"""Limit pages of rows to a number of bytes, measured in the database."""

from typing import Any

from sqlalchemy import ColumnElement, Select, Text, case, cast, func, select

from app.api_limits import PAGE_BYTES
from app.models.base import literal_int

_LITTLE_BYTES: ColumnElement[int] = literal_int(1024)


def text_bytes(column: Any) -> ColumnElement[int]:
    """Return the SQL expression for the size of a text column, in bytes; 0 for NULL."""
    return func.coalesce(func.octet_length(column), 0)


def json_bytes(column: Any) -> ColumnElement[int]:
    """Return the SQL expression for the size of a JSON column, in bytes; 0 for NULL."""
    stored = func.pg_column_size(column)
    whole = func.octet_length(cast(column, Text))
    return func.coalesce(case((stored > _LITTLE_BYTES, whole), else_=stored), 0)


def within_page(rows: Select[Any], of: Any, size: ColumnElement[int]) -> Select[Any]:
    """Return a SELECT of the newest of `rows`, the newest first, until their total size reaches `PAGE_BYTES`."""
    order = (of.created_at.desc(), of.id.desc())
    before = func.coalesce(func.sum(size).over(order_by=order, rows=(None, -1)), 0).label("bytes_before")
    measured = rows.add_columns(before).subquery()
    return (
        select(*(column for column in measured.c if column.name != before.name))
        .where(measured.c.bytes_before < literal_int(PAGE_BYTES))
        .order_by(measured.c.created_at.desc(), measured.c.id.desc())
    )
