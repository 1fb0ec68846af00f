"""Encrypt stored secrets again after `SECRET_KEYS` got a new first key, so that the old key can be removed."""

from collections.abc import Iterator
from typing import TypedDict

from sqlalchemy import Column, Table, Text, cast, select, tuple_, update

from app.db import SessionFactory, unit_of_work
from app.db.statements import count_changed, rows_of
from app.models import Base
from app.security.secrets import Cipher, DecryptionError

_PREFIX = "encrypted_"
# Encrypted columns without the prefix.
_OTHERS = frozenset({"signing_keys.private_key"})
_BATCH = 200


class Rotation(TypedDict):
    rotated: int
    # Values that no configured key decrypts: they were lost before, and are not changed.
    unreadable: int


def encrypted_columns() -> Iterator[Column[object]]:
    """Yield every database column with values that `Cipher` has encrypted."""
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if column.name.startswith(_PREFIX) or str(column) in _OTHERS:
                yield column


async def rotate_secrets(sessions: SessionFactory, cipher: Cipher) -> Rotation:
    """Encrypt every stored secret again; return how many were, and how many no key decrypts. It can be repeated."""
    total = Rotation(rotated=0, unreadable=0)
    for column in encrypted_columns():
        part = await _rotate_column(sessions, cipher, column)
        total["rotated"] += part["rotated"]
        total["unreadable"] += part["unreadable"]
    return total


async def _rotate_column(sessions: SessionFactory, cipher: Cipher, column: Column[object]) -> Rotation:
    table = column.table
    assert isinstance(table, Table)
    keys = list(table.primary_key.columns)
    done = Rotation(rotated=0, unreadable=0)
    # Leaves out NULL and objects without secrets.
    page = select(*keys, column).where(cast(column, Text) != "{}").order_by(*keys).limit(_BATCH)
    statement = page
    while True:
        async with unit_of_work(sessions) as session:
            rows = await rows_of(session, statement)
            for *key, value in rows:
                try:
                    fresh = _rotate_value(cipher, value)
                except DecryptionError:
                    done["unreadable"] += 1
                    continue
                same = (key_column == key_value for key_column, key_value in zip(keys, key, strict=True))
                # Only if the value is still the one that was read: it may have been replaced meanwhile.
                unchanged = update(table).where(*same, column == value)
                done["rotated"] += await count_changed(session, unchanged.values({column.name: fresh}))
        if len(rows) < _BATCH:
            return done
        statement = page.where(tuple_(*keys) > tuple_(*rows[-1][:-1]))


def _rotate_value(cipher: Cipher, value: str | dict[str, str]) -> str | dict[str, str]:
    if isinstance(value, str):
        return cipher.rotate(value)
    return {name: cipher.rotate(text) for name, text in value.items()}
