"""Converses with the agent in the sandbox from the first prompt to the end."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

import structlog
from acp.helpers import ContentBlock, text_block
from acp.schema import HttpHeader, HttpMcpServer

from app.agents.adapters.adapter import WorkspaceAccess
from app.agents.adapters.catalog import DEFAULT_ADAPTER
from app.agents.check_execution.sandboxed_commands import PROGRAM
from app.agents.errors import AgentFailed, SandboxUnavailable, SessionLost
from app.agents.execution.active_run import ActiveRun
from app.agents.execution.clone_setup import services_of, start_agent
from app.agents.execution.collection_step import find_correction
from app.agents.files.attachments import OWN_FOLDER
from app.agents.files.safe_paths import write_file
from app.agents.network.network_access import Network, open_network
from app.agents.network.proxy import Service
from app.agents.sandbox.confined_process import ConfinedProcess
from app.agents.sandbox.confinement import Streams, confined_environment
from app.agents.session.agent_session import AgentSession
from app.agents.session.budget import Spender
from app.agents.session.command_source import RunChannel
from app.agents.session.conversation import Conversation
from app.agents.session.prompt_content import links_to
from app.agents.session.transport import LINE_LIMIT
from app.agents.tools.mcp_protocol import Tools
from app.agents.tools.server import PATH, serve_tools
from app.agents.workspace.structured_output import output_instructions
from app.coroutines.shielded import shielded
from app.dialogue.agent_reports import AgentMessage, MessageOutcome, notification_entry
from app.enums import SandboxKind
from app.tracing.spans import traced
from app.verdicts.agent_claims import AgentClaim

log = structlog.get_logger(__name__)
_SUMMARY_CHARACTERS = 10_000


def open_conversation(run: ActiveRun) -> Conversation:
    """Return the conversation of a run. Its agent has not started, but people can already send commands."""
    agent, effects = run.context.agent, run.effects
    say = partial(run.progress, "agent")
    return Conversation(
        RunChannel(effects.commands, effects.emit, run.time, run.masker),
        agent.turns,
        Spender(run.context.limits.budget, effects.meter, say, agent.turns),
        mode=agent.options.mode,
        failure_mark=agent.adapter.failure_mark,
        review=partial(find_correction, run),
    )


@traced("run.converse")
async def converse(run: ActiveRun, conversation: Conversation) -> None:
    """Open the network, start the agent, and converse to the end; a lost earlier conversation begins again."""
    context, adapter = run.context, run.context.agent.adapter
    service = adapter.model_service
    async with (
        _serve_tools(run) as tools,
        open_network(
            context.network,
            model_url=service.url(context.environment) if service else None,
            sandbox=context.sandbox,
            folder=run.workspace.folder,
            report=partial(run.progress, "network"),
            tools=Service("127.0.0.1", tools) if tools else None,
        ) as network,
    ):
        offered = tools if network.has_tools else None
        if tools is not None and offered is None:
            await run.progress(
                "agent", "The agent has no tools of this service: its network cannot reach them."
            )
        try:
            await _talk(run, conversation, network, offered)
        except SessionLost as error:
            log.warning("run.session_lost", reason=error.message)
            run.keeper.forget_earlier()
            await _talk(run, conversation, network, offered)
        except AgentFailed as error:
            if adapter.lacks_key(run.variables):
                lacks = f"The worker gives it none of {', '.join(adapter.keys)}."
                raise error.with_message(f"{error.message}\n{lacks}") from error
            raise


@asynccontextmanager
async def _serve_tools(run: ActiveRun) -> AsyncIterator[int | None]:
    notify, context = run.effects.notify_user, run.context
    if notify is None or not context.may_notify or context.agent.adapter.name == DEFAULT_ADAPTER:
        yield None
        return

    async def notify_and_log(message: AgentMessage) -> MessageOutcome:
        outcome = await notify(message)
        fields = {"title": message.title, "message": message.message, "urgency": message.urgency.value}
        await run.effects.emit(notification_entry("_taskbeacon/notify_user", {**fields, **outcome.answer()}))
        return outcome

    def report(claims: tuple[AgentClaim, ...]) -> None:
        run.tools.claims = claims

    async with serve_tools(Tools(notify_and_log, report, run.masker.text), run.tools.token) as port:
        yield port


async def _talk(run: ActiveRun, conversation: Conversation, network: Network, tools: int | None) -> None:
    session = await _launch(run, conversation, network)
    try:
        is_resumed = await _start(run, session, tools)
        await _choose(run, session)
        opening: list[ContentBlock] = [text_block(text) for text in _prompt(run, is_resumed=is_resumed)]
        opening += links_to(session.cwd, run.context.files.attachments)
        await conversation.hold(session, opening)
    finally:
        run.summary = session.last_message[:_SUMMARY_CHARACTERS]
        session_id = session.session_id if session.can_resume else ""
        run.keeper.note_conversation(session_id, run.effects.meter.conversation_cost)
        at_once = run.effects.stop.is_set() or conversation.is_cancelled or run.time.is_over
        await shielded(session.close(at_once=at_once))


def _agent_environment(run: ActiveRun) -> dict[str, str]:
    agent = run.context.agent
    return {
        **confined_environment(run.context.environment),
        **agent.adapter.variables(agent.options, run.variables),
        **agent.variables,
    }


async def _launch(run: ActiveRun, conversation: Conversation, network: Network) -> AgentSession:
    context, workspace, adapter = run.context, run.workspace, run.context.agent.adapter
    confinement = workspace.confinement(
        readable=(*adapter.readable, *run.installed.folders, PROGRAM), read_only=_is_read_only(run)
    )
    await asyncio.to_thread(_prepare_home, run)
    environment = _agent_environment(run)
    if run.effects.before_agent is not None:
        await run.effects.before_agent()
    await run.progress("agent", f"Starting the agent '{adapter.name}' (sandbox: {context.sandbox.kind})")

    async def start(
        command: Sequence[str],
        variables: Mapping[str, str],
        streams: Streams,
        descriptors: Sequence[int] = (),
    ) -> ConfinedProcess:
        process = await context.sandbox.start(
            command,
            confinement,
            {**environment, **variables},
            network=network.level,
            gateway=network.gateway,
            streams=streams,
            descriptors=descriptors,
        )
        return await workspace.monitor.add(process)

    async def start_command(command: Sequence[str], variables: Mapping[str, str]) -> ConfinedProcess:
        return await start(command, variables, Streams(stderr=asyncio.subprocess.STDOUT))

    streams = Streams(stdin=asyncio.subprocess.PIPE, limit=LINE_LIMIT)
    process = await start_agent(run, partial(start, variables={}, streams=streams))
    log.info("run.agent_spawned", pid=process.pid, seconds_ago=round(process.age, 4))
    return AgentSession(
        process,
        adapter,
        workspace.work,
        cwd=context.sandbox.inside(workspace.places).work,
        emit=conversation.record,
        decide=conversation.decide,
        people=conversation.people,
        # A terminal has a sandbox of its own, which cannot reach the services of set-up. Without terminals the agent
        # runs commands itself.
        start_command=None if services_of(run) else start_command,
        close_seconds=context.agent.turns.close_seconds,
        writable="." if confinement.work_writable else OWN_FOLDER,
    )


def _is_read_only(run: ActiveRun) -> bool:
    agent = run.context.agent
    mode = agent.adapter.mode_rule(agent.options)
    read_only = mode is not None and mode.workspace is WorkspaceAccess.READ_ONLY
    if read_only and run.context.sandbox.kind is SandboxKind.NONE:
        raise SandboxUnavailable(
            f"The permission mode '{agent.options.mode}' of the agent '{agent.adapter.name}' needs a "
            "sandbox that keeps the workspace read-only, and this worker has none."
        )
    return read_only


def _prepare_home(run: ActiveRun) -> None:
    run.keeper.restore()
    agent = run.context.agent
    for path, content in agent.adapter.home_files(agent.options, run.variables).items():
        write_file(run.workspace.home, path, content.encode())


async def _start(run: ActiveRun, session: AgentSession, tools: int | None) -> bool:
    agent = run.context.agent
    rule = agent.adapter.authenticate
    headers = [HttpHeader(name="Authorization", value=f"Bearer {run.tools.token}")]
    url = f"http://127.0.0.1:{tools}{PATH}"
    own = HttpMcpServer(type="http", name="taskbeacon", url=url, headers=headers)
    is_resumed = await session.start(
        authenticate=rule.method if rule and run.variables.get(rule.needs) else None,
        resume=run.keeper.earlier_id,
        servers=[*([own] if tools else []), *run.context.servers],
    )
    if missing := sum(server not in session.servers for server in run.context.servers):
        await run.progress(
            "agent",
            f"Imported MCP servers that are left out, since the agent lacks their transport: {missing}",
        )
    if is_resumed:
        run.effects.meter.resume(run.keeper.earlier_cost)
        await run.progress("agent", "The agent goes on with its conversation of the earlier run.")
    elif agent.session is not None:
        await run.progress(
            "agent", "The agent could not take up its earlier conversation; its prompt says so."
        )
    return is_resumed


async def _choose(run: ActiveRun, session: AgentSession) -> None:
    adapter, options = run.context.agent.adapter, run.context.agent.options
    mode = adapter.mode_rule(options)
    choices = (
        ("mode", "mode", mode.mode if mode else None),
        ("model", "model", options.model),
        ("thought_level", "effort", options.effort),
    )
    for category, name, value in choices:
        if value is None or (adapter.conveys(name) and not session.offers(category)):
            continue
        if not await session.choose(category, value):
            await run.progress(
                "agent", f"The agent does not offer {category} '{value}'; it works with its default."
            )


def _prompt(run: ActiveRun, *, is_resumed: bool) -> list[str]:
    agent = run.context.agent
    if agent.adapter.name == DEFAULT_ADAPTER:
        return [agent.prompt]  # a runbook: its prompt is a program, so nothing may precede it
    after = [output_instructions(agent.json_schema)] if agent.json_schema is not None else []
    if is_resumed:
        return [agent.follow_up or agent.prompt, *after]
    before = [agent.earlier_summary] if agent.earlier_summary else []
    return [*before, agent.prompt, *after]
