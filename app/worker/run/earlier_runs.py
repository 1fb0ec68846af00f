"""The context that an agent gets of earlier runs: a stored conversation, or a summary of logs (contract 9.2)."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from app.agents.session.usage_meter import value_at
from app.agents.workspace.kept_session import MAX_PACKED_BYTES, KeptSession, unpack
from app.clients.storage.bucket import KEPT_DAYS
from app.clients.storage.object_store import ObjectStore
from app.clients.storage.object_store_errors import ObjectMissing, ObjectStoreUnavailable, RangeNotSatisfiable
from app.clients.storage.storage_keys import RunRef
from app.json_types import JsonDict
from app.services.artifacts.artifact_uploads import tags
from app.services.resume_chain import EarlierRun
from app.services.run_log.log_reading import parse_entry
from app.worker.run.store_retry import StoreRetryBudget

# The bytes to read from the end of each log.
_READ_BYTES = 512 * 1024
_SAID_CHARACTERS = 2_000
_MEMORY_CHARACTERS = 24_000
_INTRODUCTION = (
    "This task was worked on before, and you go on from there. What was said and done, oldest first, as far as it is "
    "kept (the files of the workspace are what counts):"
)
_CONTENT_TYPE = "application/gzip"

log = structlog.get_logger(__name__)


async def take_up(
    store: ObjectStore, earlier: Sequence[EarlierRun], ref: RunRef, *, is_repair: bool
) -> tuple[str | None, KeptSession | None]:
    """Return a summary of the runs that a run resumes, and the conversation to continue: in a repair, the run's own."""
    summary = session = None
    if earlier:
        try:
            summary = await recall(store, earlier, ref)
        except ObjectStoreUnavailable as error:
            # The agent then works without a summary.
            log.warning("run.without_summary", error=repr(error))
        session = await _fetch_session(store, replace(ref, run_id=earlier[-1].id))
    if is_repair:
        session = await _fetch_session(store, ref)
    return summary, session


async def recall(store: ObjectStore, earlier: Sequence[EarlierRun], ref: RunRef) -> str | None:
    """Return a summary for the agent of runs before `ref`, from their messages and logs; None without earlier runs."""
    lines: list[str | None] = []
    for run_id, status, error, message in earlier:
        lines.append(_line("Person", message))
        lines += map(_summary_of, await _end_of(store, replace(ref, run_id=run_id).log_key))
        lines.append(_line("The run", f"{status}. {error}" if error else f"{status}."))
    kept: list[str] = []
    room = _MEMORY_CHARACTERS
    for line in reversed([line for line in lines if line is not None]):
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return "\n".join([_INTRODUCTION, *reversed(kept)]) if kept else None


async def _end_of(store: ObjectStore, key: str) -> list[JsonDict | None]:
    content = b""
    try:
        async with store.open(key, byte_range=f"bytes=-{_READ_BYTES}") as part:
            async for piece in part.chunks:
                content += piece
    except (ObjectMissing, RangeNotSatisfiable):
        return []
    lines = content.split(b"\n")
    # The first line may be incomplete.
    return list(map(parse_entry, lines if len(content) < _READ_BYTES else lines[1:]))


def _summary_of(entry: JsonDict | None) -> str | None:
    update = value_at(entry, "notification.params.update")
    kind = value_at(update, "sessionUpdate")
    if kind == "agent_message":
        return _line("Agent", value_at(update, "content.text"))
    if kind in {"user_message_chunk", "user_message"}:
        return _line("Person", value_at(update, "content.text"))
    if kind == "tool_call":
        return _line("Agent's tool", value_at(update, "title"))
    return None


def _line(who: str, text: object) -> str | None:
    if not isinstance(text, str) or not text.strip():
        return None
    words = text.strip()
    return f"{who}: {words[:_SAID_CHARACTERS]}{' …' if len(words) > _SAID_CHARACTERS else ''}"


async def store_session(store: ObjectStore, file: Path, *, ref: RunRef, retry: StoreRetryBudget) -> None:
    if not file.exists():  # noqa: ASYNC240 - a local file
        return
    tagged = tags(KEPT_DAYS, ref.project_id)
    put = partial(store.put, ref.session_key, file, content_type=_CONTENT_TYPE, tags=tagged)
    try:
        await retry.call(put)
    except Exception as error:
        # A later run gets a summary instead.
        log.warning(
            "session.not_stored", error=repr(error), exc_info=not isinstance(error, ObjectStoreUnavailable)
        )


async def _fetch_session(store: ObjectStore, ref: RunRef) -> KeptSession | None:
    packed = bytearray()
    try:
        async with store.open(ref.session_key) as content:
            async for chunk in content.chunks:
                packed += chunk
                if len(packed) > MAX_PACKED_BYTES:
                    return None
    except ObjectMissing:
        return None
    except ObjectStoreUnavailable as error:
        log.warning("session.not_fetched", error=repr(error))
        return None
    # In a thread, since it may be 64 MiB when unpacked.
    return await asyncio.to_thread(unpack, bytes(packed))
