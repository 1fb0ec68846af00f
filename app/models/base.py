"""The base class of all tables, and SQL expressions that statements on any table use."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    DateTime,
    Dialect,
    Enum,
    MetaData,
    SQLColumnExpression,
    TableValuedAlias,
    Text,
    TypeDecorator,
    bindparam,
    column,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase
from typing_extensions import override

from app.json_types import JsonDict

# A column, or an expression, of whatever type.
AnyColumn = SQLColumnExpression[object]


class UtcDateTime(TypeDecorator[datetime]):
    """Column type `timestamptz`. Refuses a datetime without a zone: the driver would take it as local time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("naive datetime; use app.clock.utcnow()")
        return value


def _values(vocabulary: type[StrEnum]) -> list[str]:
    return [member.value for member in vocabulary]


class Base(DeclarativeBase):
    """Base class of all tables. Its naming convention gives each constraint a name for migrations."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's declared form
        int: BigInteger,
        str: Text,
        datetime: UtcDateTime(),
        JsonDict: JSONB(none_as_null=True),
        # As text, with a CHECK of its own (`one_of`), which a revision can change.
        StrEnum: Enum(StrEnum, native_enum=False, length=16, values_callable=_values),
    }


def one_of(column: str, vocabulary: type[StrEnum]) -> CheckConstraint:
    """Return a CHECK constraint that limits `column` to the values of an enumeration; NULL is allowed."""
    return rule(column, is_one_of(column, vocabulary))


def is_one_of(column: str, members: Iterable[StrEnum]) -> str:
    """Return the condition of a CHECK that a column has one of these values."""
    values = ", ".join(f"'{member.value}'" for member in members)
    return f"{column} IN ({values})"


def rule(name: str, condition: str) -> CheckConstraint:
    """Return the CHECK constraint `ck_<table>_<name>`: each row meets the condition."""
    return CheckConstraint(condition, name=name)


def has_lease_of(claimable: str) -> CheckConstraint:
    """Return a CHECK constraint that a row has an owner and the end of its lease together, and only if `claimable`."""
    pair = "(lease_owner IS NULL) = (lease_expires_at IS NULL)"
    return rule("lease", f"{pair} AND (lease_owner IS NULL OR {claimable})")


def constant(value: StrEnum) -> ColumnElement[str]:
    """Return an enumeration's value as a literal, for conditions of partial indexes: plans hold for all parameters."""
    return literal_column(f"'{value.value}'", Text)


def literal_int(number: int) -> ColumnElement[int]:
    """Return a number as a literal: for a LIMIT that is a parameter, the planner assumes a large number."""
    return literal_column(str(number), BigInteger)


def given_rows(types: Mapping[str, Any], *, place: str | None = None) -> TableValuedAlias:
    """Return a table expression for a query: its rows are parameters of the statement, as one list for each column.

    `types` maps the name of each column to its type. The list for a column is the parameter `given_<name>`. All lists
    have the same length, which is the number of rows; None in place of a list makes a column of NULLs. If `place` is
    given, a further column of this name has the number of the row, from 1.
    """
    # Subqueries, so that the planner does not count the rows and looks each up by its key: for hundreds it would read
    # a small table whole, or compare each with every other.
    lists = [
        select(bindparam(f"given_{name}", type_=ARRAY(type_))).scalar_subquery()
        for name, type_ in types.items()
    ]
    return (
        func.unnest(*lists)
        .table_valued(
            *(column(name, type_) for name, type_ in types.items()), with_ordinality=place, name="given"
        )
        .render_derived()
    )
