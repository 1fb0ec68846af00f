"""Drives one agent process over the Agent Client Protocol: start, prompts, cancel, close."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, cast

import structlog
from acp import PROTOCOL_VERSION, Client, RequestError
from acp.client.connection import ClientSideConnection
from acp.helpers import ContentBlock
from acp.schema import (
    ClientCapabilities,
    ElicitationCapabilities,
    ElicitationFormCapabilities,
    ElicitationUrlCapabilities,
    FileSystemCapabilities,
    HttpMcpServer,
    Implementation,
    InitializeResponse,
    LoadSessionResponse,
    NewSessionResponse,
    PromptCapabilities,
    PromptResponse,
    ResumeSessionResponse,
    SessionConfigOptionBoolean,
    SessionConfigOptionSelect,
    SetSessionConfigOptionResponse,
    SseMcpServer,
    Usage,
)
from pydantic import ValidationError

from app.agents.adapters.adapter import Adapter
from app.agents.errors import STEP_FAILED, AgentCrashed, AgentFailed, AgentStepFailed, SessionLost
from app.agents.sandbox.confined_process import ConfinedProcess
from app.agents.session.acp_client import WorkspaceClient
from app.agents.session.agent_questions import Questions
from app.agents.session.command_source import CLOSE_SECONDS
from app.agents.session.permissions import Decide
from app.agents.session.terminals import StartCommand, Terminals
from app.agents.session.transcript import Emit, Transcript
from app.agents.session.transport import BrokenWire, Wire
from app.agents.session.usage_meter import usage_in_meta
from app.enums import RpcErrorCode
from app.processes.output import Tail, quoted_end, read_bounded

ConfigOption = SessionConfigOptionSelect | SessionConfigOptionBoolean
McpServer = HttpMcpServer | SseMcpServer

# The grace for processes of the agent when the run must stop at once.
_SHORT_CLOSE_SECONDS = 0.4
_REPLY_SECONDS = 120
_STDERR_BYTES = 8 * 2**10
_REASON_CHARACTERS = 2000
_STEP_CHARACTERS = 20_000
# All are named, because an agent takes a capability that is left out as unsupported.
_ELICITATION = ElicitationCapabilities(form=ElicitationFormCapabilities(), url=ElicitationUrlCapabilities())
log = structlog.get_logger(__name__)


class AgentSession:
    """A conversation with one agent process over the Agent Client Protocol."""

    session_id = ""  # the agent's id of the conversation; "" before `start`
    last_usage: Usage | None = None  # of the last turn, as the agent reported it
    servers: Sequence[McpServer] = ()  # the MCP servers that the agent was given
    can_be_steered = False  # whether the agent accepts messages in the middle of a turn
    _modes: frozenset[str] = frozenset()
    _options: Sequence[ConfigOption] = ()
    _can_load = False
    _can_resume = False

    def __init__(
        self,
        process: ConfinedProcess,
        adapter: Adapter,
        work: Path,
        *,
        emit: Emit,
        decide: Decide,
        people: Questions | None = None,
        cwd: Path | None = None,
        writable: str = ".",
        start_command: StartCommand | None = None,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        """Use a process with pipes; `people` fill forms, `start_command` starts commands of terminals, if any.

        The agent sees the folder `work` at `cwd`, by default at the same path, and may write in `writable` below it.
        """
        if process.stdin is None or process.stdout is None:
            raise ValueError("the agent's standard input and output must be pipes")
        self._process = process
        self.work = work
        self.cwd = cwd or work
        self._close_seconds = close_seconds
        self._adapter = adapter
        self._transcript = Transcript(emit)
        self._wire = Wire(
            process.stdout,
            process.stdin,
            self._transcript.add,
            self._transcript.note,
            people.withdraw if people else _ignore,
        )
        self._terminals = Terminals(start_command) if start_command else None
        self._has_people = people is not None
        client = WorkspaceClient(
            work,
            self.cwd,
            writable,
            decide,
            transcript=self._transcript,
            terminals=self._terminals,
            people=people,
        )
        self._connection = ClientSideConnection(
            cast("Client", client), self._wire, use_unstable_protocol=True
        )
        self._stderr = Tail(_STDERR_BYTES)
        self._listener = asyncio.create_task(self._stderr.read(process.stderr))
        self._storing = asyncio.create_task(self._transcript.store_unfinished())
        self.name = adapter.name
        self._takes = PromptCapabilities()

    @property
    def last_message(self) -> str:
        """The last complete text that the agent wrote in the conversation; "" if it has written none."""
        return self._transcript.last_message

    @property
    def can_resume(self) -> bool:
        """Whether the agent can resume an earlier conversation from files in its home; False before `initialize`."""
        return self._can_load or self._can_resume

    async def start(
        self,
        *,
        authenticate: str | None = None,
        resume: str | None = None,
        servers: Sequence[McpServer] = (),
    ) -> bool:
        """Initialize the protocol and open a conversation, or resume `resume`; return whether it was resumed.

        The agent is given the MCP servers whose transport it takes, see `servers`.
        Raises AgentFailed for an error that the agent answers with, AgentCrashed if it ends or breaks the protocol, and
        SessionLost if it does so while it resumes.
        """
        can = (await self.initialize()).agent_capabilities
        if authenticate is not None:
            await self._ask(self._connection.authenticate(authenticate), within=_REPLY_SECONDS)
        takes = can.mcp_capabilities if can else None
        self.servers = [server for server in servers if getattr(takes, server.type, False)]
        if resume is not None and self.can_resume and await self._resume(resume):
            return True
        opened: NewSessionResponse = await self._ask(
            self._connection.new_session(str(self.cwd), mcp_servers=[*self.servers]),
            within=_REPLY_SECONDS,
        )
        self._note_session(opened.session_id, opened)
        return False

    async def _resume(self, session_id: str) -> bool:
        resume = self._connection.resume_session if self._can_resume else self._connection.load_session
        self._transcript.is_replay = True
        try:
            opened: LoadSessionResponse | ResumeSessionResponse = await self._ask(
                resume(cwd=str(self.cwd), session_id=session_id, mcp_servers=[*self.servers]),
                within=_REPLY_SECONDS,
            )
        except AgentFailed as error:
            log.info("agent.session_not_resumed", agent=self.name, reason=error.message)
            return False
        except AgentCrashed as error:
            raise SessionLost(error.message) from error
        finally:
            self._transcript.is_replay = False
        self._note_session(session_id, opened)
        return True

    def _note_session(
        self, session_id: str, opened: NewSessionResponse | LoadSessionResponse | ResumeSessionResponse
    ) -> None:
        self.session_id = session_id
        if opened.modes:
            self._modes = frozenset(mode.id for mode in opened.modes.available_modes)
        self._options = opened.config_options or ()

    async def initialize(self) -> InitializeResponse:
        may_ask = self._adapter.file_requests
        files = FileSystemCapabilities(read_text_file=may_ask, write_text_file=may_ask)
        answered: InitializeResponse = await self._ask(
            self._connection.initialize(
                PROTOCOL_VERSION,
                ClientCapabilities(
                    fs=files,
                    terminal=self._terminals is not None,
                    elicitation=_ELICITATION if self._has_people else None,
                ),
                Implementation(name="taskbeacon", version="1"),
            ),
            within=_REPLY_SECONDS,
        )
        if answered.protocol_version != PROTOCOL_VERSION:
            raise AgentCrashed(
                f"The agent '{self.name}' speaks version {answered.protocol_version} of the protocol; "
                f"this worker speaks {PROTOCOL_VERSION}."
            )
        steering = (answered.field_meta or {}).get("steering")
        self.can_be_steered = isinstance(steering, dict) and steering.get("supported") is True
        if capabilities := answered.agent_capabilities:
            self._takes = capabilities.prompt_capabilities or self._takes
            self._can_load = bool(capabilities.load_session)
            offers = capabilities.session_capabilities
            self._can_resume = offers is not None and offers.resume is not None
        return answered

    def takes(self, block: ContentBlock) -> bool:
        takes = self._takes
        optional = {"image": takes.image, "audio": takes.audio, "resource": takes.embedded_context}
        return bool(optional.get(block.type, True))

    def offers(self, category: str) -> bool:
        """Return whether the agent offers an option of this category: `mode`, `model` or `thought_level`."""
        is_mode = category == "mode" and bool(self._modes)
        return is_mode or any(option.category == category for option in self._options)

    async def choose(self, category: str, value: str) -> bool:
        """Set an option by category (`mode`, `model`, `thought_level`); False if the agent has none or refuses."""
        if category == "mode" and value in self._modes:
            await self._ask(self._connection.set_session_mode(self.session_id, value), within=_REPLY_SECONDS)
            return True
        for option in self._options:
            if isinstance(option, SessionConfigOptionSelect) and option.category == category:
                return await self._try_option(option.id, value)
        return False

    async def configure(self, option_id: str, value: str | bool) -> str | None:
        """Set the option with this id, or else category; return its category, None if there is none or it refuses."""
        for option in self._options:
            if option.id == option_id:
                is_switch = isinstance(option, SessionConfigOptionBoolean)
                is_set = isinstance(value, bool) == is_switch and await self._try_option(option.id, value)
                return str(option.category or "") if is_set else None
        is_set = isinstance(value, str) and await self.choose(option_id, value)
        return option_id if is_set else None

    async def _try_option(self, option: str, value: str | bool) -> bool:
        try:
            answered: SetSessionConfigOptionResponse = await self._ask(
                self._connection.set_config_option(option, self.session_id, value), within=_REPLY_SECONDS
            )
        except AgentFailed as error:
            if getattr(error.__cause__, "code", None) == RpcErrorCode.INVALID_PARAMS:
                return False
            raise
        # Setting one option may change the others.
        self._options = answered.config_options or self._options
        return True

    async def prompt(self, blocks: Sequence[ContentBlock]) -> str:
        """Send a prompt, one at a time; return the stop reason. Raises AgentStepFailed, AgentFailed, AgentCrashed."""
        self.last_usage = None
        try:
            answered: PromptResponse = await self._ask(self._connection.prompt(self.session_id, list(blocks)))
        finally:
            await self._transcript.flush()
        self.last_usage = answered.usage or usage_in_meta(answered.field_meta, self._adapter.usage_meta)
        return str(answered.stop_reason)

    async def steer(self, blocks: Sequence[ContentBlock]) -> bool:
        """Send a message in the middle of a turn; False if there is none: send a prompt instead."""
        params = {
            "sessionId": self.session_id,
            "prompt": [block.model_dump(mode="json", by_alias=True, exclude_none=True) for block in blocks],
            "_meta": {"steering": {"idleBehavior": "promptRequired"}},
        }
        answered = await self._ask(
            self._connection.ext_method("session/steering", params), within=_REPLY_SECONDS
        )
        return isinstance(answered, dict) and answered.get("outcome") == "injected"

    async def cancel(self) -> None:
        """Ask the agent to cancel its current turn; `prompt` then returns "cancelled". Has no effect between turns."""
        with suppress(ConnectionError):
            await self._connection.cancel(self.session_id)

    async def raise_at_end(self) -> NoReturn:
        """Wait until the agent's process ends, then raise AgentCrashed. Use it while no request waits for an answer."""
        await self._process.wait()
        await self._explain_end()

    async def close(self, *, at_once: bool = False) -> None:
        """End the conversation and the agent's processes, in less time if `at_once`. Can be called again."""
        grace = _SHORT_CLOSE_SECONDS if at_once else self._close_seconds
        self._transcript.stop()
        try:
            with suppress(ConnectionError):
                await self._connection.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._process.wait()
        finally:
            # The output is read too: asyncio reports the end of a process only after the end of its output.
            _ = await asyncio.gather(
                self._close_terminals(grace),
                self._process.stop(grace),
                self._listener,
                read_bounded(self._process.stdout, 0),
                asyncio.wait([self._storing]),
            )
            # Last: an error of storing an entry must not keep processes alive.
            await self._storing

    async def _close_terminals(self, grace_seconds: float) -> None:
        if self._terminals is not None:
            await self._terminals.close(grace_seconds)

    async def _ask(
        self, request: Awaitable[object], within: float | None = None
    ) -> Any:  # Any: the library's models
        try:
            async with asyncio.timeout(within):
                return await request
        except RequestError as error:
            raise _failure(self.name, error) from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise AgentCrashed(
                f"The agent '{self.name}' broke the protocol: in its answer, {where or 'all'} is wrong "
                f"({first['msg'][:_REASON_CHARACTERS]})."
            ) from None
        except ConnectionError:
            await self._explain_end()
        except TimeoutError:
            last_errors = quoted_end("It said last", self._stderr.text())
            raise AgentCrashed(
                f"The agent '{self.name}' did not answer within {within} s. {last_errors}"
            ) from None

    async def _explain_end(self) -> NoReturn:
        failure = self._wire.failure
        if isinstance(failure, BrokenWire):
            raise AgentCrashed(f"The agent '{self.name}' broke the protocol: {failure}.")
        if failure is not None:
            raise failure
        with suppress(TimeoutError):  # an agent that only closed its output still runs, and must be ended
            async with asyncio.timeout(self._close_seconds):
                await self._process.wait()
        code = await self._process.stop()
        await self._listener
        raise AgentCrashed(
            f"The agent '{self.name}' ended unexpectedly (exit status {code}). "
            f"{quoted_end('It said last', self._stderr.text())}"
        )


def _ignore(_request: str) -> None:
    pass


def _failure(name: str, error: RequestError) -> AgentFailed:
    details = error.data.get("details") if isinstance(error.data, dict) else error.data
    if error.code == STEP_FAILED:
        return AgentStepFailed(str(error)[:_STEP_CHARACTERS])
    reason = f"{error}: {details}" if details else str(error)
    return AgentFailed(f"The agent '{name}' reported an error: {reason[:_REASON_CHARACTERS]}")
