"""Enumerations of agents, their options and sandboxes."""

from enum import IntEnum, StrEnum


class RuntimeAdapter(StrEnum):
    """The agents that a client may choose for a run (contract 5.8)."""

    CLAUDE = "claude"
    CODEX = "codex"


class ReasoningEffort(StrEnum):
    """The reasoning effort that is requested from an agent's model, from the lowest to the highest."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


class PermissionMode(StrEnum):
    """The mode of an agent that decides which actions it may take without asking (contract 5.8, 9.3)."""

    DEFAULT = "default"
    ACCEPT_EDITS = "acceptEdits"
    PLAN = "plan"
    BYPASS_PERMISSIONS = "bypassPermissions"
    AUTO = "auto"
    READ_ONLY = "read-only"
    FULL_ACCESS = "full-access"


class McpTransport(StrEnum):
    """How an agent reaches an MCP server."""

    HTTP = "http"
    SSE = "sse"


class SandboxKind(StrEnum):
    """The mechanism that confines an agent. `auto` selects the strongest one that works on the worker's machine."""

    AUTO = "auto"
    BUBBLEWRAP = "bubblewrap"
    LANDLOCK = "landlock"
    NONE = "none"


class AgentNetwork(StrEnum):
    """The network level of an agent, which decides the hosts that it can reach; from the lowest to the highest."""

    NONE = "none"
    MODEL_ONLY = "model-only"
    TRUSTED = "trusted"
    FULL = "full"

    def at_most(self, ceiling: "AgentNetwork") -> "AgentNetwork":
        levels = list(AgentNetwork)
        return min(self, ceiling, key=levels.index)


class NetworkAccessLevel(StrEnum):
    """The network level of a sandbox environment, which decides the hosts that its agents can reach."""

    NONE = "none"
    MODEL_ONLY = "model-only"
    TRUSTED = "trusted"
    CUSTOM = "custom"
    FULL = "full"


class RpcErrorCode(IntEnum):
    """The codes of the JSON-RPC errors that the service exchanges with agents, or returns for a refused command."""

    INVALID_PARAMS = -32602
    # A code of the service: a command is refused for now.
    NOT_NOW = -32000
