"""Bodies that register devices for pushes (contract 6.5), and report which tasks they show (5.6, 5.7)."""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from typing_extensions import TypedDict

from app.enums import DeviceKind, Platform
from app.schemas.base import Input, QueryInput, doc
from app.schemas.fields import Boolean, Choice, Integer, Items, Text, Uuid

# Enough for a browser's subscription; services/notifications/devices.py limits the other platforms to 512 (contract).
MAX_WEB_TOKEN_LENGTH = 4096

# The greatest `bigint`.
MAX_SEQ = 2**63 - 1

_WHICH = "Id of the device, as its registration answered it, or of a console session of the caller."
_TOKEN = Text(max_length=MAX_WEB_TOKEN_LENGTH)


_DEVICE = {"device_id": "019ca8a6-1111-7c3e-9f62-0b5c1d2e3f40"}
_EXAMPLE = "ExponentPushToken[xxxxxxxxxxxxxxxxxxxxxx]"


class PushTokenIn(Input):
    """A device to register for pushes."""

    examples: ClassVar = {"A phone": {"token": _EXAMPLE, "platform": "ios"}}

    token: Annotated[
        str,
        _TOKEN,
        doc("Expo's push token, at most 512 characters; for `web`, the browser's subscription as JSON."),
    ]
    platform: Annotated[Platform, Choice(of=Platform), doc("The platform of the device.")]
    channels: Annotated[
        list[Annotated[str, Text(max_length=64)]],
        Items(max_length=20),
        doc(
            "The channels that the Android app has created, such as `questions` and `results`. A push "
            "names a channel only if the app has it, since Android hides pushes of an unknown channel."
        ),
    ] = []


class UnregisterIn(Input):
    """A device to unregister from pushes."""

    examples: ClassVar = {"A phone": {"token": _EXAMPLE}}

    token: Annotated[str, _TOKEN, doc("The token that the device was registered with.")]


class DeviceOut(TypedDict):
    """A device that is registered for pushes. Its token is never shown."""

    id: Annotated[UUID, doc("The `device_id` of presence.")]
    platform: Annotated[Platform, doc("The platform of the device.")]
    created_at: Annotated[datetime, doc("When the user first registered the device.")]
    last_seen_at: Annotated[datetime, doc("When the device was last registered.")]


class DeviceList(TypedDict):
    """The caller's devices, the most recently seen first."""

    results: Annotated[list[DeviceOut], doc("At most 20.")]


class VapidPublicKeyOut(TypedDict):
    """The public key with which a browser subscribes to web push (VAPID)."""

    public_key: Annotated[
        str,
        doc(
            "The `applicationServerKey`, in base64url.",
            "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM",
        ),
    ]


class PresenceIn(Input):
    """A report that a device shows the task now; it is valid for 60 seconds."""

    examples: ClassVar = {"A device": _DEVICE}

    device_id: Annotated[UUID, Uuid(), doc(_WHICH)]
    focused: Annotated[
        bool, Boolean(), doc("Whether a person looks at the device; only then are pushes deferred.")
    ] = True
    kind: Annotated[
        DeviceKind | None,
        Choice(of=DeviceKind, null=True),
        doc(
            "`terminal`: a device that need not be registered; its id is any new UUID, and it gets no pushes."
        ),
    ] = None
    seen_seq: Annotated[
        int | None,
        Integer(minimum=0, maximum=MAX_SEQ, null=True),
        doc(
            "The `seq` of the last event that the device has shown, as in the list of events; a value "
            "beyond the newest counts as the newest."
        ),
    ] = None


class PresenceLeaveIn(Input):
    """A report that a device no longer shows the task."""

    examples: ClassVar = {"A device": _DEVICE}

    device_id: Annotated[UUID | None, Uuid(), doc(_WHICH)] = None


class PresenceLeaveQuery(QueryInput):
    """The device that no longer shows the task. Clients that cannot send a body with DELETE send it as a query."""

    device_id: Annotated[UUID | None, Uuid(), doc(_WHICH + " The body has precedence.")] = None
