"""All enumerations of the service. Their values are the ones on the wire and in the database."""

from enum import StrEnum


class RunStatus(StrEnum):
    """The status of a run (contract 3.3)."""

    NOT_STARTED = "not_started"
    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL_STATUSES = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED})


class Environment(StrEnum):
    """Who performs a run: the caller's machine or our worker."""

    LOCAL = "local"
    CLOUD = "cloud"


class OriginProduct(StrEnum):
    """The product that a task came from (contract 3.1)."""

    ONBOARDING = "onboarding"
    ERROR_TRACKING = "error_tracking"
    EVAL_CLUSTERS = "eval_clusters"
    USER_CREATED = "user_created"
    AUTOMATION = "automation"
    SLACK = "slack"
    SUPPORT_QUEUE = "support_queue"
    SESSION_SUMMARIES = "session_summaries"
    POSTHOG_AI = "posthog_ai"
    EXPERIMENTS = "experiments"
    SIGNAL_REPORT = "signal_report"
    SIGNALS_SCOUT = "signals_scout"
    SUPPORT_REPLY = "support_reply"
    HOGDESK = "hogdesk"
    IMAGE_BUILDER = "image_builder"


# Tasks of these origins are visible to the whole project (contract 4, rule 3).
TEAM_WIDE_ORIGINS = frozenset(
    {
        OriginProduct.SIGNAL_REPORT,
        OriginProduct.SIGNALS_SCOUT,
        OriginProduct.ONBOARDING,
        OriginProduct.HOGDESK,
    }
)


class SignalReportRelationship(StrEnum):
    """The relation of a task to the signal report it came from."""

    IMPLEMENTATION = "implementation"


class RunMode(StrEnum):
    """Whether a run waits for further messages after its first turn."""

    INTERACTIVE = "interactive"
    BACKGROUND = "background"


class CommandMethod(StrEnum):
    """Commands for a running agent (contract 6.4, 13.6)."""

    USER_MESSAGE = "user_message"
    CANCEL = "cancel"
    CLOSE = "close"
    PERMISSION_RESPONSE = "permission_response"
    SET_CONFIG_OPTION = "set_config_option"


class CommandStatus(StrEnum):
    """The progress of a command; each step is logged in the run's log, in this order."""

    ACCEPTED = "accepted"
    # The agent has received it.
    DELIVERED = "delivered"
    # Final: the agent has handled it, or it had no effect, for a reason that is logged.
    CONSUMED = "consumed"
    DROPPED = "dropped"


class PrAuthorshipMode(StrEnum):
    """The author of the pull request: the user or the project's integration."""

    USER = "user"
    BOT = "bot"


class RunSource(StrEnum):
    """The trigger that started a run."""

    MANUAL = "manual"
    SIGNAL_REPORT = "signal_report"


class RuntimeAdapter(StrEnum):
    """Agents a caller may choose on the wire (contract 5.8)."""

    CLAUDE = "claude"
    CODEX = "codex"


class ReasoningEffort(StrEnum):
    """The reasoning effort of a model, in rising order."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


class PermissionMode(StrEnum):
    """The actions an agent may take without asking (contract 5.8); each adapter supports some modes (9.3)."""

    DEFAULT = "default"
    ACCEPT_EDITS = "acceptEdits"
    PLAN = "plan"
    BYPASS_PERMISSIONS = "bypassPermissions"
    AUTO = "auto"
    READ_ONLY = "read-only"
    FULL_ACCESS = "full-access"


class ArtifactType(StrEnum):
    """The role of an artifact in its run (contract 6.1)."""

    PLAN = "plan"
    CONTEXT = "context"
    REFERENCE = "reference"
    OUTPUT = "output"
    ARTIFACT = "artifact"
    TREE_SNAPSHOT = "tree_snapshot"
    USER_ATTACHMENT = "user_attachment"


class Scope(StrEnum):
    """The access that a personal API key grants; write implies read, ANY implies all (contract 2.3)."""

    ANY = "*"
    TASK_READ = "task:read"
    TASK_WRITE = "task:write"
    USER_READ = "user:read"
    USER_WRITE = "user:write"
    PROJECT_READ = "project:read"
    PROJECT_WRITE = "project:write"
    WEBHOOK_READ = "webhook:read"
    WEBHOOK_WRITE = "webhook:write"


class Platform(StrEnum):
    """The platform of a device with a push token (contract 6.5)."""

    IOS = "ios"
    ANDROID = "android"
    WEB = "web"


class NotificationKind(StrEnum):
    """The event that a push reports (contract 7.2); its recipient requests a test push."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    AWAITING = "awaiting"
    TEST = "test"
    WEBHOOK_DISABLED = "webhook_disabled"
    # One message for all that quiet hours held back.
    DIGEST = "digest"


class NotificationDecision(StrEnum):
    """The decision about a push to one device; it is stored with a reason."""

    # Not final.
    PENDING = "pending"
    RETRYING = "retrying"
    SENT = "sent"
    # Decided again later.
    DEFERRED = "deferred"
    HELD_QUIET_HOURS = "held_quiet_hours"
    # Sent, and followed by another message: a second notice of a question that is still open; the notice was replaced.
    REMINDER = "reminder"
    RETRACTED = "retracted"
    # Final: the push service of the device accepted it, or it cannot be delivered.
    DELIVERED = "delivered"
    REJECTED = "rejected"
    GIVEN_UP = "given_up"
    # Never sent.
    SUPPRESSED = "suppressed"
    NOT_NEEDED = "not_needed"
    # A part of the message at the end of quiet hours.
    DIGESTED = "digested"
    MUTED = "muted"
    COOLED_DOWN = "cooled_down"
    NO_TOKEN = "no_token"  # noqa: S105 - a decision, not a secret
    NO_ACCESS = "no_access"


