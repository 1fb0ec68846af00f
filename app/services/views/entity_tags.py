"""Entity tags of answers, made of the versions of the rows that the answers show (contract 2.9, ADR 73)."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Text, func, literal_column
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.statements import Prepared
from app.errors import NotFound
from app.models.base import AnyColumn


class Held(NamedTuple):
    """The answers to a request that its client has kept, by their tags."""

    # What decides the answer apart from database rows, such as the caller and the URL.
    basis: bytes = b""
    tags: Sequence[str] = ()
    # Whether the client sent `*`, which matches every answer.
    anything: bool = False

    def tag(self, total: int, versions: str) -> str:
        """Return the tag of the answer that shows this number and the rows with these versions."""
        return hashlib.sha256(b"%b\n%d\n%b" % (self.basis, total, versions.encode())).hexdigest()

    def has(self, tag: str) -> bool:
        return self.anything or tag in self.tags


NOTHING_HELD = Held()
# Selects the total and the `digest_of` the rows of an answer, or no row if the caller does not see what it is about.
Versions = Prepared[tuple[int, str]]


async def find_held(
    session: AsyncSession, held: Held, versions: Versions, values: Mapping[str, object]
) -> str | None:
    """Return the tag of an answer if the client has sent it, by the versions of its rows alone; otherwise None."""
    if not held.tags:
        return None
    row = await versions.first(session, values)
    if row is None:
        raise NotFound
    tag = held.tag(*row)
    return tag if held.has(tag) else None


def row_version(table: str) -> ColumnElement[str]:
    """Return the SQL expression for the version of a row: the number of the transaction that wrote it."""
    return literal_column(f"{table}.xmin::text", Text)


def joined(*parts: AnyColumn) -> ColumnElement[str]:
    """Return the SQL expression for a version of these parts, with slashes between them; NULL is an empty part."""
    # Not the row as text, for which the database takes 2.5 times as long.
    slash = literal_column("'/'", Text)
    return func.concat(parts[0], *(each for part in parts[1:] for each in (slash, part)), type_=Text)


def digest_of(versions: Iterable[str]) -> str:
    """Return the digest of the versions of the rows of an answer, in their order."""
    return hashlib.sha256("\n".join(versions).encode()).hexdigest()
