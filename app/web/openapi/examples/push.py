"""Presence, devices and pushes."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.enums import NotificationDecision, NotificationKind, Platform
from app.schemas.notifications import (
    NotificationOut,
    PreferencesIn,
    PreferencesOut,
    PushTestIn,
    PushTestOut,
)
from app.schemas.presence import PresenceIn
from app.schemas.push_tokens import DeviceOut, PushTokenIn, UnregisterIn, VapidPublicKeyOut
from app.web.openapi.examples.operation import OperationExamples

__all__ = ["PUSH_EXAMPLES"]

_AT = datetime(2026, 3, 1, 10, 0, 42, 654321, tzinfo=UTC)
_DEVICE_ID = UUID("019ca8a6-1111-7c3e-9f62-0b5c1d2e3f40")
_TOKEN = "ExponentPushToken[xxxxxxxxxxxxxxxxxxxxxx]"  # noqa: S105 - an example

_DEVICE: DeviceOut = {
    "id": _DEVICE_ID,
    "platform": Platform.IOS,
    "created_at": _AT - timedelta(days=2),
    "last_seen_at": _AT,
}
_SUPPRESSED: NotificationOut = {
    "id": UUID("019ca8a6-2222-7c3e-9f62-0b5c1d2e3f40"),
    "run": UUID("019ca8a6-9a40-7d11-8a5b-6c7d8e9f0a1b"),
    "kind": NotificationKind.COMPLETED,
    "body": '"Say hello" finished',
    "device": _DEVICE_ID,
    "platform": Platform.IOS,
    "decision": NotificationDecision.SUPPRESSED,
    "reason": "presence",
    "watched_by": {"device": UUID("019ca8a6-3333-7c3e-9f62-0b5c1d2e3f40"), "seconds_ago": 12.5},
    "attempts": 0,
    "created_at": _AT,
    "next_attempt_at": None,
    "sent_at": None,
    "settled_at": _AT,
}
_TESTED: PushTestOut = {
    "id": UUID("019ca8a6-4444-7c3e-9f62-0b5c1d2e3f40"),
    "device": _DEVICE_ID,
    "platform": Platform.IOS,
    "decision": NotificationDecision.SENT,
    "reason": None,
    "ticket": "740dd1b2-0b1c-4b0a-8c1d-2f3e4a5b6c7d",
}
_PREFERENCES: PreferencesOut = {"completed": True, "failed": True, "cancelled": False, "awaiting": True}
_PUBLIC_KEY: VapidPublicKeyOut = {
    "public_key": "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM"
}

PUSH_EXAMPLES: Mapping[str, OperationExamples] = {
    "users_push_tokens_list": OperationExamples(answer={"results": [_DEVICE]}),
    "users_push_tokens_create": OperationExamples(
        answer=_DEVICE,
        bodies={"A phone": {"token": _TOKEN, "platform": "ios"}},
        refused=(PushTokenIn, {"token": _TOKEN, "platform": "fridge"}),
    ),
    "users_push_tokens_unregister_create": OperationExamples(
        bodies={"A phone": {"token": _TOKEN}}, refused=(UnregisterIn, {})
    ),
    "push_vapid_public_key_retrieve": OperationExamples(answer=_PUBLIC_KEY),
    "tasks_presence_create": OperationExamples(
        bodies={"A beat": {"device_id": str(_DEVICE_ID)}}, refused=(PresenceIn, {})
    ),
    "tasks_presence_destroy": OperationExamples(
        bodies={"The device leaves": {"device_id": str(_DEVICE_ID)}}, refused=(PresenceIn, {})
    ),
    "tasks_notifications_list": OperationExamples(
        answer={"count": 1, "next": None, "previous": None, "results": [_SUPPRESSED]}
    ),
    "tasks_notifications_test_create": OperationExamples(
        answer=_TESTED,
        bodies={"The device last seen": {}, "A certain device": {"device_id": str(_DEVICE_ID)}},
        refused=(PushTestIn, {"device_id": "my phone"}),
    ),
    "tasks_mute_update": OperationExamples(),
    "tasks_mute_destroy": OperationExamples(),
    "users_notification_preferences_retrieve": OperationExamples(answer=_PREFERENCES),
    "users_notification_preferences_partial_update": OperationExamples(
        answer=_PREFERENCES,
        bodies={"Nothing about cancelled runs": {"cancelled": False}},
        refused=(PreferencesIn, {"cancelled": "maybe"}),
    ),
}
