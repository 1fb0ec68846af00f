"""All database tables; importing this package completes their metadata."""

from app.models.api_keys import ApiKey
from app.models.base import Base
from app.models.check_sets import CheckSet
from app.models.code_hosts import CiFailure, GithubDelivery, PushedBranch
from app.models.console_sessions import ConsoleSession, TerminalLogin
from app.models.devices.presence import Presence
from app.models.devices.push_tokens import PushToken
from app.models.events import Event, EventCursor, EventHorizon, EventSnapshot
from app.models.idempotency_keys import IdempotencyKey
from app.models.integrations import Integration, SignalReport, SignalReportTask, UserIntegration
from app.models.notifications import Notification, NotificationPreferences, PushCooldown, TaskMute
from app.models.projects import Membership, Organization, Project, TaskCounter
from app.models.runs.commands import RunCommand
from app.models.runs.logs import RunEventId, RunLogState
from app.models.runs.questions import Question, QuestionCount, QuestionSnooze, TaskFollow
from app.models.runs.reviews import RunReview
from app.models.runs.run import Run, RunCredential
from app.models.runs.verifications import KeptBase, VerdictReport, Verification
from app.models.sandbox_environments import SandboxEnvironment
from app.models.signing_keys import SigningKey
from app.models.staged_artifacts import StagedArtifact
from app.models.tasks import ActivityMark, Task, TaskCount, TaskPin
from app.models.users import User
from app.models.webhook_endpoints import (
    WebhookAttempt,
    WebhookEndpoint,
    WebhookEndpointDelivery,
    WebhookRecovery,
)
