"""Senders to Expo: the client on the wire, and the one in memory."""

from collections.abc import AsyncGenerator

import pytest
from pydantic import SecretStr

from app.clients.expo.expo_client import ExpoClient, open_http
from app.services.retrying.policies import PUSH_PROBES
from tests.support.stand_ins.push import PushService, ScriptedSender, expo_application
from tests.support.web.serving import serving


@pytest.fixture
def seconds() -> float:
    """The seconds that Expo may take for an answer."""
    return 120


@pytest.fixture
async def wire(push_service: PushService, seconds: float) -> AsyncGenerator[ExpoClient, None]:
    """The client that the service uses, talking to Expo's protocol over a socket."""
    async with serving(expo_application(push_service)) as base_url, open_http(base_url) as http:
        yield ExpoClient(
            http,
            base_url=base_url,
            access_token=SecretStr("expo-secret"),
            rate=None,
            next_probe=PUSH_PROBES.next_at,
            timeout_seconds=seconds,
        )


@pytest.fixture(params=["wire", "memory"])
async def sender(
    request: pytest.FixtureRequest, push_service: PushService, wire: ExpoClient
) -> ExpoClient | ScriptedSender:
    return wire if request.param == "wire" else ScriptedSender(push_service)
