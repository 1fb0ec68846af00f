"""Enumerations of devices, pushes, and the decisions about pushes."""

from enum import StrEnum

from app.enums.questions import QuestionRisk


class Platform(StrEnum):
    """The platform of a device with a push token (contract 6.5)."""

    IOS = "ios"
    ANDROID = "android"
    WEB = "web"


class DeviceKind(StrEnum):
    """The kind of a device that shows tasks without being registered."""

    TERMINAL = "terminal"


class NotificationKind(StrEnum):
    """The kind of a push: the event that it reports (contract 7.2); `digest` may report several, `test` none."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    AWAITING = "awaiting"
    TEST = "test"
    WEBHOOK_DISABLED = "webhook_disabled"
    # A message of an agent to the person of its task.
    NOTIFY_USER = "notify_user"
    # One message for all notices that quiet hours held back.
    DIGEST = "digest"


class PushPurpose(StrEnum):
    """The purpose of a push: a notice reports an event; the others replace a notice of a question on its device."""

    NOTICE = "notice"
    # A push about a question that is still open.
    REMINDER = "reminder"
    # A push about a question that is closed: its notice loses its buttons.
    RETRACTION = "retraction"


class NotificationDecision(StrEnum):
    """The decision about a push to one device, such as sent, deferred or suppressed. It is stored with a reason."""

    # These decisions are not final.
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
    # The run has reached a limit of messages of its agent.
    THROTTLED = "throttled"
    NO_TOKEN = "no_token"  # noqa: S105 - a decision, not a secret
    NO_ACCESS = "no_access"


class Urgency(StrEnum):
    """The loudness with which a device announces a push, from the lowest to the highest."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class ActionTokens(StrEnum):
    """The highest risk of a question that an action token may answer without an API key; `off` allows none."""

    OFF = "off"
    LOW = "low"
    NORMAL = "normal"

    def covers(self, risk: QuestionRisk) -> bool:
        """Return whether an action token alone may answer a question with this risk; always False for a high risk."""
        order = list(QuestionRisk)
        return self is not ActionTokens.OFF and order.index(risk) <= order.index(QuestionRisk(self))


class PushText(StrEnum):
    """The level of detail in the text of a push, from the least detailed to the most detailed."""

    GENERIC = "generic"
    TITLE = "title"
    FULL = "full"

    def at_most(self, other: "PushText | None") -> "PushText":
        """Return the less detailed one of this level and `other`; this level if `other` is None."""
        order = list(PushText)
        return self if other is None or order.index(self) <= order.index(other) else other
