"""Routes that manage webhook endpoints and their deliveries, and list event types (contract 14)."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.schemas.events import EventTypeOut
from app.schemas.webhook_endpoints import (
    DeliveryDetailOut,
    DeliveryOut,
    DeliveryPage,
    DeliveryQuery,
    EndpointIn,
    EndpointOut,
    EndpointPage,
    EndpointUpdateIn,
    NewEndpointOut,
    PingedOut,
    RecoveredOut,
    RecoverIn,
    RotatedOut,
    RotateIn,
)
from app.services.events.event_types import published_types
from app.services.webhook_endpoints import deliveries, missed_events, registration
from app.web.auth import OwnEndpoint, WebhookRead, WebhookWrite
from app.web.body import Body
from app.web.dependencies import DeliveryId, EndpointId
from app.web.openapi.errors import errors
from app.web.pagination import PageDep
from app.web.responses import Json, SecretJson
from app.web.unit_route import UnitRoute

_ENDPOINTS = "/webhook_endpoints"
_ENDPOINT = _ENDPOINTS + "/{endpoint_id}"
_DELIVERY = _ENDPOINT + "/deliveries/{delivery_id}"

router = APIRouter(prefix="/api/projects/{project_id}", tags=["webhooks"], route_class=UnitRoute)


@router.get(
    "/webhook_event_types",
    operation_id="webhook_event_types_list",
    summary="List event types",
    response_description="All event types, each with the JSON Schema of its body and an example.",
)
async def list_event_types(_call: WebhookRead) -> Json[list[EventTypeOut]]:
    """Return the event types that a webhook endpoint can subscribe to, with JSON Schemas of their bodies."""
    return Json(published_types())


@router.get(_ENDPOINTS, summary="List webhook endpoints")
async def list_endpoints(call: WebhookRead, page: PageDep) -> Json[EndpointPage]:
    """Return the caller's own webhook endpoints in the project, newest first."""
    count, results = await registration.list_endpoints(call.session, call.caller, page.asked)
    return Json(page.page(count, results))


@router.post(
    _ENDPOINTS,
    summary="Create a webhook endpoint",
    status_code=201,
)
async def create_endpoint(call: WebhookWrite, body: Body[EndpointIn]) -> SecretJson[NewEndpointOut]:
    """Create a webhook endpoint: a URL to which events are sent according to the Standard Webhooks specification.

    Messages are signed, and retried until the URL answers with 2xx. The endpoint gets the events that the caller can
    see when they happen. A member has at most 5 endpoints in a project, and a project 20 of all members. The payload
    `full` needs the scope `task:read` too. No request is sent to the URL now: use `ping` to check that it can be
    reached.
    """
    process = call.process
    made = await registration.create_endpoint(
        call.session, call.caller, body, policy=process.destinations.policy, cipher=process.cipher
    )
    return SecretJson(made, 201)


@router.get(_ENDPOINT, summary="Retrieve a webhook endpoint")
async def retrieve_endpoint(call: WebhookRead, endpoint_id: EndpointId) -> EndpointOut:
    """Return a webhook endpoint of the caller, with its recent successes and failures."""
    return await registration.retrieve_endpoint(call.session, call.caller, endpoint_id)


@router.patch(_ENDPOINT, summary="Update a webhook endpoint")
async def update_endpoint(
    call: WebhookWrite, endpoint_id: OwnEndpoint, body: Body[EndpointUpdateIn]
) -> EndpointOut:
    """Update a webhook endpoint: only the given fields change.

    Disabling it cancels its pending deliveries. If the endpoint gets full bodies or will get them, changes of its URL,
    payload, event types and task filter need the scope `task:read` too.
    """
    return await registration.update_endpoint(
        call.session, call.caller, endpoint_id, body, policy=call.process.destinations.policy
    )


@router.delete(
    _ENDPOINT,
    summary="Delete a webhook endpoint",
    response_description="Deleted; the response has no body.",
)
async def delete_endpoint(call: WebhookWrite, endpoint_id: EndpointId) -> None:
    """Delete a webhook endpoint with its secret, its deliveries and their attempts."""
    await registration.delete_endpoint(call.session, call.caller, endpoint_id)


