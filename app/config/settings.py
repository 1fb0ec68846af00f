"""Settings: every value that an operator may change, read once from environment variables (`TASKBEACON_…`).

Nothing else in the service reads `os.environ` for settings. A production process refuses to start with a
secret that ships with this file.
"""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.config.values import (
    CommaList,
    DatabaseUrl,
    GitUrl,
    LogFormat,
    Networks,
    NetworkServices,
    OptionalSecret,
    OptionalText,
    OptionalWebUrl,
    Origins,
    RedisUrl,
    SecretList,
    VapidKey,
    VapidSubject,
    WebUrl,
)
from app.enums import ActionTokens, AgentNetwork, SandboxKind

_DEVELOPMENT_SECRET = "development-only-secret-key-do-not-use"  # noqa: S105 - refused outside development
_MINIMUM_SECRET_LENGTH = 32
# The passwords of compose.yaml and .env.example are accepted for servers on this machine only.
_LOOPBACK = r"(?:localhost|127\.[0-9.]+|\[::1\])(?:[:/]|$)"
_DEVELOPMENT_PASSWORD = re.compile(rf"://[^/@]*:taskbeacon@(?!{_LOOPBACK})", re.ASCII)
_DEVELOPMENT_S3_SECRETS = frozenset({"taskbeacon-secret", "taskbeacon-development"})
_PREFIX = "TASKBEACON_"
# Variables that are no settings: of single commands, of our processes for their children, and (by prefix) of tests.
_NO_SETTINGS = frozenset(
    {"TASKBEACON_TOKEN", "TASKBEACON_WEBHOOK_SECRET", "TASKBEACON_ASKPASS_FD", "TASKBEACON_ANSWER"}
)
_OF_TESTS = "TASKBEACON_TEST_"


