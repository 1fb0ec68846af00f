"""Pushes in Expo's format and what its answers mean; the sender in memory does alike (contract 7.2)."""

from dataclasses import replace
from typing import Any

import pytest

from app.clients.expo.expo_client import ExpoClient
from app.clients.pushes.push import (
    Accepted,
    BadMessage,
    Deadline,
    PushAction,
    PushSender,
    PushStyle,
    TryLater,
)
from app.enums import Urgency
from tests.support.stand_ins.push import Fault, PushService, push_message


class TestAnySender:
    async def test_message_has_the_contracts_form(
        self, sender: PushSender, push_service: PushService
    ) -> None:
        sent = push_message()

        await sender.send([sent], Deadline())

        assert push_service.received == [
            {
                "to": sent.token,
                "title": "Taskbeacon",
                "body": '"A task" finished',
                "data": {"taskId": "t", "taskRunId": "r"},
                "sound": "default",
            }
        ]

    @pytest.mark.parametrize(
        ("style", "said"),
        [
            (
                PushStyle(urgency=Urgency.HIGH, ttl_seconds=60, badge=0, channel="questions"),
                {
                    "sound": "default",
                    "priority": "high",
                    "interruptionLevel": "time-sensitive",
                    "ttl": 60,
                    "badge": 0,
                    "channelId": "questions",
                },
            ),
            (
                PushStyle(urgency=Urgency.NORMAL, ttl_seconds=60, thread="task:1"),
                {
                    "sound": "default",
                    "priority": "high",
                    "interruptionLevel": "active",
                    "ttl": 60,
                    "threadId": "task:1",
                },
            ),
            (
                PushStyle(urgency=Urgency.LOW, ttl_seconds=60),
                {"sound": "default", "priority": "normal", "interruptionLevel": "passive", "ttl": 60},
            ),
            (
                PushStyle(urgency=Urgency.LOW, ttl_seconds=60, is_silent=True),
                {"priority": "normal", "interruptionLevel": "passive", "ttl": 60},
            ),
        ],
    )
    async def test_class_of_a_message_is_said_in_the_words_of_the_service(
        self, sender: PushSender, push_service: PushService, style: PushStyle, said: dict[str, Any]
    ) -> None:
        sent = replace(push_message(), style=style)

        await sender.send([sent], Deadline())

        plain = {"to": sent.token, **sent.content()}
        assert push_service.received == [{**plain, **said}]

    @pytest.mark.parametrize("style", [None, PushStyle(urgency=Urgency.LOW, ttl_seconds=60)])
    async def test_messages_of_one_tag_replace_each_other_on_both_platforms(
        self, sender: PushSender, push_service: PushService, style: PushStyle | None
    ) -> None:
        await sender.send([replace(push_message(), style=style, tag="q:1")], Deadline())

        [received] = push_service.received
        assert (received["collapseId"], received["tag"]) == ("q:1", "q:1")

    async def test_buttons_travel_in_the_data_for_the_app(
        self, sender: PushSender, push_service: PushService
    ) -> None:
        action = PushAction("allow", "yes", "Allow", "tba_x", "https://tasks.example/a/tba_x")
        style = PushStyle(urgency=Urgency.NORMAL, ttl_seconds=60, actions=[action])

        await sender.send([replace(push_message(), style=style)], Deadline())

        [received] = push_service.received
        assert received["categoryId"] == "question"
        assert received["data"] == {
            "taskId": "t",
            "taskRunId": "r",
            "actions": [{"id": "allow", "option_id": "yes", "title": "Allow", "token": "tba_x"}],
        }

    @pytest.mark.parametrize(
        ("status", "may_have_arrived"), [(429, False), (500, True), (502, True), (503, True), (504, True)]
    )
    async def test_refusal_of_the_service_decides_nothing_and_names_its_wish(
        self, sender: PushSender, push_service: PushService, status: int, *, may_have_arrived: bool
    ) -> None:
        push_service.faults.append(Fault(status, {"Retry-After": "17"}))

        outcomes = await sender.send([push_message(), push_message()], Deadline())

        assert outcomes == [TryLater(f"HTTP {status}", 17.0, may_have_arrived)] * 2
        assert push_service.received == []

    @pytest.mark.parametrize("status", [401, 403, 404, 407, 408])
    async def test_refusal_that_is_not_about_messages_costs_none(
        self, sender: PushSender, push_service: PushService, status: int
    ) -> None:
        push_service.faults.append(Fault(status))

        assert await sender.send([push_message()], Deadline()) == [TryLater(f"HTTP {status}")]

    @pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data": "ok"}', b"null", b"{}"])
    async def test_answer_that_cannot_be_read_decides_nothing(
        self, sender: PushSender, push_service: PushService, body: bytes
    ) -> None:
        push_service.faults.append(Fault(body=body))

        outcomes = await sender.send([push_message()], Deadline())

        assert outcomes == [TryLater("UnreadableAnswer", may_have_arrived=True)]

    async def test_short_list_of_tickets_leaves_the_rest_undecided(
        self, sender: PushSender, push_service: PushService
    ) -> None:
        push_service.faults.append(Fault(missing_tickets=2))

        outcomes = await sender.send([push_message() for _ in range(3)], Deadline())

        assert isinstance(outcomes[0], Accepted)
        assert outcomes[1:] == [TryLater("NoTicket", may_have_arrived=True)] * 2


@pytest.mark.parametrize("text", [r"\u0000", r"a\nb", "x" * 129])
async def test_ticket_or_reason_that_cannot_be_kept_is_none(
    wire: ExpoClient, push_service: PushService, text: str
) -> None:
    """Storing it would make the settling of a whole claim fail, again and again."""
    tickets = f'{{"status": "ok", "id": "{text}"}}, {{"status": "error", "details": {{"error": "{text}"}}}}'
    push_service.faults.append(Fault(body=f'{{"data": [{tickets}]}}'.encode()))

    accepted, refused = await wire.send([push_message() for _ in range(2)], Deadline())

    assert accepted == Accepted(None)
    assert refused == BadMessage("x" * 64 if text.startswith("x") else "UnknownError")


async def test_message_too_large_for_its_buttons_goes_without(
    wire: ExpoClient, push_service: PushService
) -> None:
    action = PushAction("allow", "\N{HAMMER}" * 255, "Allow", "tba_x" * 200, None)
    style = PushStyle(urgency=Urgency.NORMAL, ttl_seconds=60, actions=[action] * 3)

    await wire.send([replace(push_message(), style=style)], Deadline())

    [received] = push_service.received
    assert received["body"] == push_message().body
    assert "categoryId" not in received
    assert "actions" not in received["data"]
