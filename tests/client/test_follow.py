"""Follow runs and the ledger over connections that break, alike in both clients; and wait for runs."""

import gc
import json
import socket
from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbeacon.client import AccessDenied, End, Event, Gap, NotFound, ServerError, Waiting, WaitTimeout
from taskbeacon.client.errors import ConnectionFailed
from taskbeacon.client.events import FrameDecoder
from taskbeacon.client.retrying import Patience
from taskbeacon.client.steps import Open, Pause, Request
from tests.client.conftest import Calls, NewCalls
from tests.client.server import PROJECT, Received, Reply, Server, answer, failure, frame, stream

TASK_ID = "01890000-0000-7000-8000-00000000000a"
RUN_ID = "01890000-0000-7000-8000-00000000000b"
PATH = f"{PROJECT}/tasks/{TASK_ID}/runs/{RUN_ID}"
STREAM, GET = f"GET {PATH}/stream", f"GET {PATH}"
RUN: dict[str, Any] = {"id": RUN_ID, "task": TASK_ID, "state": {}, "updated_at": "2026-01-01T10:00:00Z"}
GOING, DONE = RUN | {"status": "in_progress"}, RUN | {"status": "completed"}
ENDED = frame({"type": "task_run_state", "status": "completed"}, id_="1-9")
MESSAGE = {"kind": "message", "since": "2026-01-01T10:00:00Z"}
PERMISSION = {"kind": "permission", "since": "2026-01-01T10:05:00Z"}


def entry(number: int, method: str = "x", at: str = "2026-01-01T10:01:00Z", **params: Any) -> bytes:
    notification = {"method": method, "params": params}
    return frame({"type": "notification", "timestamp": at, "notification": notification}, id_=f"1-{number}")


def assert_end(item: Any, event_id: str) -> None:
    assert isinstance(item, End)
    assert (item.event_id, item.status, item.run) == (event_id, "completed", DONE)


def ids(items: Sequence[Any]) -> list[str | None]:
    return [item.event_id for item in items if isinstance(item, Event)]


async def test_a_run_to_its_end(server: Server, calls: Calls) -> None:
    server.on(
        STREAM,
        stream(b"retry: 2000\n\n", entry(1), frame({}, name="keepalive"), frame([1], id_="1-2"), ENDED),
    )
    server.on(GET, answer(GOING), answer(DONE))
    items = await calls.items("runs.follow", RUN)
    assert [type(item) for item in items] == [Event, Event, Event, End]
    assert (items[0].type, items[0].data["notification"]["method"]) == ("notification", "x")
    assert items[1] == Event("1-2", "unknown", {"data": [1]})
    assert_end(items[-1], "1-9")
    assert "last-event-id" not in server.at(STREAM)[0].headers


async def test_a_cut_is_resumed_and_nothing_comes_twice(server: Server, calls: Calls) -> None:
    half = entry(3)[:20]
    server.on(
        STREAM,
        stream(entry(1), entry(2) + half, cut=True),
        stream(cut=True),
        failure(503, "unavailable", Retry_After=0),
        stream(entry(2), entry(3)),
        stream(frame({"type": "rotated"}, name="end")),
        stream(entry(4), ENDED),
    )
    server.on(GET, *[answer(GOING)] * 8, answer(DONE))
    items = await calls.items("runs.follow", RUN)
    assert ids(items) == ["1-1", "1-2", "1-3", "1-4", "1-9"]
    assert [sent.headers.get("last-event-id") for sent in server.at(STREAM)] == [
        None, "1-2", "1-2", "1-2", "1-3", "1-3",
    ]  # fmt: skip


async def test_only_the_end_of_the_run_is_its_end(server: Server, calls: Calls) -> None:
    """The run is over before its last events have come, and its state event is lost."""
    server.on(STREAM, stream(entry(1)), stream(entry(2), cut=True), stream(cut=True), stream())
    server.on(GET, answer(GOING), answer(DONE))
    items = await calls.items("runs.follow", RUN)
    assert ids(items) == ["1-1", "1-2"]
    assert_end(items[-1], "1-2")
    assert len(server.at(STREAM)) == 4


async def test_a_follower_begins_behind_an_event(server: Server, calls: Calls) -> None:
    server.on(STREAM, stream(ENDED))
    server.on(GET, answer(DONE))
    assert ids(await calls.items("runs.follow", RUN, after="1-8")) == ["1-9"]
    assert server.at(STREAM)[0].headers["last-event-id"] == "1-8"