class Settings(BaseSettings):
    """The service's settings. A setting `x` is read from the environment variable `TASKBEACON_X`."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    expo_base_url: WebUrl = Field(default="https://exp.host", description="Expo's push service.")
    expo_access_token: OptionalSecret = Field(
        default=None, description="Expo access token, if the Expo project asks for one."
    )
    expo_messages_per_second: int = Field(
        default=600, ge=0, description="What Expo lets one of its projects send; 0 = no limit of our own."
    )
    public_url: OptionalWebUrl = Field(
        default=None, description="Where people reach this API; notifications link to it. Empty: no links."
    )
    action_tokens: ActionTokens = Field(
        default=ActionTokens.NORMAL,
        description="Up to which risk a question can be answered from its notification: off, low or normal.",
    )
    push_title: str = Field(default="Taskbeacon", max_length=100, description="Title of every push.")
    vapid_private_key: VapidKey = Field(
        default=None,
        description="Key of web push, from `taskbeacon admin create-vapid-key`; empty: no web push.",
    )
    vapid_subject: VapidSubject = Field(
        default="mailto:operator@example.com",
        description="Whom browsers' push services may write to: mailto: or https:.",
    )
    web_push_hosts: CommaList = Field(
        default=(
            "fcm.googleapis.com",
            "updates.push.services.mozilla.com",
            "web.push.apple.com",
            ".notify.windows.com",
        ),
        description="Comma list of hosts that web pushes may be sent to; a leading dot: its subdomains.",
    )

    development: bool = Field(
        default=False,
        description="Accept development secrets, and a weak sandbox for root. Set by the development stack only.",
    )
    home: Path = Field(
        default=Path(".taskbeacon"), description="Folder of the development stack and of run workspaces."
    )

    host: str = Field(default="127.0.0.1", description="Address the API listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port the API listens on; 0 = any free one.")
    forwarded_allow_ips: str = Field(
        default="127.0.0.1", description="Proxies that may set X-Forwarded-* headers (comma list, or *)."
    )

    database_url: DatabaseUrl = Field(
        default="postgresql+asyncpg://taskbeacon:taskbeacon@localhost:5432/taskbeacon",
        description="PostgreSQL; `postgresql://` and `postgresql+asyncpg://` both work. Of several hosts "
        "(host:port,host:port) the one that takes writes is used.",
    )
    database_pool_size: int = Field(default=10, ge=1, le=200, description="Connections per process.")
    database_prepared_statements: bool = Field(
        default=True,
        description="Keep statements prepared; false behind a pooler that gives each transaction another session.",
    )
    redis_url: RedisUrl = Field(
        default="redis://localhost:6379/0",
        description="Redis 6.2 or newer, or Valkey; redis+sentinel://host,host/service asks Sentinels for the primary.",
    )

    s3_endpoint_url: OptionalWebUrl = Field(
        default=None, description="S3 server as the service reaches it; empty: Amazon's own."
    )
    s3_public_endpoint_url: OptionalWebUrl = Field(
        default=None, description="S3 server as clients reach it; signed URLs carry it. Default: as above."
    )
    s3_bucket: str = Field(default="taskbeacon", description="Bucket of logs and artifacts.")
    s3_access_key_id: OptionalText = Field(
        default=None, description="Empty: the AWS default credential chain."
    )
    s3_secret_access_key: SecretStr | None = Field(default=None, description="Secret of the access key.")
    s3_region: str = Field(default="us-east-1", description="Region the bucket is in.")

    secret_keys: SecretList = Field(
        default=(SecretStr(_DEVELOPMENT_SECRET),),
        description="Comma list of secrets of 32 characters or more; the first encrypts, all decrypt.",
    )

    cors_origins: Origins = Field(
        default=(),
        description="Comma list of web origins that may call the API; * for any, and for any port in place of one.",
    )
    throttle_per_minute: int = Field(
        default=480, ge=0, description="Requests per project and minute; 0 = off."
    )
    throttle_per_hour: int = Field(default=4800, ge=0, description="Requests per project and hour; 0 = off.")
    usage_gate: str = Field(
        default="",
        pattern=r"^(|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$",
        description="Code of yours that says whether a project may have another cloud run, as module:factory; "
        "empty: none.",
    )

    git_base_url: GitUrl = Field(
        default="https://github.com",
        description="Where `org/repo` is cloned from when the task has no integration; file:// works.",
    )
    git_clone_depth: int = Field(
        default=50, ge=0, description="Commits of history an agent gets to see; 0 = all of it."
    )
    git_clone_filter: str = Field(
        default="",
        pattern=r"^(|blob:none|blob:limit=[0-9]+[kmg]?)$",
        description="Partial clones: which files of the history to leave out, e.g. blob:none; empty: none.",
    )
    git_mirrors_max_mb: int = Field(
        default=20480,
        ge=0,
        description="Disk for the mirrors that make further clones fast, in MiB; 0 = always clone in full.",
    )

    agent_catalog: Path | None = Field(
        default=None, description="TOML or JSON file of further agents; docs/guide/agents.md describes it."
    )
    agents: Path | None = Field(
        default=None, description="Folder that `make agents` fills; default: `agents` in the home folder."
    )
    task_url: str = Field(
        default="",
        max_length=500,
        validate_default=True,
        description="Where people see a task, for links; {project_id} and {task_id} are filled in. Empty: in the "
        "console at TASKBEACON_PUBLIC_URL.",
    )
    github_webhook_secret: OptionalSecret = Field(
        default=None, description="What GitHub signs webhooks without an integration with; empty: refused."
    )

    webhook_allow_private_networks: Networks = Field(
        default=(),
        description="Comma list of networks (CIDR) of yours that webhooks may be sent to, by http and to any port "
        "there; MCP servers of runs may be there too.",
    )
    event_retention_days: int = Field(
        default=30,
        ge=0,
        le=3650,
        description="Days that events and the log of webhooks are kept; 0 = for ever.",
    )
    push_retention_days: int = Field(
        default=30, ge=0, le=3650, description="Days that decisions about pushes are kept; 0 = for ever."
    )
    command_retention_days: int = Field(
        default=30,
        ge=0,
        le=3650,
        description="Days that commands to runs, messages among them, are kept after the run; 0 = for ever.",
    )

    agent_sandbox: SandboxKind = Field(default=SandboxKind.AUTO, description="How agents are confined.")
    agent_network: AgentNetwork = Field(
        default=AgentNetwork.MODEL_ONLY,
        description="What agents reach over the network if their run names no sandbox environment: none, model-only, "
        "trusted or full.",
    )
    agent_network_ceiling: AgentNetwork | None = Field(
        default=None,
        description="The most that a sandbox environment can give; default: trusted, or agent_network if that is more.",
    )
    agent_network_services: NetworkServices = Field(
        default=(),
        description="Comma list of hosts (host or host:port) that `trusted` and `custom` reach beside theirs, private "
        "addresses too: mirrors of your own.",
    )
    agent_network_unenforced: bool = Field(
        default=False,
        description="Allow model-only and trusted where the sandbox cannot hold agents to it (landlock, none).",
    )
    checks_found: Literal["suggest", "off"] = Field(
        default="suggest",
        description="Whether runs without checks list those that their repository suggests: suggest or off.",
    )
    check_slots: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Runs whose work a worker checks at a time, beside those of agents.",
    )
    max_repairs: int = Field(
        default=2, ge=0, le=5, description="How often an agent may correct work that checks have refuted."
    )
    verification_timeout_seconds: int = Field(
        default=7200, ge=1, description="The longest time for checking the work of a run once."
    )
    check_base_days: int = Field(
        default=7, ge=0, description="Days for which the results of checks on a base are kept."
    )
    check_cache_max_mb: int = Field(
        default=20_480, ge=0, description="Disk for what set-up steps keep for later runs, in MiB; 0 = none."
    )
    agent_memory_mb: int = Field(
        default=4096, ge=128, description="Memory limit of a run and of each of its processes, in MiB."
    )
    agent_processes: int = Field(
        default=2048, ge=16, description="How many processes and threads a run may have at a time."
    )
    agent_disk_mb: int = Field(
        default=10240, ge=64, description="What a run may have on the disk, its repository included, in MiB."
    )
    worker_concurrency: int = Field(
        default=4, ge=1, le=1000, description="Runs one worker performs at a time."
    )
    worker_waiting_runs: int = Field(
        default=4,
        ge=0,
        le=1000,
        description="How many runs of a worker that wait for a person give up their slots; the others keep theirs. "
        "All agents stay in memory.",
    )
    project_concurrency: int = Field(
        default=0,
        ge=0,
        description="Runs of one project that all workers together perform at a time; 0 = no limit.",
    )
    worker_store_wait_seconds: int = Field(
        default=300,
        ge=0,
        le=3600,
        description="How long a worker waits for an object store that is away to take what a run left.",
    )
    worker_metrics_port: int = Field(
        default=0, ge=0, le=65535, description="Port of a worker's own /metrics, on all addresses; 0 = none."
    )
    worker_drain_seconds: int = Field(
        default=30, ge=0, description="How long a stopping worker lets runs finish before it gives them back."
    )
    task_token_budget: int = Field(
        default=0, ge=0, description="Tokens that all runs of a task together may use; 0 = no limit."
    )
    task_cost_budget: float = Field(
        default=0,
        ge=0,
        description="US dollars that all runs of a task together may cost, where agents report it; 0 = no limit.",
    )
    run_timeout_seconds: int = Field(
        default=3600, ge=1, description="Wall-clock limit of a run; waiting for people does not count."
    )
    run_idle_seconds: int = Field(
        default=900, ge=1, description="How long an interactive run waits for a person, each time."
    )
    outside_agent_silence_seconds: int = Field(
        default=1800,
        ge=0,
        description="After how long without a sign of life the run of an agent outside our workers fails; 0 = never.",
    )
    workspaces: Path | None = Field(
        default=None, description="Folder of run workspaces; default: `workspaces` in the home folder."
    )

    stream_keepalive_seconds: float = Field(
        default=20, ge=0.01, le=3600, description="Between two signs of life on a stream that is silent."
    )
    stream_patience_seconds: float = Field(
        default=120, ge=0, description="How long a client waits for the stream of a run to appear."
    )
    stream_life_seconds: float = Field(
        default=900, ge=1, description="After this a stream ends and its client comes back with its key."
    )

    log_format: LogFormat = Field(default=LogFormat.JSON, description="json or console.")
    log_level: str = Field(
        default="INFO",
        pattern="(?i)^(debug|info|warning|error|critical)$",
        description="Least severe level that is logged.",
    )

    @field_validator("home", "workspaces", "agent_catalog", "agents", mode="before")
    @classmethod
    def _no_path_is_unset(cls, value: object, info: ValidationInfo) -> object:
        # An empty path would mean the current folder of the process.
        return value or cls.model_fields[str(info.field_name)].default

    @field_validator("task_url")
    @classmethod
    def _show_in_the_console(cls, value: str, info: ValidationInfo) -> str:
        api: str | None = info.data.get("public_url")
        page = "/console/projects/{project_id}/tasks/{task_id}"
        return value or (api.rstrip("/") + page if api else "")

    @model_validator(mode="after")
    def _refuse_weak_secrets(self) -> Self:
        if not self.secret_keys:
            raise ValueError("TASKBEACON_SECRET_KEYS needs at least one secret")
        for secret in self.secret_keys:
            if len(secret.get_secret_value()) < _MINIMUM_SECRET_LENGTH:
                raise ValueError(
                    f"each of TASKBEACON_SECRET_KEYS needs {_MINIMUM_SECRET_LENGTH} characters or more"
                )
            if not self.development and secret.get_secret_value() == _DEVELOPMENT_SECRET:
                raise ValueError(
                    "set TASKBEACON_SECRET_KEYS: the development secret is refused in production"
                )
        return self

    @model_validator(mode="after")
    def _refuse_development_passwords(self) -> Self:
        if self.development:
            return self
        for name in ("database_url", "redis_url"):
            if _DEVELOPMENT_PASSWORD.search(getattr(self, name)):
                raise ValueError(
                    f"TASKBEACON_{name.upper()}: the development password is refused beyond loopback"
                )
        secret, server = self.s3_secret_access_key, self.s3_endpoint_url or ""
        is_local = re.match(rf"https?://{_LOOPBACK}", server)
        if secret and secret.get_secret_value() in _DEVELOPMENT_S3_SECRETS and not is_local:
            raise ValueError(
                "TASKBEACON_S3_SECRET_ACCESS_KEY: the development secret is refused beyond loopback"
            )
        return self

    @model_validator(mode="after")
    def _hold_to_the_ceiling(self) -> Self:
        if self.agent_network.at_most(self.network_ceiling) is not self.agent_network:
            raise ValueError("TASKBEACON_AGENT_NETWORK is above TASKBEACON_AGENT_NETWORK_CEILING")
        return self

    @property
    def network_ceiling(self) -> AgentNetwork:
        if self.agent_network_ceiling is not None:
            return self.agent_network_ceiling
        return AgentNetwork.FULL if self.agent_network is AgentNetwork.FULL else AgentNetwork.TRUSTED

    @property
    def run_timeout(self) -> timedelta:
        """The longest time that a run may take. The time for which it waits for people is not included."""
        return timedelta(seconds=self.run_timeout_seconds)

    @property
    def outside_agent_silence(self) -> timedelta | None:
        """How long an agent outside our workers may report nothing before its run fails; None: for ever."""
        return timedelta(seconds=self.outside_agent_silence_seconds) or None

    @property
    def run_idle(self) -> timedelta:
        """The longest time for which an interactive run waits for a person, counted from the start of each wait."""
        return timedelta(seconds=self.run_idle_seconds)

    @property
    def workspaces_path(self) -> Path:
        return (self.workspaces or self.home / "workspaces").absolute()

    @property
    def agents_path(self) -> Path:
        return (self.agents or self.home / "agents").absolute()

    @property
    def mirrors_path(self) -> Path:
        """The folder of git mirrors (bare clones that make further clones fast), shared by the runs on this machine."""
        return (self.home / "mirrors").absolute()

    @property
    def caches_path(self) -> Path:
        """The folder of what set-up steps make, shared by the runs on this machine."""
        return (self.home / "caches").absolute()

    @property
    def s3_signing_endpoint_url(self) -> str | None:
        """The URL of object storage in signed URLs (contract 8.2); None for Amazon's own S3."""
        return self.s3_public_endpoint_url or self.s3_endpoint_url


def unknown_variables(environment: Mapping[str, str] = os.environ) -> dict[str, str | None]:
    """Return the variables that the service does not know, each with the setting of the most similar name."""
    known = [f"{_PREFIX}{name.upper()}" for name in Settings.model_fields]
    unknown = (
        name
        for name in sorted(environment)
        if name.startswith(_PREFIX) and name not in _NO_SETTINGS and not name.startswith(_OF_TESTS)
    )
    return {
        name: next(iter(get_close_matches(name, known, n=1, cutoff=0.8)), None)
        for name in unknown
        if name.upper() not in known
    }


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    return Settings()
