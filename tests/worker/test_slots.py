"""Runs that wait for a person give their slots to other runs, up to a limit (ADR 18)."""

from app.ids import new_id
from app.worker.slots import RunSlots


def test_waiting_runs_free_as_many_slots_as_the_limit_allows() -> None:
    slots, runs = RunSlots(2), [new_id() for _ in range(3)]
    freed = []
    for run_id in (runs[0], *runs):
        slots.leave(run_id)
        freed.append(slots.freed)
    assert freed == [1, 1, 2, 2]
    for run_id in (*runs, runs[0]):
        slots.take_back(run_id)
        freed.append(slots.freed)
    assert freed[4:] == [2, 1, 0, 0]


def test_each_change_is_reported() -> None:
    slots, run_id, seen = RunSlots(1), new_id(), list[int]()
    slots.leave(run_id)
    slots.notify(lambda: seen.append(slots.freed))
    slots.take_back(run_id)
    slots.leave(run_id)
    assert seen == [0, 1]
