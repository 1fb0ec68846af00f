"""Plans of PostgreSQL for statements that the service sent."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg

from tests.support.database.queries import Statement


@dataclass(frozen=True, slots=True)
class Plan:
    """A query plan of PostgreSQL."""

    sql: str
    root: dict[str, Any]

    @property
    def scanned(self) -> set[str]:
        """The tables that are read from end to end."""
        return {node["Relation Name"] for node in _nodes(self.root) if node["Node Type"] == "Seq Scan"}

    @property
    def read_whole(self) -> set[str]:
        """The tables that are read from end to end, by an index too; also where a condition is checked row by row."""
        scans = ("Seq Scan", "Index Scan", "Index Only Scan")
        found = (node for node in _nodes(self.root) if node["Node Type"] in scans)
        return {node["Relation Name"] for node in found if "Index Cond" not in node}

    @property
    def readers(self) -> list[str]:
        """The kinds of nodes that read rows, the outer one of each join first."""
        return [node["Node Type"] for node in _nodes(self.root) if node["Node Type"].endswith("Scan")]

    @property
    def indexes(self) -> set[str]:
        return {node["Index Name"] for node in _nodes(self.root) if "Index Name" in node}

    @property
    def visited_by(self) -> set[str]:
        """The indexes that lead to rows, which are then read themselves."""
        return {node["Index Name"] for node in _nodes(self.root) if node["Node Type"] == "Index Scan"}


async def custom_plan(connection: asyncpg.Connection, statement: Statement) -> Plan:
    """Return PostgreSQL's plan for the parameters of the statement, as made for its first executions."""
    answer = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement.sql}", *statement.parameters)
    return _plan(statement, answer)


async def looks_into(connection: asyncpg.Connection, statement: Statement, table: str) -> int:
    """Return how often PostgreSQL looks into a table for a statement, whose changes are taken back."""
    changes = connection.transaction()
    await changes.start()
    explained = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.sql}"
    plan = _plan(statement, await connection.fetchval(explained, *statement.parameters))
    await changes.rollback()
    return sum(node["Actual Loops"] for node in _nodes(plan.root) if node.get("Relation Name") == table)


async def generic_plan(connection: asyncpg.Connection, statement: Statement) -> Plan:
    """Return PostgreSQL's plan for any parameters, which it may use once a statement was executed often."""
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE planned AS {statement.sql}")
    values = ", ".join(["NULL"] * len(statement.parameters))
    given = f"({values})" if values else ""
    answer = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE planned{given}")
    await connection.execute("DEALLOCATE planned")
    await connection.execute("RESET plan_cache_mode")
    return _plan(statement, answer)


def _plan(statement: Statement, answer: str) -> Plan:
    return Plan(statement.sql, json.loads(answer)[0]["Plan"])


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)
