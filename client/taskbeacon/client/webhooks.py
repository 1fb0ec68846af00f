"""Verify webhook messages (Standard Webhooks 1.0.0)."""

from collections.abc import Mapping
from typing import Any

from taskbeacon.client.errors import InvalidSignature


def verify_webhook(body: bytes, headers: Mapping[str, str], secret: str | list[str]) -> dict[str, Any]:
    """Return the event of a message, as received, that one of the secrets has signed within 5 minutes."""
    from standardwebhooks.webhooks import Webhook, WebhookVerificationError  # noqa: PLC0415 - receivers alone need it

    secrets = [secret] if isinstance(secret, str) else secret
    if not secrets or not all(each.removeprefix("whsec_") for each in secrets):
        raise ValueError("a secret is empty")
    reason = "the body is no event"
    for hook in [Webhook(each) for each in secrets]:
        try:
            event = hook.verify(body, dict(headers))
            if isinstance(event, dict):
                return event
        except (WebhookVerificationError, ValueError) as error:
            reason = str(error)
    raise InvalidSignature(f"The message is not verified: {reason}.")