@router.post(_ENDPOINT + "/rotate_secret", summary="Replace the secret of a webhook endpoint")
async def rotate_secret(
    call: WebhookWrite, body: Body[RotateIn], endpoint_id: EndpointId
) -> SecretJson[RotatedOut]:
    """Replace the signing secret of a webhook endpoint, and return the new one.

    Until the old secret expires, every message is signed with both secrets.
    """
    cipher = call.process.cipher
    return SecretJson(
        await registration.rotate_secret(call.session, call.caller, endpoint_id, body, cipher=cipher)
    )


@router.post(
    _ENDPOINT + "/ping",
    summary="Send a test message to a webhook endpoint",
    status_code=202,
)
async def ping_endpoint(call: WebhookWrite, endpoint_id: EndpointId) -> PingedOut:
    """Send a message of the type `ping` to a webhook endpoint, even if the endpoint is disabled.

    The response does not wait for the message: retrieve its delivery for the result. A second ping within a second is
    refused.
    """
    delivery_id = await deliveries.ping(call.session, call.caller, endpoint_id)
    return {"delivery_id": delivery_id}


@router.post(_ENDPOINT + "/enable", summary="Enable a webhook endpoint")
async def enable_endpoint(call: WebhookWrite, endpoint_id: EndpointId) -> EndpointOut:
    """Enable a webhook endpoint that was disabled: it gets the events that happen from now on.

    To send it the events that it has missed, use `recover`.
    """
    return await registration.enable_endpoint(call.session, call.caller, endpoint_id)


@router.post(
    _ENDPOINT + "/recover",
    summary="Redeliver the missed events of a webhook endpoint",
    status_code=202,
)
async def recover_endpoint(
    call: WebhookWrite, body: Body[RecoverIn], endpoint_id: EndpointId
) -> RecoveredOut:
    """Schedule for a webhook endpoint the messages that it has missed in a period, and return their number.

    By default these are the deliveries that failed or were cancelled; `only: all` adds the events that have no delivery
    because the endpoint was disabled. The period must not begin before the oldest events that are still kept, and at
    most 250,000 deliveries of it may have failed.
    """
    count = await missed_events.recover(
        call.session, call.caller, endpoint_id, body, settings=call.process.settings
    )
    return {"count": count}


@router.get(_ENDPOINT + "/deliveries", summary="List deliveries of a webhook endpoint")
async def list_deliveries(
    call: WebhookRead, query: Annotated[DeliveryQuery, Query()], endpoint_id: EndpointId, page: PageDep
) -> Json[DeliveryPage]:
    """Return the deliveries to a webhook endpoint, newest first. Deliveries are kept as long as their events."""
    count, results = await deliveries.list_deliveries(
        call.session, call.caller, endpoint_id, query, page.asked
    )
    return Json(page.page(count, results))


@router.get(_DELIVERY, summary="Retrieve a delivery with its attempts")
async def retrieve_delivery(
    call: WebhookRead, endpoint_id: EndpointId, delivery_id: DeliveryId
) -> DeliveryDetailOut:
    """Return a delivery: its request, with a masked signature, and the response or error of each attempt.

    Without the scope `task:read`, the body of the request and the texts of the responses are null.
    """
    return await deliveries.retrieve_delivery(call.session, call.caller, endpoint_id, delivery_id)


@router.post(
    _DELIVERY + "/redeliver",
    summary="Redeliver a message",
    response_description="The delivery, which is pending again.",
    status_code=202,
    responses=errors(400),
)
async def redeliver(call: WebhookWrite, endpoint_id: EndpointId, delivery_id: DeliveryId) -> DeliveryOut:
    """Send the message of a delivery again, with the same `webhook-id`, even if it was delivered before."""
    return await deliveries.redeliver(call.session, call.caller, endpoint_id, delivery_id)
