"""Enumerations of tasks and their files."""

from enum import StrEnum


class OriginProduct(StrEnum):
    """The feature or tool from which a task was created, such as Slack; by default `user_created` (contract 3.1)."""

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
    """The kind of reference from a task to a signal report, a record of the project that can be the origin of tasks."""

    IMPLEMENTATION = "implementation"


class ActivityKind(StrEnum):
    """The kind of the newest activity of a task, of which a list shows one row (contract 6.12)."""

    CREATED = "created"
    AWAITING_INPUT = "awaiting_input"
    COMPLETED = "completed"
    MESSAGE = "message"


class ArtifactType(StrEnum):
    """The role of an artifact in its run (contract 6.1)."""

    PLAN = "plan"
    CONTEXT = "context"
    REFERENCE = "reference"
    OUTPUT = "output"
    ARTIFACT = "artifact"
    TREE_SNAPSHOT = "tree_snapshot"
    USER_ATTACHMENT = "user_attachment"
