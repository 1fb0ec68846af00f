"""Read numbered events from JSON lines as they arrive: an agent may use one request for a whole run."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import suppress

from fastapi import Request
from starlette.requests import ClientDisconnect

from app.api_limits import (
    BODY_BYTES,
    DRAINED_BYTES,
    EVENT_LINE_BYTES,
    EVENT_LINES,
    EVENT_SILENCE_SECONDS,
    LINGER_SECONDS,
)
from app.errors import AppError, BodyTooLarge, InvalidInput, MalformedBody
from app.services.run_log.incoming_entries import COMPLETE_TYPE, Completion, NumberedEvent
from app.services.run_log.log_entries import is_reserved
from app.web.body import load_json

_MAX_SEQ = 2**53 - 1
# A batch is yielded at this size or age. Each batch is one write of the log.
_BATCH_LINES = 500
_BATCH_BYTES = 4 * 1024 * 1024
_GATHER_SECONDS = 0.2


async def read_event_lines(request: Request) -> AsyncGenerator[list[NumberedEvent | Completion], None]:
    """Yield batches of the numbered events in a request's body while the body arrives.

    The generator ends after the body, after the line that says that the events are complete, or after a minute without
    data. If a line is invalid, the events before it are yielded, and then the error is raised.
    """
    batch = _Batch()
    chunks = request.stream()
    reading: asyncio.Task[bytes | None] | None = None
    try:
        while not batch.is_last:
            # At the timeout the read is not cancelled, but awaited again.
            reading = reading or asyncio.create_task(_next(chunks))
            done, _ = await asyncio.wait({reading}, timeout=batch.patience)
            if done:
                batch.add(reading.result())
                reading = None
            elif not batch.events:
                return
            if batch.events and batch.is_due:
                yield batch.take()
    finally:
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        # Clients that send the whole body first read the response only then.
        await _drain(chunks)
    if batch.failure is not None:
        raise batch.failure


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    size = 0
    with suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(LINGER_SECONDS):
            async for chunk in chunks:
                size += len(chunk)
                if size > DRAINED_BYTES:
                    return


class _Batch:
    """A batch of events that have been read from the body and not been yielded yet."""

    def __init__(self) -> None:
        self.events: list[NumberedEvent | Completion] = []
        self.failure: AppError | None = None
        self.is_last = False
        self._lines = _Lines()
        self._bytes = 0
        self._due_at = 0.0

    @property
    def patience(self) -> float:
        """The seconds to wait for more of the body until the batch is due or the agent counts as silent."""
        return max(0.0, self._due_at - _now()) if self.events else EVENT_SILENCE_SECONDS

    @property
    def is_due(self) -> bool:
        is_large = len(self.events) >= _BATCH_LINES or self._bytes >= _BATCH_BYTES
        return self.is_last or is_large or _now() >= self._due_at

    def add(self, chunk: bytes | None) -> None:
        """Add the events in a piece of the body, None for its end; an error in it is kept in `failure`."""
        if not self.events:
            self._due_at = _now() + _GATHER_SECONDS
        try:
            for line in self._lines.end() if chunk is None else self._lines.split(chunk):
                self.events.append(_parse(line, self._lines.count))
                self._bytes += len(line)
                if isinstance(self.events[-1], Completion):
                    self.is_last = True
                    return
        except AppError as error:
            self.failure = error
        self.is_last = chunk is None or self.failure is not None

    def take(self) -> list[NumberedEvent | Completion]:
        taken, self.events, self._bytes = self.events, [], 0
        return taken


def _now() -> float:
    return asyncio.get_running_loop().time()


class _Lines:
    """Splits a body into its non-empty lines; `count` is the number of the last yielded line in the body."""

    def __init__(self) -> None:
        self.count = 0
        self._begun = bytearray()
        self._size = 0

    def split(self, chunk: bytes) -> Iterator[bytes]:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            if not end and not self._begun:
                # A body may consist of millions of empty lines.
                self.count += 1
                continue
            self._go_on(end)
            yield from self.end()
        self._go_on(rest)
        self._size += len(chunk)
        if self._size > BODY_BYTES:
            raise BodyTooLarge(BODY_BYTES)

    def end(self) -> Iterator[bytes]:
        """Yield the last line, which has no line break."""
        self.count += 1
        line = bytes(self._begun).strip()
        self._begun.clear()
        if not line:
            return
        if self.count > EVENT_LINES:
            raise InvalidInput(f"Line {self.count}: a request takes at most {EVENT_LINES} lines.")
        yield line

    def _go_on(self, piece: bytes) -> None:
        self._begun += piece
        if len(self._begun) > EVENT_LINE_BYTES:
            raise MalformedBody(f"Line {self.count + 1}: longer than {EVENT_LINE_BYTES} bytes.")


def _parse(line: bytes, number: int) -> NumberedEvent | Completion:
    try:
        value = load_json(line)
    except MalformedBody as error:
        raise MalformedBody(f"Line {number}: {error.detail}.") from error
    if isinstance(value, dict) and value.get("type") == COMPLETE_TYPE:
        final = value.get("final_seq")
        if not isinstance(final, int) or isinstance(final, bool) or not 0 <= final <= _MAX_SEQ:
            raise InvalidInput(
                f"Line {number}: `final_seq` must be 0 or a positive integer.", attr="final_seq"
            )
        return Completion(final)
    seq = value.get("seq") if isinstance(value, dict) else None
    event = value.get("event") if isinstance(value, dict) else None
    if not isinstance(seq, int) or isinstance(seq, bool) or not 1 <= seq <= _MAX_SEQ:
        raise InvalidInput(f"Line {number}: `seq` must be a positive integer.", attr="seq")
    if not isinstance(event, dict):
        raise InvalidInput(f"Line {number}: `event` must be an object.", attr="event")
    if is_reserved(event):
        raise InvalidInput(f"Line {number}: only the service itself says `{event['type']}`.", attr="event")
    return NumberedEvent(seq, event)
