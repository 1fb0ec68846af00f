"""The demo's receiver of webhooks: the stack's sink, and the official library to verify the messages."""

from typing import Any

import httpx
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from app.devstack.api_client import failures_as_devstack_errors, request
from app.devstack.errors import DevstackError


class HookedSink:
    """A webhook endpoint that the demo registers for the event `run.completed`."""

    def __init__(self, client: httpx.Client, plain: httpx.Client, sink_url: str) -> None:
        self._plain = plain
        self._url = f"{sink_url}/webhooks"
        made = request(
            client,
            "POST",
            "webhook_endpoints/",
            url=self._url,
            event_types=["run.completed"],
            description="The demo's sink",
        )
        self._secret = made["secret"]

    def fetch_verified(self, run_id: str) -> dict[str, Any]:  # Any: JSON
        """Return the webhook message about the end of a run, with its id, after its signature was verified."""
        with failures_as_devstack_errors("the sink cannot be read"):
            messages = self._plain.get(self._url).raise_for_status().json()
        for message in messages:
            try:
                content: dict[str, Any] = Webhook(self._secret).verify(message["body"], message["headers"])
            except WebhookVerificationError as error:
                raise DevstackError(f"a webhook does not verify: {error}") from error
            if content["data"]["run_id"] == run_id:
                return {"id": message["headers"]["webhook-id"], **content}
        return {}
