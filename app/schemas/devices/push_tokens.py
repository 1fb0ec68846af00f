"""Bodies that register devices for pushes (contract 6.5)."""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from typing_extensions import TypedDict

from app.enums import Platform
from app.schemas.base import Input, doc
from app.schemas.fields import Choice, Items, Text

# Enough for a browser's subscription; services/notifications/devices.py limits the other platforms to 512 (contract).
MAX_WEB_TOKEN_LENGTH = 4096

_TOKEN = Text(max_length=MAX_WEB_TOKEN_LENGTH)
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
