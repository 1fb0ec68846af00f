"""Devices: register, unregister, list (contract 6.5)."""

from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Presence, PushToken, User
from app.services.notifications.devices import MAX_DEVICES
from tests.support.assertions import assert_invalid, assert_not_authenticated, assert_permission_denied
from tests.support.clock import MovableClock
from tests.support.devices import expo_token, make_device, make_presence
from tests.support.makers import NewTask

URL = "/api/users/@me/push_tokens"


async def register(client: httpx.AsyncClient, token: str, platform: str = "ios") -> dict[str, Any]:
    response = await client.post(URL + "/", json={"token": token, "platform": platform})
    assert response.status_code == 200, response.text
    device: dict[str, Any] = response.json()
    return device


async def test_registration_answers_the_device_without_its_token(client: httpx.AsyncClient) -> None:
    token = expo_token()

    device = await register(client, f"  {token} ")

    assert list(device) == ["id", "platform", "created_at", "last_seen_at"]
    assert device["platform"] == "ios"
    listed = await client.get(URL)
    assert listed.json() == {"results": [device]}
    assert token not in listed.text


async def test_same_token_again_keeps_its_id_and_moves_last_seen(
    client: httpx.AsyncClient, clock: MovableClock
) -> None:
    token = expo_token()
    first = await register(client, token)
    clock.advance(minutes=5)

    second = await register(client, token, "android")

    assert (second["id"], second["created_at"]) == (first["id"], first["created_at"])
    assert second["last_seen_at"] > first["last_seen_at"]
    assert second["platform"] == "android"


async def test_token_moves_to_the_user_who_registers_it_last(
    client: httpx.AsyncClient, session: AsyncSession, new_task: NewTask, colleague: User, owner: User
) -> None:
    device = await make_device(session, user=colleague)
    await make_presence(session, task=await new_task(colleague), device=device)

    await register(client, device.token)

    owners = await session.scalars(select(PushToken.user_id).where(PushToken.token == device.token))
    assert owners.all() == [owner.id]
    assert await session.scalar(select(func.count()).select_from(Presence)) == 0


async def test_least_recently_seen_device_makes_room(client: httpx.AsyncClient, clock: MovableClock) -> None:
    devices = []
    for _ in range(MAX_DEVICES + 1):
        devices.append(await register(client, expo_token()))
        clock.advance(seconds=1)

    left = [device["id"] for device in (await client.get(URL)).json()["results"]]

    assert left == [device["id"] for device in reversed(devices[1:])]


async def test_unregistering_is_204_and_only_for_the_callers_own(
    client: httpx.AsyncClient, session: AsyncSession, colleague: User
) -> None:
    foreign = await make_device(session, user=colleague)
    token = expo_token()
    await register(client, token)

    for given in (token, token, foreign.token, "unknown"):
        response = await client.post(URL + "/unregister/", json={"token": given})
        assert (response.status_code, response.content) == (204, b"")

    assert (await session.scalars(select(PushToken.id))).all() == [foreign.id]


async def test_device_that_is_not_at_hand_is_deleted_by_its_id(
    client: httpx.AsyncClient, session: AsyncSession, colleague: User
) -> None:
    foreign = await make_device(session, user=colleague)
    lost = await register(client, expo_token())
    kept = await register(client, expo_token())

    for device_id in (lost["id"], lost["id"], foreign.id):
        response = await client.delete(f"{URL}/{device_id}/")
        assert (response.status_code, response.content) == (204, b"")

    assert (await client.get(URL)).json()["results"] == [kept]
    assert await session.get(PushToken, foreign.id)


@pytest.mark.parametrize(
    ("body", "attr", "code"),
    [
        ({}, "token", "required"),
        ({"token": " ", "platform": "ios"}, "token", "blank"),
        ({"token": "x" * 513, "platform": "ios"}, "token", "max_length"),
        ({"token": "x" * 4097, "platform": "web"}, "token", "max_length"),
        ({"token": "x"}, "platform", "required"),
        ({"token": "x", "platform": "fridge"}, "platform", "invalid_choice"),
    ],
)
async def test_bad_registration_names_the_wrong_field(
    client: httpx.AsyncClient, body: dict[str, str], attr: str, code: str
) -> None:
    assert_invalid(await client.post(URL, json=body), attr, code)


async def test_token_of_512_characters_and_a_long_subscription_are_taken(client: httpx.AsyncClient) -> None:
    await register(client, "x" * 512)
    await register(client, "y" * 4096, "web")


@pytest.mark.parametrize("who", ["7", "someone", "00000000-0000-4000-8000-000000000000"])
async def test_only_me_is_a_user_here(client: httpx.AsyncClient, who: str) -> None:
    for path in (f"/api/users/{who}/push_tokens", f"/api/users/{who}/push_tokens/unregister/"):
        response = await client.post(path, json={})
        assert_permission_denied(response, "Push tokens can only be managed via the `@me` path.")


async def test_key_is_needed_before_the_path_is_looked_at(anonymous: httpx.AsyncClient) -> None:
    response = await anonymous.post("/api/users/7/push_tokens", json={"token": "x", "platform": "ios"})
    assert_not_authenticated(response, 401)


async def test_token_is_not_logged(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    token = expo_token()

    await register(client, token)
    await client.post(URL + "/unregister", json={"token": token})

    assert caplog.text
    assert token not in caplog.text
