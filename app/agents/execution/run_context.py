"""The context of a run: every fact that decides its course, and its effects on the outside world (ADR 52).

Made once, from the rows of a claimed run; the steps read it and do not change it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from app.agents.adapters.adapter import Adapter, AgentOptions
from app.agents.check_execution.check_context import Preparation
from app.agents.files.attachments import Attachment
from app.agents.git.askpass import CredentialSource
from app.agents.git.fetch import Source
from app.agents.git.run_repository import Author
from app.agents.network.network_access import NetworkRules
from app.agents.outputs.killable_check import CHECK_SECONDS
from app.agents.sandbox.confinement import Sandbox
from app.agents.session.agent_session import McpServer
from app.agents.session.budget import Budget
from app.agents.session.command_source import CommandSource, TurnPolicy
from app.agents.session.transcript import Emit
from app.agents.session.usage_meter import UsageMeter
from app.agents.tools.notify_user import NotifyUser
from app.agents.workspace.kept_session import KeptSession
from app.agents.workspace.live_patch import Comparison
from app.agents.workspace.run_workspace import Workspaces
from app.agents.workspace.work_bundle import GATHER
from app.dialogue.agent_reports import Spent
from app.enums import DiffBase


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRepository:
    push_branch: str
    source: Source | None = None  # None: an empty repository
    credential: CredentialSource | None = None  # called each time git needs a credential
    commit_subject: str  # of the commit made for uncommitted work
    author: Author = field(default_factory=Author)
    preparation: Preparation | None = None  # the set-up and the checks of its work; None without any
    began: str | None = None  # the commit before the work that a repair corrects; "" if there was none
    first: str | None = None  # the commit before the first run on the branch that this one continues


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAgent:
    """The agent of a run: its adapter, prompts and options, and the earlier conversation that it may resume."""

    adapter: Adapter
    programs: Path | None = None  # the folder of `make agents`
    prompt: str
    earlier_summary: str | None = None  # precedes the prompt: a summary of the earlier runs
    session: KeptSession | None = None  # the conversation to resume, if the agent supports that
    follow_up: str | None = None  # replaces the prompt in a resumed conversation
    json_schema: object = None  # if set, the structured output must exist and match it
    options: AgentOptions = field(default_factory=AgentOptions)
    turns: TurnPolicy = field(default_factory=TurnPolicy)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)  # of this run, for its agent only


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """The limits of a run in time, tokens and money, and the usage so far; memory and the like are the sandbox's."""

    timeout: timedelta  # of the working time, without waits for people
    worked: timedelta | None = None  # by the run before its checks refuted it; None if this is no repair
    budget: Budget = field(default_factory=Budget)  # for all runs of the task
    used: Mapping[str, object] | None = None  # by earlier attempts at this run
    used_by_others: Spent = field(default_factory=Spent)  # by the other runs of the task
    stop_seconds: float = 2.0  # how long the work may be gathered after a stop
    check_seconds: float = CHECK_SECONDS  # how long the check of the structured output may take
    gather: str = GATHER  # the shell program that gathers the work, in the sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFiles:
    workspaces: Workspaces
    attachments: Sequence[Attachment] = ()
    outbox: Path | None = None  # for the agent's artifacts, also of a failed run
    session_file: Path | None = None  # for its packed conversation, also of a failed run


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """All data that decide the course of a run: its repository, agent, limits, files, network and sandbox."""

    run_id: UUID
    repository: RunRepository
    agent: RunAgent
    limits: RunLimits
    files: RunFiles
    network: NetworkRules = field(default_factory=NetworkRules)
    sandbox: Sandbox
    environment: Mapping[str, str]  # the worker's; the adapter's allow-list picks from it
    may_notify: bool = False  # the agent is given the tool `notify_user`
    servers: Sequence[McpServer] = field(default=(), repr=False)  # MCP servers of the request for the run


# Compares the clone with a commit; None while there is no clone. Raises AgentError.
Look = Callable[[DiffBase], Awaitable[Comparison | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEffects:
    """How a run in progress acts outside its workspace, and the signal that stops it."""

    emit: Emit  # takes one log entry
    # When it is set, the agent is ended at once, and its work is kept.
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    commands: CommandSource
    meter: UsageMeter = field(default_factory=UsageMeter)
    # Awaited before each start of an agent process; everything up to here can safely be repeated.
    before_agent: Callable[[], Awaitable[None]] | None = None
    # Shows the work so far to people who ask, until it is cancelled.
    show_changes: Callable[[Look], Coroutine[object, None, None]] | None = None
    notify_user: NotifyUser | None = None  # decides whether a message of the agent is pushed
