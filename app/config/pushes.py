"""Settings of pushes; a part of `app.config.Settings`."""

from pydantic import BaseModel, Field

from app.config.checks import CommaList, OptionalSecret, OptionalWebUrl, VapidKey, VapidSubject, WebUrl
from app.enums import ActionTokens


class PushSettings(BaseModel):
    """Settings of pushes: the push services, and the texts and links of pushes."""

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
