"""Converts people's messages and files to content blocks of a prompt."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from acp.helpers import ContentBlock, resource_link_block, text_block
from acp.schema import ResourceContentBlock
from pydantic import TypeAdapter, ValidationError

from app.agents.errors import AgentFailed
from app.agents.files.attachments import Attachment, attached_path, place_attachments
from app.agents.session.agent_session import AgentSession
from app.agents.session.command_source import Command, CommandSource, RunChannel
from app.dialogue.agent_reports import notification_entry
from app.dialogue.shown_questions import TURN_FAILED, ShownQuestion
from app.dialogue.storable_text import storable
from app.enums import QuestionKind

_BLOCKS: TypeAdapter[list[ContentBlock]] = TypeAdapter(list[ContentBlock])


async def message_blocks(
    session: AgentSession, message: Command, commands: CommandSource
) -> list[ContentBlock]:
    """Return a message as content blocks, its files copied into the workspace. Raises AgentError."""
    content = message.params.get("content") or []
    try:
        blocks = [text_block(content)] if isinstance(content, str) else _BLOCKS.validate_python(content)
    except ValidationError:
        raise AgentFailed("The message has blocks that the Agent Client Protocol does not know.") from None
    for block in blocks:
        if not session.takes(block):
            raise AgentFailed(f"The agent does not take blocks of the type '{block.type}'.")
    attachments = await commands.files(message.params["artifact_ids"])
    await asyncio.to_thread(place_attachments, session.work, attachments)
    return [*blocks, *links_to(session.cwd, attachments)]


async def log_message(
    channel: RunChannel, session: AgentSession, message: Command, blocks: Sequence[ContentBlock]
) -> None:
    """Write a person's message to the run's log, block by block as the agent received it."""
    for block in blocks:
        update = {
            "sessionUpdate": "user_message_chunk",
            "messageId": str(message.id),
            "content": block.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        await channel.emit(
            notification_entry("session/update", {"sessionId": session.session_id, "update": update})
        )


def links_to(cwd: Path, attachments: Sequence[Attachment]) -> list[ResourceContentBlock]:
    """Return content blocks for a prompt that link to attached files, for an agent that sees the workspace at `cwd`."""
    return [
        resource_link_block(
            attachment.name,
            attached_path(cwd, attachment).as_uri(),
            mime_type=attachment.content_type or None,
            size=attachment.size,
        )
        for attachment in attachments
    ]


def awaited_message(
    channel: RunChannel, session: AgentSession, human_timeout: timedelta, failure: str | None
) -> ShownQuestion:
    """Return the question that shows the agent's last message, titled by a `failure` of its turn, while it waits."""
    title = "The agent is done and waits for a message."
    if failure is not None:
        reason = failure.partition("\n")[0].removesuffix(" Its last lines:")
        title = TURN_FAILED + channel.masker.text(storable(reason))
    return ShownQuestion(
        kind=QuestionKind.MESSAGE,
        title=title,
        detail=channel.masker.text(storable(session.last_message)),
    ).open_for(human_timeout)
