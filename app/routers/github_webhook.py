"""Route that receives the webhooks of code hosts. They have no API key: each delivery is signed."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request

from app.api_limits import WEBHOOK_BYTES
from app.ids import MAX_BIGINT
from app.schemas.github_webhook import WebhookOut
from app.services.code_hosts import github_webhook
from app.services.code_hosts.github_webhook import UnverifiedDelivery
from app.web.body import read_bytes
from app.web.dependencies import process_of, session_of
from app.web.openapi.errors import errors, over_limit
from app.web.responses import Json
from app.web.throttling import throttle_wrong_signatures
from app.web.unit_route import UnitRoute

router = APIRouter(prefix="/api/webhooks", tags=["operations"], route_class=UnitRoute)


Integration = Annotated[
    int | None,
    Query(
        ge=1,
        le=MAX_BIGINT,
        description="Id of the integration with the webhook secret that signed the request.",
    ),
]
Event = Annotated[
    str, Header(alias="X-GitHub-Event", max_length=100, description="GitHub's name of the event type.")
]
DeliveryId = Annotated[
    str, Header(alias="X-GitHub-Delivery", max_length=100, description="GitHub's id of the delivery.")
]
Signature = Annotated[
    str,
    Header(
        alias="X-Hub-Signature-256",
        max_length=200,
        description="`sha256=` and the HMAC-SHA256 of the body, in hexadecimal digits.",
    ),
]


async def _read_delivery(
    request: Request,
    integration: Integration = None,
    event: Event = "",
    delivery: DeliveryId = "",
    signature: Signature = "",
) -> UnverifiedDelivery:
    body = await read_bytes(request, limit=WEBHOOK_BYTES)
    return UnverifiedDelivery(
        delivery_id=delivery, event=event, signature=signature, body=body, integration_id=integration
    )


@router.post(
    "/github",
    summary="Receive a webhook of GitHub",
    responses=errors(400, 403, 413) | over_limit(),
)
async def receive_github(
    request: Request, sent: Annotated[UnverifiedDelivery, Depends(_read_delivery)]
) -> Json[WebhookOut]:
    """Receive a webhook of GitHub, and start a follow-up run if checks of a run's branch have failed.

    A failed `check_suite` or `workflow_run` on a branch that a run pushed starts a follow-up run with the task's
    `ci_prompt`, at most three times per branch. All other events are ignored. The request must be signed with the
    webhook secret of the integration that the query parameter `integration` names. Without this parameter, it must be
    signed with the webhook secret of the service.
    """
    session, process = session_of(request), process_of(request)
    received = github_webhook.receive_github(session, sent, process, settings=process.settings)
    return Json(await throttle_wrong_signatures(request, received))
