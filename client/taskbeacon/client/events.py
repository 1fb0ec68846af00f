"""Live streams: decode server-sent events, and follow a run or the ledger over any number of connections."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from taskbeacon.client.errors import ConnectionFailed, bad_answer
from taskbeacon.client.retrying import Patience
from taskbeacon.client.shapes import parsed
from taskbeacon.client.steps import Flow, Open, Read, Request

if TYPE_CHECKING:
    from taskbeacon.client import types

_SILENCE: Final = 60.0  # in seconds, after which a connection is taken for cut
TERMINAL: Final = ("completed", "failed", "cancelled")
_MOST_FRAME_BYTES: Final = 8 * 1024 * 1024
_MOST_SEEN: Final = 100_000
# Frames that say something of the connection alone.
_CONTROL: Final = frozenset({"keepalive", "end", "stream-end", "error"})


@dataclass(frozen=True, slots=True)
class Event:
    """One event, with its place in the stream, to resume `after`. `type` is `unknown` where the data has none."""

    event_id: str | None
    type: str
    data: dict[str, Any]  # Any: JSON
    # Of a stream of several topics: the one that it is of, unless it is a row of the ledger.
    topic: str | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Events are missing here: `lost` of them, None if the server does not know how many."""

    event_id: str | None
    lost: int | None
    data: dict[str, Any]  # Any: JSON


@dataclass(frozen=True, slots=True)
class Waiting:
    """The run has begun to wait for a person; `waiting_for` is that of its state."""

    event_id: str | None
    waiting_for: dict[str, Any]  # Any: JSON


@dataclass(frozen=True, slots=True)
class End:
    """The run is over."""

    event_id: str | None
    status: str
    run: "types.Run"


Item: TypeAlias = Event | Gap | Waiting | End


class Frame(NamedTuple):
    """A server-sent event."""

    name: str
    data: str
    id: str | None


class FrameDecoder:
    """Decodes server-sent events from the pieces of an answer; `last_id` is that of the last whole one with an id."""

    def __init__(self) -> None:
        self._rest = b""
        self._name, self._lines = "", list[str]()
        self._id: str | None = None
        self.last_id: str | None = None

    def feed(self, piece: bytes) -> list[Frame]:
        """Return the frames that the piece completes. Raises ServerError if one is too large."""
        text = self._rest + piece
        # The other half of a line break may be in the next piece.
        held = b"\r" if text.endswith(b"\r") else b""
        lines = text.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop() + held
        frames = [frame for line in lines if (frame := self._take(line.decode(errors="replace")))]
        if len(self._rest) + sum(map(len, self._lines)) > _MOST_FRAME_BYTES:
            raise bad_answer("An event of the stream is too large.")
        return frames

    def _take(self, line: str) -> Frame | None:
        if not line:
            frame = Frame(self._name, "\n".join(self._lines), self._id) if self._lines else None
            # Not at its line: the rest of the frame may be lost.
            self.last_id = self.last_id if self._id is None else self._id
            self._name, self._lines, self._id = "", [], None
            return frame
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field.removeprefix("\ufeff"):
            case "data":
                self._lines.append(value)
            case "event":
                self._name = value
            case "id" if value.isascii() and value.isprintable():  # as a header has it
                self._id = value
            case _:
                pass  # a comment, or of no use here
        return None


@dataclass
class Stream:
    """A live stream that is resumed after its last id; no event comes twice."""

    _request: Request
    last_id: str | None
    _connected: Callable[[], None] | None = None
    _decoder: FrameDecoder = field(default_factory=FrameDecoder)
    _handle: Any = None
    _frames: deque[Frame] = field(default_factory=deque)
    # The ids of the last events, in order.
    _seen: dict[str, None] = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)
    # Whether the last connection brought an event, and whether the server ended it.
    has_brought: bool = False
    was_ended: bool = False

    def connect(self) -> Flow[None]:
        """Connect, with repetitions. Raises the last error after 60 s without an answer, or a refusal."""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store", **self._request.headers}
        if self.last_id is not None:
            headers["Last-Event-ID"] = self.last_id
        request = Request("GET", self._request.url, headers, timeout=_SILENCE)
        answer, self._handle = yield from self.patience.until_answered(Open(request))
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            raise bad_answer("The server's answer is no stream of events.", status=answer.status)
        self._decoder = FrameDecoder()
        self.has_brought = self.was_ended = False

    def next(self) -> Flow[Frame | None]:
        """Return the next event, or None when the connection has ended."""
        while True:
            while self._frames:
                frame = self._frames.popleft()
                if frame.name not in _CONTROL and self._is_new(frame.id):
                    self.has_brought = True
                    return frame
            try:
                piece = yield Read(self._handle)
                self.was_ended = not piece
            except ConnectionFailed:
                piece = b""
            if not piece:
                return None
            self.patience.hear()
            self._frames.extend(self._decoder.feed(piece))
            self.last_id = self._decoder.last_id or self.last_id
            if self._connected is not None and self.last_id is not None:
                self._connected()
                self._connected = None

    def _is_new(self, id_: str | None) -> bool:
        if id_ is None:
            return True
        is_new = id_ not in self._seen
        self._seen[id_] = None
        if len(self._seen) > _MOST_SEEN:
            del self._seen[next(iter(self._seen))]
        return is_new


def item_of(frame: Frame) -> Event | Gap:
    """Return the event or the gap that a frame reports. Raises ServerError if it is no JSON."""
    content = parsed(frame.data, "An event of the stream")
    data: dict[str, Any] = content if isinstance(content, dict) else {"data": content}
    type_ = data.get("type")
    if frame.name == "gap":
        lost = data.get("lost")
        return Gap(frame.id, lost if isinstance(lost, int) else None, data)
    return Event(frame.id, type_ if isinstance(type_, str) else "unknown", data, frame.name or None)


class WaitingState:
    """Tracks what a run waits for, from its state and from the notifications of its stream."""

    def __init__(self) -> None:
        self._waiting_for: Any = None
        self._read_at: datetime | None = None

    def read(self, run: Mapping[str, Any]) -> dict[str, Any] | None:
        """Note the run as it was read; return what it has begun to wait for since the last call."""
        self._read_at = _time(run.get("updated_at"))
        return self._take((run.get("state") or {}).get("waiting_for"))

    def notice(self, data: Mapping[str, Any]) -> dict[str, Any] | None:
        """Note an event of the stream; return what the run has begun to wait for, if the event says so."""
        notification = data.get("notification")
        if not isinstance(notification, dict) or notification.get("method") != "_taskbeacon/waiting_for":
            return None
        at = _time(data.get("timestamp"))
        if at is not None and self._read_at is not None and at <= self._read_at:
            return None  # older than the run as it was read
        return self._take(notification.get("params"))

    def _take(self, waiting_for: Any) -> dict[str, Any] | None:
        is_new = isinstance(waiting_for, dict) and waiting_for != self._waiting_for
        self._waiting_for = waiting_for
        return waiting_for if is_new else None


def _time(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return at if at.tzinfo else None