class QuestionKind(StrEnum):
    """What an agent waits for."""

    PERMISSION = "permission"
    FORM = "form"
    URL = "url"
    # The agent's turn is over, and it waits for the next message.
    MESSAGE = "message"


class QuestionStatus(StrEnum):
    """The status of a question; all but the first are final."""

    OPEN = "open"
    ANSWERED = "answered"
    # No answer came in time.
    EXPIRED = "expired"
    # The agent, its turn or its run ended first.
    WITHDRAWN = "withdrawn"


class QuestionRisk(StrEnum):
    """What an answer may cost, by the tool and the rules of the service, never by the agent's words."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class InboxStatus(StrEnum):
    """Which questions an inbox shows."""

    OPEN = "open"
    ALL = "all"


class FormAction(StrEnum):
    """What a person does with a form or a link of an agent."""

    ACCEPT = "accept"
    DECLINE = "decline"
    CANCEL = "cancel"


class QuestionAction(StrEnum):
    """What the caller may do about a question."""

    ANSWER = "answer"
    SNOOZE = "snooze"
    MUTE = "mute"


class AnswerVia(StrEnum):
    """The way by which a question was answered."""

    API = "api"
    CONSOLE = "console"
    CLI = "cli"
    ACTION_TOKEN = "action_token"  # noqa: S105 - a way, not a secret
    MCP = "mcp"
    A2A = "a2a"
    RULE = "rule"


class Urgency(StrEnum):
    """How loudly people are notified."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class EventType(StrEnum):
    """The events that the ledger records and webhooks send; services/events/catalogue.py describes each."""

    TASK_CREATED = "task.created"
    TASK_UPDATED = "task.updated"
    TASK_DELETED = "task.deleted"
    RUN_QUEUED = "run.queued"
    RUN_STARTED = "run.started"
    RUN_RECOVERED = "run.recovered"
    RUN_AWAITING_INPUT = "run.awaiting_input"
    RUN_RESUMED = "run.resumed"
    QUESTION_OPENED = "question.opened"
    QUESTION_ANSWERED = "question.answered"
    QUESTION_EXPIRED = "question.expired"
    QUESTION_WITHDRAWN = "question.withdrawn"
    RUN_COMPLETED = "run.completed"
    RUN_FAILED = "run.failed"
    RUN_CANCELLED = "run.cancelled"
    RUN_PULL_REQUEST_OPENED = "run.pull_request_opened"
    RUN_ARTIFACT_ADDED = "run.artifact_added"
    WEBHOOK_ENDPOINT_DISABLED = "webhook_endpoint.disabled"
    PING = "ping"


class PayloadKind(StrEnum):
    """How much a webhook says: ids and statuses, or the task and the run as they stood."""

    THIN = "thin"
    FULL = "full"


class DeliveryStatus(StrEnum):
    """How far the delivery of an event to a webhook endpoint has come."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    # Its endpoint was disabled first.
    CANCELLED = "cancelled"


class RecoverOnly(StrEnum):
    """Which messages of an endpoint are sent again."""

    FAILED = "failed"
    ALL = "all"


class DeliveryError(StrEnum):
    """Why an attempt to deliver to a webhook endpoint failed."""

    DNS_FAILED = "dns_failed"
    BLOCKED_ADDRESS = "blocked_address"
    CONNECT_FAILED = "connect_failed"
    TLS_FAILED = "tls_failed"
    TIMEOUT = "timeout"
    REDIRECT = "redirect"
    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"


class DisabledReason(StrEnum):
    """Why a webhook endpoint gets nothing."""

    GONE = "gone"
    NO_SUCCESS = "no_success"
    BLOCKED_ADDRESS = "blocked_address"
    CREATOR_DEACTIVATED = "creator_deactivated"
    CREATOR_LEFT = "creator_left"
    USER = "user"


class SandboxKind(StrEnum):
    """The mechanism that confines an agent."""

    AUTO = "auto"
    BUBBLEWRAP = "bubblewrap"
    LANDLOCK = "landlock"
    NONE = "none"


class AgentNetwork(StrEnum):
    """The network level of an agent, from the least access to the most."""

    NONE = "none"
    MODEL_ONLY = "model-only"
    TRUSTED = "trusted"
    FULL = "full"

    def at_most(self, ceiling: "AgentNetwork") -> "AgentNetwork":
        """Return the lower of this level and `ceiling`."""
        levels = list(AgentNetwork)
        return min(self, ceiling, key=levels.index)


class NetworkAccessLevel(StrEnum):
    """The network level of a sandbox environment; `custom` is `trusted` with only the environment's own hosts."""

    NONE = "none"
    MODEL_ONLY = "model-only"
    TRUSTED = "trusted"
    CUSTOM = "custom"
    FULL = "full"


class LimitType(StrEnum):
    """The usage limit that a project exceeded: for a short period or a long one (contract 2.4)."""

    BURST = "burst"
    SUSTAINED = "sustained"


class LogFormat(StrEnum):
    """The format of log lines."""

    JSON = "json"
    CONSOLE = "console"
