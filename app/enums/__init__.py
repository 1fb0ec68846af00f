"""All enumerations of the service, with the values that the API and the database use."""

from app.enums.access import Scope
from app.enums.agents import (
    AgentNetwork,
    McpTransport,
    NetworkAccessLevel,
    PermissionMode,
    ReasoningEffort,
    RpcErrorCode,
    RuntimeAdapter,
    SandboxKind,
)
from app.enums.code_hosts import CodeHostKind
from app.enums.events import (
    AttemptOutcome,
    DeliveryError,
    DeliveryStatus,
    DisabledReason,
    EventType,
    PayloadKind,
    RecoverOnly,
)
from app.enums.notifications import (
    ActionTokens,
    DeviceKind,
    NotificationDecision,
    NotificationKind,
    Platform,
    PushPurpose,
    PushText,
    Urgency,
)
from app.enums.questions import (
    AnswerVia,
    FormAction,
    InboxStatus,
    QuestionAction,
    QuestionKind,
    QuestionRisk,
    QuestionStatus,
    VerdictAnswer,
)
from app.enums.runs import (
    TERMINAL_STATUSES,
    CommandMethod,
    CommandStatus,
    DiffBase,
    DiffMissing,
    DiffSide,
    DiffSource,
    Environment,
    LimitType,
    PrAuthorshipMode,
    RunMode,
    RunReason,
    RunSource,
    RunStatus,
    ServiceMethod,
)
from app.enums.tasks import (
    TEAM_WIDE_ORIGINS,
    ActivityKind,
    ArtifactType,
    OriginProduct,
    SignalReportRelationship,
)
from app.enums.verification import (
    BaseExpectation,
    BaseStatus,
    BaseUse,
    CaseOutcome,
    CheckCause,
    CheckGate,
    ChecksNetwork,
    CheckSource,
    CheckStatus,
    CiState,
    CiStatus,
    ClaimKind,
    OnUnverified,
    StopReason,
    Verdict,
    VerdictReason,
)