async def test_gaps_are_told(server: Server, calls: Calls) -> None:
    gap = {"type": "gap", "lost": 3, "first_available_id": "1-4"}
    server.on(STREAM, stream(frame(gap, name="gap"), frame({"type": "gap", "lost": None}, name="gap"), ENDED))
    server.on(GET, answer(DONE))
    items = await calls.items("runs.follow", RUN)
    assert items[:2] == [Gap(None, 3, gap), Gap(None, None, {"type": "gap", "lost": None})]


async def test_a_run_that_waits(server: Server, calls: Calls) -> None:
    """It waits at the first look, goes on, and waits again; what it had waited for in the past does not count."""
    waits = RUN | {"status": "in_progress", "state": {"waiting_for": MESSAGE}}
    server.on(
        STREAM,
        stream(
            entry(1, "_taskbeacon/waiting_for", "2026-01-01T09:00:00Z", **PERMISSION),
            entry(2, "_taskbeacon/waiting_for", "2026-01-01T10:01:00Z", **MESSAGE),
            entry(4, "_taskbeacon/waiting_for", "2026-01-01T10:05:00Z", **PERMISSION),
            entry(5, "_taskbeacon/waiting_for", "2026-01-01T10:05:00Z", **PERMISSION),
            ENDED,
        ),
    )
    server.on(GET, answer(waits), answer(DONE))
    items = await calls.items("runs.follow", RUN)
    assert [item for item in items if isinstance(item, Waiting)] == [
        Waiting(None, MESSAGE),
        Waiting("1-4", PERMISSION),
    ]


async def test_what_ends_a_follower(server: Server, calls: Calls) -> None:
    server.on(GET, answer(GOING))
    cases: list[tuple[Reply, type[Exception]]] = [
        (failure(403, "permission_denied"), AccessDenied),
        (failure(404, "not_found"), NotFound),
        (failure(500, "error"), ServerError),
        (answer({}), ServerError),
        (stream(b"data: {\n\n"), ServerError),
    ]
    for number, (reply, kind) in enumerate(cases):
        run = RUN | {"id": f"run-{number}"}
        server.on(f"GET {PROJECT}/tasks/{TASK_ID}/runs/run-{number}/stream", stream(entry(1)), reply)
        server.on(f"GET {PROJECT}/tasks/{TASK_ID}/runs/run-{number}", answer(GOING))
        with pytest.raises(kind):
            await calls.items("runs.follow", run)


def test_a_follower_gives_up_when_nothing_answers() -> None:
    """The core by hand: its patience is a minute of real time."""
    request = Open(Request("GET", "http://127.0.0.1/"))
    steps = Patience(seconds=0).until_answered(request)
    assert next(steps) is request
    with pytest.raises(ConnectionFailed, match="refused"):
        steps.throw(ConnectionFailed("refused"))
    steps = Patience().until_answered(request)
    pauses = []
    for _ in range(8):
        assert isinstance(next(steps), Open)
        pause = steps.throw(ConnectionFailed("refused"))
        assert isinstance(pause, Pause)
        pauses.append(pause.seconds)
    assert pauses[0] <= 0.25 * 1.25
    assert 5 * 0.75 <= pauses[-1] <= 5 * 1.25


def answers_in_memory() -> list[httpx.Response]:
    return [each for each in gc.get_objects() if isinstance(each, httpx.Response)]


async def test_a_connection_is_closed_before_the_next(server: Server, calls: Calls) -> None:
    """Regression: those of runs that began again stayed open, and all answers were held, as long as the follower."""
    others = WeakSet(answers_in_memory())
    are_closed: list[list[bool]] = []

    def reply(_: Received) -> Reply:
        gc.collect()
        are_closed.append([each.is_closed for each in answers_in_memory() if each not in others])
        number = len(are_closed)
        return (
            failure(503, "unavailable", Retry_After=0)
            if number % 2
            else stream(ENDED.replace(b"9", b"%d" % number))
        )

    server.on(STREAM, reply)
    server.on(GET, *[answer(GOING)] * 5, answer(DONE))
    assert ids(await calls.items("runs.follow", RUN)) == ["1-2", "1-4", "1-6"]
    assert all(map(all, are_closed))
    # Those of the last stream and the last refusal.
    assert max(map(len, are_closed)) == 2


