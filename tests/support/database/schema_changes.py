"""What a change of the schema takes from the release before it: names, values that it writes, rows that it inserts.

Or gives it: values that it does not know.

Two looks at the catalogue are compared, so that it does not matter how a revision has changed the schema.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg

# Of tables and views.
_COLUMNS = """
SELECT c.relname AS relation, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
       a.attnotnull AS required, a.atthasdef OR a.attidentity <> '' AS filled
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
  AND a.attnum > 0 AND NOT a.attisdropped
"""
# Without primary keys, whose columns are required; NULL stands for an expression of an index.
_RULES = """
SELECT n.conname AS name, c.relname AS relation, pg_get_constraintdef(n.oid) AS text,
       ARRAY(SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum = ANY (n.conkey)) AS columns
FROM pg_constraint n JOIN pg_class c ON c.oid = n.conrelid
WHERE n.connamespace = 'public'::regnamespace AND n.contype IN ('c', 'f', 'x')
UNION ALL
SELECT i.indexrelid::regclass::text, c.relname, pg_get_indexdef(i.indexrelid),
       ARRAY(SELECT a.attname FROM unnest(i.indkey::int2[]) AS key
             LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = key)
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE c.relnamespace = 'public'::regnamespace AND i.indisunique AND NOT i.indisprimary
"""
_LITERAL = re.compile(r"'([^']*)'")


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of all relations, and the rules for their rows: CHECKs, foreign keys, unique indexes."""

    columns: dict[tuple[str, str], asyncpg.Record]
    rules: dict[str, asyncpg.Record]

    @property
    def relations(self) -> set[str]:
        return {relation for relation, _ in self.columns}


async def read_schema(connection: "asyncpg.Connection[Any]") -> Schema:
    """Return the schema of a database, or of a transaction that has changed it."""
    columns = await connection.fetch(_COLUMNS)
    rules = await connection.fetch(_RULES)
    return Schema(
        {(row["relation"], row["name"]): row for row in columns}, {row["name"]: row for row in rules}
    )


def breaking_changes(old: Schema, new: Schema) -> Iterator[str]:
    """Yield each change with which a process that knows the old schema may fail; sorted, one line each."""
    yield from sorted(f"{relation} is gone" for relation in old.relations - new.relations)
    common = old.relations & new.relations
    for key in sorted(key for key in old.columns.keys() | new.columns.keys() if key[0] in common):
        before, after, name = old.columns.get(key), new.columns.get(key), ".".join(key)
        if after is None:
            yield f"{name} is gone"
        elif after["required"] and not after["filled"] and not (before and before["required"]):
            yield f"{name} is required, without a default"
        elif before and before["required"] and before["filled"] and not after["filled"]:
            yield f"{name} has no default any more"
        if before and after and before["type"] != after["type"]:
            yield f"{name} was {before['type']} and is {after['type']}"
    for name, rule in sorted(new.rules.items()):
        known = [
            column for column in rule["columns"] if not column or (rule["relation"], column) in old.columns
        ]
        if rule["relation"] not in common or not known:
            continue
        before = old.rules.get(name)
        values, more = (set(_LITERAL.findall(each["text"])) if each else set() for each in (before, rule))
        if before and values and values < more:
            yield f"{name} has new values: {', '.join(sorted(more - values))}"
        elif before is None or _unvalidated(before) != _unvalidated(rule):
            yield f"{name} is new, or refuses more: {rule['text']}"


def _unvalidated(rule: asyncpg.Record) -> str:
    # What a revision validates, new rows had to keep before.
    text: str = rule["text"]
    return text.removesuffix(" NOT VALID")
