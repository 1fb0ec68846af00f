"""SQL statements that are built and compiled once, and run many times by the driver.

Requests normally use these (CONTRIBUTING, "Queries"): building and compiling a statement takes longer than running it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Generic, TypeVar, overload

from sqlalchemy import Dialect, Executable
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.selectable import ForUpdateArg
from sqlalchemy.sql.visitors import iterate

from app.db import fetch

# A row of a statement that has no class of its rows yet: values by the names of its columns.
Fields = Mapping[str, Any]
RowT_co = TypeVar("RowT_co", covariant=True)

_NO_VALUES: Mapping[str, Any] = MappingProxyType({})
_DIALECT: Dialect = dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's own is not annotated


class Prepared(Generic[RowT_co]):
    """An SQL statement that is compiled once and run many times, each time with other values for its `bindparam`s.

    It joins the transaction of its session, or begins it. A read begins none: without a transaction it runs alone. So
    does a write that may stand `alone`: it is committed at once and not rolled back by what fails later
    (`tests/test_statements.py` lists these).

    Keep each object in a constant or in a cache of limited size.
    """

    @overload
    def __init__(self, statement: Executable, row: type[RowT_co], *, alone: bool = False) -> None: ...
    @overload
    def __init__(self: "Prepared[Any]", statement: Executable, *, alone: bool = False) -> None: ...
    def __init__(self, statement: Executable, row: Any = None, *, alone: bool = False) -> None:
        """Prepare a statement whose rows are of the NamedTuple `row`, with a field for each column, in their order."""
        self.statement: Any = statement
        self.row = row
        self.alone = alone

    async def all(self, session: AsyncSession, values: Mapping[str, Any] = _NO_VALUES) -> Sequence[RowT_co]:
        """Run the statement with `values` (by parameter name), and return its rows."""
        sent = self._sent
        records: Any = await fetch(session, sent.sql, sent.arguments(values), alone=sent.is_alone)
        return records if self.row is None else list(map(self.row._make, records))

    async def first(self, session: AsyncSession, values: Mapping[str, Any] = _NO_VALUES) -> RowT_co | None:
        """Run the statement with `values` (by parameter name), and return its first row, or None if it has no row."""
        rows = await self.all(session, values)
        return rows[0] if rows else None

    async def one(self, session: AsyncSession, values: Mapping[str, Any] = _NO_VALUES) -> RowT_co:
        """Run a statement that always has one row with `values` (by parameter name), and return the row."""
        (row,) = await self.all(session, values)
        return row

    async def perform(self, session: AsyncSession, values: Mapping[str, Any] = _NO_VALUES) -> None:
        """Run a statement that returns no rows, with `values` (by parameter name)."""
        await self.all(session, values)

    @cached_property
    def _sent(self) -> "_Sent":
        # Compiled at the first use, so that the start of a process does not wait for all statements.
        if self.row is not None:
            columns = tuple(column.name for column in self.statement.exported_columns)
            if columns != self.row._fields:
                raise TypeError(f"{self.row.__name__} does not have the columns {columns}")
        compiled = self.statement.compile(dialect=_DIALECT)
        return _Sent(
            str(compiled),
            [
                (name, compiled.params[name], _processor(compiled.binds[name]))
                for name in compiled.positiontup or ()
            ],
            is_alone=self.alone or not any(map(_is_kept, iterate(self.statement))),
        )


@dataclass(frozen=True, slots=True)
class _Sent:
    """A compiled statement, as the driver gets it."""

    sql: str
    # In the order of the driver's arguments: the name, the default, the conversion.
    parameters: Sequence[tuple[str, Any, Callable[[Any], Any] | None]]
    is_alone: bool

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the arguments of one call."""
        arguments = []
        for name, default, process in self.parameters:
            value = values.get(name, default)
            arguments.append(value if process is None else process(value))
        return arguments


def _is_kept(part: Any) -> bool:
    """Return whether a part of a statement changes or locks rows, which lasts as long as its transaction.

    A SELECT may write too, by one of its CTEs.
    """
    return isinstance(part, ForUpdateArg) or getattr(part, "is_dml", False)


def _processor(parameter: Any) -> Any:
    return parameter.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
