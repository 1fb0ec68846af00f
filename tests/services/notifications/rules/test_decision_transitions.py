"""The decisions of a notice: what may follow each of them, for every pair (contract 16.12)."""

import ast
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from sqlalchemy import bindparam
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import NotificationDecision as Decision
from app.ids import new_id
from app.models import Notification, PushToken, Task, User
from app.services.notifications.rules import decision_transitions
from app.services.notifications.rules.decision_transitions import Change, decision_update, store
from tests.support.devices import make_device, make_pending, notifications_of, push_values

# For each decision, what may follow, in the words of the contract: a row that waits is decided again; an attempt ends
# somehow; what was shown, or may have been, is reminded of or retracted. All other pairs are refused.
WAITS = "deferred held_quiet_hours"
NEVER_SENT = "not_needed suppressed muted no_access cooled_down"
ENDS = "sent reminder retrying rejected given_up"
FOLLOWS = {
    "pending": f"{WAITS} {NEVER_SENT} {ENDS} retracted",
    "retrying": f"{WAITS} {NEVER_SENT} {ENDS} retracted",
    "deferred": f"pending given_up {WAITS} {NEVER_SENT}",
    "held_quiet_hours": f"pending digested given_up {WAITS} {NEVER_SENT}",
    "sent": "delivered rejected reminder retracted",
    "delivered": "reminder retracted",
    "reminder": "reminder retracted",
    "given_up": "reminder retracted",
    "not_needed": "reminder retracted",
    "muted": "reminder retracted",
    "no_access": "reminder retracted",
    "rejected": "",
    "retracted": "",
    "suppressed": "",
    "digested": "",
    "cooled_down": "",
    "throttled": "",
    "no_token": "",
}
OLD, NEW = "old_reason", "new_reason"


@pytest.fixture
async def device(session: AsyncSession, owner: User) -> PushToken:
    return await make_device(session, user=owner)


def test_table_names_every_decision() -> None:
    assert set(FOLLOWS) == set(Decision)


def test_statement_has_the_decisions_in_the_order_of_the_enum() -> None:
    """The order of a set differs between processes, so each prepared another text for the same statement."""
    values = decision_update(bindparam("to"), bindparam("reason"), bindparam("entries"))
    following = re.findall(r":to = '(\w+)' AND", str(values[Notification.decision]))
    assert len(following) > 1
    assert following == [decision for decision in Decision if decision in following]


async def test_pair_is_stored_if_the_table_has_it_and_changes_nothing_else(
    session: AsyncSession, sessions: SessionFactory, task: Task, device: PushToken
) -> None:
    by_pair = {pair: new_id() for pair in product(Decision, Decision)}
    session.add_all(
        Notification(**push_values(task, device, utcnow()) | {"id": id_, "decision": source, "reason": OLD})
        for (source, _), id_ in by_pair.items()
    )
    await session.flush()
    async with unit_of_work(sessions) as own:
        changes = [Change(id=id_, decision=to, reason=NEW) for (_, to), id_ in by_pair.items()]
        await store(own, changes, utcnow())
    rows = {row.id: row for row in await notifications_of(sessions, task)}
    for (source, to), id_ in by_pair.items():
        row = rows[id_]
        stored = (row.decision, row.reason, [(each["decision"], each["reason"]) for each in row.history])
        may = to in FOLLOWS[source].split()
        assert stored == ((to, NEW, [(to, NEW)]) if may else (source, OLD, [])), (source, to)


async def test_decision_with_the_same_reason_is_shown_once_but_each_reminder_is(
    sessions: SessionFactory, session: AsyncSession, task: Task, device: PushToken
) -> None:
    for decision in (Decision.DEFERRED, Decision.REMINDER):
        await make_pending(session, task=task, device=device, decision=decision, reason=OLD)
    rows = await notifications_of(sessions, task)
    async with unit_of_work(sessions) as own:
        changes = [Change(id=row.id, decision=Decision(row.decision), reason=OLD) for row in rows]
        await store(own, changes, utcnow())
    assert {row.decision: len(row.history) for row in await notifications_of(sessions, task)} == {
        "deferred": 0,
        "reminder": 1,
    }


def test_no_other_module_writes_a_decision() -> None:
    """A row is born with a decision (INSERT); every UPDATE takes the next one from `decision_update`."""
    folder = Path(decision_transitions.__file__).parents[1]
    writers = {
        path.name
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for value in _updated(node)
        if value in {"decision", "history"}
    }
    assert writers == {"decision_transitions.py"}


def _updated(node: ast.AST) -> Iterator[str]:
    """Yield the columns that `update(...).values(...)` or a dictionary of columns sets by itself."""
    if isinstance(node, ast.Dict):
        yield from (
            key.attr
            for key in node.keys
            if isinstance(key, ast.Attribute)
            and isinstance(key.value, ast.Name)
            and key.value.id == "Notification"
        )
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "values":
        yield from (keyword.arg for keyword in node.keywords if keyword.arg and _is_update(node.func.value))


def _is_update(node: ast.AST) -> bool:
    return any(
        isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == "update"
        for part in ast.walk(node)
    )