async def test_the_ledger_is_resumed_by_the_id_of_a_keepalive(server: Server, calls: Calls) -> None:
    row = {"id": "e1", "seq": 4, "type": "run.started", "data": {}}
    live = {"type": "task_run_state", "status": "completed"}
    server.on(
        f"GET {PROJECT}/events/stream",
        stream(frame({"type": "keepalive"}, name="keepalive", id_="p1")),
        stream(frame(row, id_="p2"), frame(live, id_="p3", name="run:7"), frame({"lost": 2}, name="gap")),
        stream(frame(row, id_="p4")),
    )
    items = await calls.items("events.stream", topics="tasks,run:7", most=4)
    assert items[:3] == [
        Event("p2", "run.started", row),
        Event("p3", "task_run_state", live, "run:7"),
        Gap(None, 2, {"lost": 2}),
    ]
    sent = server.at(f"GET {PROJECT}/events/stream")
    assert [each.headers.get("last-event-id") for each in sent] == [None, "p1", "p3"]
    assert sent[0].query == {"topics": "tasks,run:7"}


async def test_the_ledger_is_read_page_by_page(server: Server, calls: Calls) -> None:
    server.on(
        f"GET {PROJECT}/events",
        answer({"results": [{"id": "a"}], "next_after": "1"}),
        answer({"results": [{"id": "b"}], "next_after": "2"}),
        answer({"results": [], "next_after": "2"}),
    )
    assert [row["id"] for row in await calls.items("events.list", type="run.*", after="0")] == ["a", "b"]
    assert [sent.query["after"] for sent in server.received] == ["0", "1", "2"]


async def test_wait_for_the_end(server: Server, calls: Calls) -> None:
    server.on(GET, answer(GOING), failure(503, "unavailable", Retry_After=0), answer(DONE))
    assert await calls.call("runs.wait", RUN) == DONE


async def test_wait_for_a_person(server: Server, calls: Calls) -> None:
    waits = RUN | {"status": "in_progress", "state": {"waiting_for": MESSAGE}}
    server.on(GET, answer(GOING), answer(waits))
    assert await calls.call("runs.wait", RUN, until="waiting") == waits


async def test_a_wait_has_an_end(server: Server, calls: Calls) -> None:
    server.on(GET, answer(GOING))
    with pytest.raises(WaitTimeout, match="The run is in_progress after"):
        await calls.call("runs.wait", RUN, timeout=0.1)


@pytest.mark.parametrize("run", [RUN, RUN_ID])
@pytest.mark.parametrize(
    ("fault", "said"),
    [("busy", "unavailable"), ("away", "refused|failed"), ("silent", "timed out|ReadTimeout")],
)
async def test_a_wait_has_an_end_while_nothing_answers(
    server: Server, new_calls: NewCalls, fault: str, said: str, run: Any
) -> None:
    """Regression: it looked at the time after a good answer only, and was still there a minute later."""
    server.otherwise = failure(503, "unavailable")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        if fault == "away":
            silent.close()
        calls = new_calls(server.url if fault == "busy" else url)
        with pytest.raises(WaitTimeout, match=said):
            await calls.call("runs.wait", run, timeout=0.1)


@given(st.data())
def test_frames_are_the_same_however_they_are_cut(data: st.DataObject) -> None:
    text = (
        ': comment\r\nid: 1\r\nevent: gap\r\ndata: {"a":\r\ndata: 1}\r\n\r\n'
        "id:2\ndata:é\n\nretry: 5\n\ndata: x\rid: 3\r\r\nid: a\0b\ndata: last\n\n"
    ).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    decoder, frames = FrameDecoder(), []
    for first, last in zip([0, *cuts], [*cuts, len(text)], strict=True):
        frames += decoder.feed(text[first:last])
    assert [(each.name, each.data, each.id) for each in frames] == [
        ("gap", '{"a":\n1}', "1"),
        ("", "é", "2"),
        ("", "x", "3"),
        ("", "last", None),
    ]
    assert decoder.last_id == "3"


def test_a_frame_has_a_bound() -> None:
    decoder = FrameDecoder()
    piece = b"data: " + json.dumps("x" * 1_000_000).encode() + b"\n"
    for _ in range(8):
        assert decoder.feed(piece) == []
    with pytest.raises(ServerError, match="too large"):
        decoder.feed(piece)
