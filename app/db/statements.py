"""Run statements and read typed rows: `Prepared` for constants, `rows_of` for those built for a call.

A constant statement is `Prepared`: compiled once, then run by the driver, in 1.2 times the driver's own time for a read
(ADR 72). A statement that is built for its call goes through SQLAlchemy, by `rows_of` and `row_of`: building, compiling
and running it takes 8 times the driver's own time. What requests do at each call is `Prepared`; others are as they read
best. `session.scalar` and `session.scalars` return a single column, and `session.execute` performs what returns none.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from types import MappingProxyType, NoneType
from typing import Any, Generic, Never, TypeVar, TypeVarTuple, cast, get_args, get_type_hints, overload

from sqlalchemy import CursorResult, Dialect, TextClause, UpdateBase
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.selectable import ExecutableReturnsRows, ForUpdateArg, TextualSelect, TypedReturnsRows
from sqlalchemy.sql.visitors import iterate

from app.db.lazy_sessions import transaction_of

RowT_co = TypeVar("RowT_co", covariant=True)
RowT = TypeVar("RowT")
Columns = TypeVarTuple("Columns")

Statement = ExecutableReturnsRows | TextClause
Values = Mapping[str, object]
Rows = Values | Sequence[Values]
_NO_VALUES: Values = MappingProxyType({})
_DIALECT: Dialect = dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's own is not annotated


class Prepared(Generic[RowT_co]):
    """An SQL statement that is compiled once and run many times, each time with other values for its `bindparam`s.

    It joins the transaction of its session, or begins it. A read begins none: without a transaction it runs alone. So
    does a write that may stand `alone`: it is committed at once and not rolled back by what fails later
    (`tests/db/test_statements.py` lists these).

    `row` is a NamedTuple with a field for each column, in their order. Text becomes the member of a field's StrEnum.
    If a field is a NamedTuple itself, the next columns are its fields, and their names may begin with its name; if it
    can be None, it is None where its first column, a key, is NULL.

    Values are given by the names of their parameters; a missing or unknown name is a TypeError. The session's `info`
    goes before defaults. Keep each object in a constant or in a cache of limited size.
    """

    @overload
    def __init__(self, statement: Statement, row: type[RowT_co], *, alone: bool = False) -> None: ...
    @overload
    def __init__(
        self: "Prepared[tuple[*Columns]]", statement: TypedReturnsRows[*Columns], *, alone: bool = False
    ) -> None: ...
    @overload
    def __init__(self: "Prepared[Never]", statement: Statement, *, alone: bool = False) -> None: ...
    def __init__(
        self, statement: Statement, row: type[RowT_co] | None = None, *, alone: bool = False
    ) -> None:
        self.statement = statement
        self.row = row
        self.alone = alone

    async def all(self, session: AsyncSession, values: Values = _NO_VALUES) -> Sequence[RowT_co]:
        sent = self._sent
        arguments = sent.arguments(values, session.info)
        records = await transaction_of(session).fetch(sent.sql, arguments, alone=sent.is_alone)
        return list(map(sent.read, records))

    async def first(self, session: AsyncSession, values: Values = _NO_VALUES) -> RowT_co | None:
        rows = await self.all(session, values)
        return rows[0] if rows else None

    async def one(self, session: AsyncSession, values: Values = _NO_VALUES) -> RowT_co:
        (row,) = await self.all(session, values)
        return row

    async def perform(self, session: AsyncSession, values: Values = _NO_VALUES) -> None:
        await self.all(session, values)

    @cached_property
    def _sent(self) -> "_Sent[RowT_co]":
        # Compiled at the first use, so that the start of a process does not wait for all statements.
        compiled = self.statement.compile(dialect=_DIALECT)
        names = compiled.positiontup or ()
        return _Sent(
            str(compiled),
            {
                name: compiled.binds[name].type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
                for name in names
            },
            {name: compiled.params[name] for name in names if not compiled.binds[name].required},
            is_alone=self.alone or not _is_kept(self.statement),
            read=_reader(self.row, self.statement),
        )


@overload
async def rows_of(
    session: AsyncSession, statement: Statement, row: type[RowT], values: Rows | None = None
) -> list[RowT]: ...
@overload
async def rows_of(
    session: AsyncSession, statement: TypedReturnsRows[*Columns], *, values: Rows | None = None
) -> list[tuple[*Columns]]: ...
async def rows_of(
    session: AsyncSession, statement: Statement, row: type[RowT] | None = None, values: Rows | None = None
) -> list[RowT]:
    """Run a statement that is built for this call, by SQLAlchemy; return its rows as `Prepared` does."""
    return list(map(_reader(row, statement), await session.execute(statement, values)))


@overload
async def row_of(session: AsyncSession, statement: Statement, row: type[RowT]) -> RowT | None: ...
@overload
async def row_of(session: AsyncSession, statement: TypedReturnsRows[*Columns]) -> tuple[*Columns] | None: ...
async def row_of(session: AsyncSession, statement: Statement, row: type[RowT] | None = None) -> RowT | None:
    """Run a statement that is built for this call and has at most one row; return the row, or None."""
    found = (await session.execute(statement)).one_or_none()
    return None if found is None else _reader(row, statement)(found)


async def count_changed(session: AsyncSession, statement: UpdateBase) -> int:
    """Run an UPDATE or a DELETE that is built for this call; return the number of rows that it changed."""
    return cast("CursorResult[Any]", await session.execute(statement)).rowcount


@dataclass(frozen=True, slots=True)
class _Sent(Generic[RowT_co]):
    """A compiled statement, as the driver gets it."""

    sql: str
    # The conversion of each parameter, in the order of the driver's arguments.
    parameters: Mapping[str, Callable[[object], object] | None]
    # The values of parameters that the caller leaves out.
    defaults: Values
    is_alone: bool
    # Makes a row from the driver's record.
    read: Callable[[Iterable[object]], RowT_co]

    def arguments(self, values: Values, info: Values) -> list[object]:
        given = {name: info.get(name, default) for name, default in self.defaults.items()}
        given.update(values)
        if given.keys() != self.parameters.keys():
            raise TypeError(f"missing or unknown: {sorted(given.keys() ^ self.parameters.keys())}")
        return [
            given[name] if process is None else process(given[name])
            for name, process in self.parameters.items()
        ]


def _is_kept(statement: Statement) -> bool:
    # A CTE of a SELECT may write, locks of rows need a transaction, and the SQL of a text may do either.
    return isinstance(statement, TextClause | TextualSelect) or any(
        isinstance(part, ForUpdateArg) or getattr(part, "is_dml", False) for part in iterate(statement)
    )


def _reader(row: Any, statement: Statement) -> Callable[[Iterable[object]], Any]:
    if row is None:
        return tuple
    assert not isinstance(statement, TextClause)
    return _kept_reader(row, tuple(column.name for column in statement.exported_columns))


@lru_cache(maxsize=512)
def _kept_reader(row: Any, names: tuple[str, ...]) -> Callable[[Iterable[object]], Any]:
    left = deque(names)
    vocabularies: list[tuple[int, Mapping[object, StrEnum]]] = []
    parts: list[tuple[slice, Callable[[Iterable[object]], object], bool]] = []

    def lay_out(row: Any, path: tuple[str, ...]) -> None:
        # Consumes the names of the columns from the left.
        for field, annotation in get_type_hints(row).items():
            kinds = (annotation, *get_args(annotation))
            place = len(names) - len(left)
            part = next((kind for kind in kinds if hasattr(kind, "_fields")), None)
            if part is not None:
                # Nested rows are single values by then.
                parts.append((slice(place, place + len(part._fields)), part._make, NoneType in kinds))
                lay_out(part, (*path, field))
                continue
            name = left.popleft() if left else "no column"
            if name not in {"_".join((*path[start:], field)) for start in range(len(path) + 1)}:
                raise TypeError(f"{row.__name__}.{field} gets {name}")
            vocabularies.extend(
                (place, {str(member): member for member in kind})
                for kind in kinds
                if isinstance(kind, type) and issubclass(kind, StrEnum)
            )

    lay_out(row, ())
    if left:
        raise TypeError(f"{row.__name__} has no fields for {list(left)}")
    make: Callable[[Iterable[object]], object] = row._make
    if not parts and not vocabularies:
        return make
    # Last first, and inner before outer: to replace columns by a row moves the positions behind them.
    parts.reverse()

    def read(record: Iterable[object]) -> object:
        values = list(record)
        for place, members in vocabularies:
            value = values[place]
            # Keep a value that only a later release knows.
            values[place] = members.get(value, value)
        for columns, make_part, is_optional in parts:
            part = values[columns]
            values[columns] = (None if is_optional and part[0] is None else make_part(part),)
        return make(values)

    return read
