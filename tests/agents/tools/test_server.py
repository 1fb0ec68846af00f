"""The tools of an agent: a scripted agent that calls them from a real sandbox, through its proxy (contract 16.13)."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.agents.errors import AgentStopped, SandboxUnavailable
from app.agents.network.network_access import NetworkRules
from app.agents.tools.mcp_protocol import Tools
from app.agents.tools.server import BODY_BYTES, serve_tools
from app.dialogue.agent_reports import AgentMessage, MessageOutcome
from app.enums import AgentNetwork, NotificationDecision, SandboxKind, Urgency
from app.verdicts.agent_claims import AgentClaim
from tests.agents.conftest import Outcome, Runner, find_sandbox, scripted_adapter
from tests.support.waiting import eventually

JSON = dict[str, Any]
SECRET = "hunter2-hunter2"
SENT = MessageOutcome(NotificationDecision.PENDING, devices=2)
NONE, TRUSTED, FULL = AgentNetwork.NONE, AgentNetwork.TRUSTED, AgentNetwork.FULL


@dataclass
class Person:
    """Keeps what an agent says, and has it sent to two devices."""

    heard: list[AgentMessage] = field(default_factory=list)
    outcome: MessageOutcome = SENT
    claims: tuple[AgentClaim, ...] = ()

    def report(self, claims: tuple[AgentClaim, ...]) -> None:
        self.claims = claims

    async def notify(self, message: AgentMessage) -> MessageOutcome:
        self.heard.append(message)
        return self.outcome


@pytest.fixture
def person() -> Person:
    return Person()


def call(**arguments: Any) -> JSON:
    return {"message": {"method": "tools/call", "params": {"name": "notify_user", "arguments": arguments}}}


def said(outcome: Outcome) -> tuple[list[JSON], list[Any]]:
    """Return the servers that the agent was given, and the answers that it got."""
    assert outcome.done
    servers, *answers = [
        json.loads(update["content"]["text"]) for update in outcome.updates("agent_message_chunk")
    ]
    return servers, answers


async def use_tools(
    runner: Runner, person: Person, *requests: JSON, part: str = "use_tools", **changes: Any
) -> tuple[list[JSON], list[Any]]:
    outcome = await runner.run(
        json.dumps(requests),
        adapter=scripted_adapter(part),
        notify_user=person.notify,
        **{"may_notify": True, **changes},
    )
    return said(outcome)


@pytest.mark.parametrize(
    ("kind", "level", "is_reached"),
    [
        (SandboxKind.BUBBLEWRAP, NONE, True),
        (SandboxKind.BUBBLEWRAP, TRUSTED, True),
        (SandboxKind.BUBBLEWRAP, FULL, True),
        # Landlock would open the port of every host.
        (SandboxKind.LANDLOCK, NONE, False),
        (SandboxKind.LANDLOCK, TRUSTED, True),
        (SandboxKind.LANDLOCK, FULL, True),
        (SandboxKind.NONE, NONE, True),
        (SandboxKind.NONE, TRUSTED, True),
    ],
)
async def test_agent_calls_its_tool_from_its_sandbox(
    runner: Runner, person: Person, kind: SandboxKind, level: AgentNetwork, is_reached: bool
) -> None:
    try:
        sandbox = await find_sandbox(kind)
    except SandboxUnavailable as error:
        pytest.skip(error.message)
    rules = NetworkRules(level=level, domains=["example.com"], unenforced=True)
    servers, answers = await use_tools(
        runner, person, call(title="Half way", message="Tests pass."), sandbox=sandbox, network=rules
    )
    assert (len(servers), len(answers), len(person.heard)) == ((1, 1, 1) if is_reached else (0, 0, 0))
    if is_reached:
        [[status, answer]] = answers
        assert (status, answer["result"]["structuredContent"]) == (200, {"decision": "sent", "devices": 2})
        assert person.heard == [AgentMessage(title="Half way", message="Tests pass.", urgency=Urgency.LOW)]


async def test_door_of_the_tools_leads_nowhere_else(runner: Runner, person: Person) -> None:
    """At the level none, an agent with tools still reaches nothing but them."""
    try:
        sandbox = await find_sandbox(SandboxKind.BUBBLEWRAP)
    except SandboxUnavailable as error:
        pytest.skip(error.message)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        outcome = await runner.run(
            json.dumps(
                [
                    {"place": f"127.0.0.1:{port}"},
                    {"proxied": f"127.0.0.1:{port}", "headers": {"Host": f"127.0.0.1:{port}"}},
                ]
            ),
            adapter=scripted_adapter("use_tools"),
            notify_user=person.notify,
            may_notify=True,
            sandbox=sandbox,
        )
    _, answers = said(outcome)
    assert answers[0] == ["ConnectionRefusedError"]
    assert answers[1][0] == 403


@pytest.mark.parametrize("reason", ["no_capability", "not_allowed"])
async def test_agent_without_the_tool_has_no_server(runner: Runner, person: Person, reason: str) -> None:
    part = "without_tools" if reason == "no_capability" else "use_tools"
    servers, _ = await use_tools(runner, person, part=part, may_notify=reason == "no_capability")
    assert servers == []


async def test_conversation_with_the_server(runner: Runner, person: Person) -> None:
    """Initialise, list, ping, notify: as a client of the protocol does."""
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    servers, answers = await use_tools(
        runner,
        person,
        {"message": {"method": "initialize", "params": hello}},
        {"message": {"method": "initialize", "params": hello | {"protocolVersion": "1999-01-01"}}},
        {"raw": json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"})},
        {"message": {"method": "ping"}, "headers": {"MCP-Protocol-Version": "2025-06-18"}},
        {"message": {"id": "a", "method": "tools/list"}},
        {"raw": json.dumps({"jsonrpc": "2.0", "id": 7, "result": {}})},
    )
    [server] = servers
    assert (server["type"], server["name"]) == ("http", "taskbeacon")
    first, second, initialized, ping, listed, answer = answers
    assert first[1]["result"]["protocolVersion"] == "2025-06-18"
    assert first[1]["result"]["capabilities"] == {"tools": {}}
    assert second[1]["result"]["protocolVersion"] == "2025-11-25"
    assert initialized == answer == [202, ""]
    assert ping == [200, {"jsonrpc": "2.0", "id": 1, "result": {}}]
    tool, other = listed[1]["result"]["tools"]
    assert other["name"] == "report_result"
    assert (listed[1]["id"], tool["name"]) == ("a", "notify_user")
    fields = tool["inputSchema"]["properties"]
    assert (fields["title"]["maxLength"], fields["message"]["maxLength"]) == (80, 178)
    assert fields["urgency"]["enum"] == ["low", "normal"]


# What an agent may send, and what it is answered: status and code.
HOSTILE: list[tuple[JSON, int, int]] = [
    ({"headers": {"Authorization": "Bearer wrong"}}, 401, -32600),
    ({"headers": {"Authorization": ""}}, 401, -32600),
    ({"headers": {"Authorization": "Bearer wrong"}, "raw": "x" * 2 * BODY_BYTES}, 401, -32600),
    ({"headers": {"Origin": "https://example.com"}}, 403, -32600),
    ({"path": "/other"}, 404, -32600),
    ({"verb": "GET"}, 405, -32600),
    ({"raw": "x" * (BODY_BYTES + 1)}, 413, -32600),
    ({"headers": {"Transfer-Encoding": "chunked"}, "raw": "1\r\n{\r\n" * 9}, 411, -32600),
    ({"headers": {"Content-Type": "text/plain"}}, 415, -32600),
    ({"headers": {"MCP-Protocol-Version": "1999-01-01"}}, 400, -32600),
    ({"headers": {"X-Long": "x" * 40_000}}, 431, -32600),
    ({"raw": "not JSON"}, 400, -32700),
    ({"raw": '"\\ud800"'}, 400, -32700),
    ({"raw": "[" * 5000 + "]" * 5000}, 400, -32700),
    ({"raw": "[]"}, 400, -32600),
    ({"raw": '{"id": 1, "method": "ping"}'}, 400, -32600),
    ({"message": {"method": 5}}, 400, -32600),
    ({"message": {"method": "ping", "id": None}}, 400, -32600),
    ({"message": {"method": "ping", "id": True}}, 400, -32600),
    ({"message": {"method": "ping", "params": []}}, 200, -32602),
    ({"message": {"method": "resources/list"}}, 200, -32601),
    ({"message": {"method": "initialize", "params": {}}}, 200, -32602),
    ({"message": {"method": "tools/list", "params": {"cursor": "x"}}}, 200, -32602),
    ({"message": {"method": "tools/call", "params": {"name": "rm"}}}, 200, -32602),
]


async def test_hostile_requests_are_answered_with_clear_errors(runner: Runner, person: Person) -> None:
    _, answers = await use_tools(runner, person, *(request for request, _, _ in HOSTILE))
    for (request, status, code), answer in zip(HOSTILE, answers, strict=True):
        assert (answer[0], answer[1]["error"]["code"]) == (status, code), str(request)[:100]
    assert person.heard == []


WRONG: list[JSON] = [
    {"message": "No title."},
    {"title": "t" * 81, "message": "m"},
    {"title": "t", "message": "m" * 179},
    {"title": "t", "message": "m", "urgency": "high"},
    {"title": "t", "message": 5},
    {"title": " ", "message": "m"},
    {"title": "t", "message": "\u200b\u202e"},
    {"title": "t", "message": "m", "channel": "sms"},
]


async def test_wrong_arguments_are_shown_to_the_model(runner: Runner, person: Person) -> None:
    _, answers = await use_tools(runner, person, *(call(**arguments) for arguments in WRONG))
    for arguments, (status, answer) in zip(WRONG, answers, strict=True):
        assert (status, answer["result"]["isError"]) == (200, True), arguments
    assert person.heard == []


async def test_longest_message_is_taken(runner: Runner, person: Person) -> None:
    await use_tools(runner, person, call(title="ü" * 80, message="🎉" * 178, urgency="normal"))
    assert person.heard == [AgentMessage(title="ü" * 80, message="🎉" * 178, urgency=Urgency.NORMAL)]


async def test_secrets_of_the_run_are_masked(runner: Runner, person: Person) -> None:
    """Secrets with a line break, or hidden by invisible characters, are masked too."""
    variables = {"PASSWORD": SECRET, "KEY": "first line\nsecond line"}
    outcome = await runner.run(
        json.dumps(
            [
                call(title=f"It is {SECRET}", message="first line\nsecond line"),
                call(title="t", message=f"{SECRET[:5]}\u200b{SECRET[5:]}\n\x00now"),
            ]
        ),
        adapter=scripted_adapter("use_tools"),
        notify_user=person.notify,
        may_notify=True,
        variables=variables,
    )
    servers, _ = said(outcome)
    assert [(each.title, each.message) for each in person.heard] == [("It is ***", "***"), ("t", "*** now")]
    # The token is a secret too.
    assert servers[0]["headers"] == [{"name": "Authorization", "value": "Bearer ***"}]
    log = [entry["notification"] for entry in outcome.entries]
    logged = [each["params"] for each in log if each["method"] == "_taskbeacon/notify_user"]
    assert logged[0] == {
        "title": "It is ***",
        "message": "***",
        "urgency": "low",
        "decision": "sent",
        "devices": 2,
    }


async def test_agent_hears_why_its_message_was_not_sent(runner: Runner) -> None:
    person = Person(
        outcome=MessageOutcome(NotificationDecision.SUPPRESSED, "a person is looking at this task")
    )
    _, [[_, answer]] = await use_tools(runner, person, call(title="t", message="m"))
    expected = {"decision": "suppressed", "reason": "a person is looking at this task"}
    assert answer["result"]["structuredContent"] == expected
    assert json.loads(answer["result"]["content"][0]["text"]) == expected


async def test_call_that_cannot_be_decided_is_an_error() -> None:
    async def fail(_message: AgentMessage) -> MessageOutcome:
        raise RuntimeError("boom")

    async def stop(_message: AgentMessage) -> MessageOutcome:
        raise AgentStopped("The run was stopped.")

    raw = json.dumps({"jsonrpc": "2.0", "id": 1, **call(title="t", message="m")["message"]}).encode()
    for notify, words in (
        (fail, "the message could not be decided on; try again later"),
        (stop, "The run was stopped."),
    ):
        answer = await Tools(notify, Person().report, str).answer(raw)
        assert answer.body is not None
        assert answer.body["error"] == {"code": -32603, "message": words}


async def test_calls_of_one_agent_are_bounded(person: Person) -> None:
    tools = Tools(person.notify, person.report, str)
    raw = json.dumps({"jsonrpc": "2.0", "id": 1, **call(title="t", message="m")["message"]}).encode()
    answers = [await tools.answer(raw) for _ in range(101)]
    assert len(person.heard) == 100
    assert answers[-1].body is not None
    assert "too often" in answers[-1].body["error"]["message"]


async def request(port: int, token: str) -> str:
    """Return the first line of the answer; "" if there is none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}'
    writer.write(
        b"POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        + f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    try:
        answer = await reader.read()
    except ConnectionResetError as error:
        return type(error).__name__
    finally:
        writer.close()
    return answer.split(b"\r\n")[0].decode()


async def test_token_opens_the_tools_of_its_own_run_only_and_while_it_runs(person: Person) -> None:
    tools = Tools(person.notify, person.report, str)
    async with serve_tools(tools, "first-token") as first:
        async with serve_tools(tools, "second-token") as second:
            assert await request(first, "first-token") == "HTTP/1.1 200 "
            assert await request(second, "second-token") == "HTTP/1.1 200 "
            assert await request(first, "second-token") == "HTTP/1.1 401 "
        with pytest.raises(ConnectionRefusedError):
            await request(second, "second-token")


async def closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Read to the end of a connection."""
    with suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
    return True


async def test_silent_connections_block_no_call_and_end_with_the_server(person: Person) -> None:
    """Any process of the machine can open some: sixteen kept the agent from its tools for twenty seconds."""
    async with serve_tools(Tools(person.notify, person.report, str), "token") as server:
        silent = [await asyncio.open_connection("127.0.0.1", server) for _ in range(80)]
        assert await request(server, "token") == "HTTP/1.1 200 "
        assert await request(server, "wrong") == "HTTP/1.1 401 "
        # The oldest made place for the newest.
        assert all([await closed(*each) for each in silent[:16]])
    assert all([await closed(*each) for each in silent[16:]])


async def test_connection_without_the_token_ends_soon(person: Person) -> None:
    async with serve_tools(Tools(person.notify, person.report, str), "token", stranger_seconds=0.2) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server)
        assert await closed(reader, writer)
        # The head counts, and what is refused.
        reader, writer = await asyncio.open_connection("127.0.0.1", server)
        writer.write(
            b"POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nAuthorization: Bearer wrong\r\n\r\n"
        )
        assert await closed(reader, writer)


async def test_calls_at_a_time_are_bounded_for_the_holder_of_the_token(person: Person) -> None:
    head = (
        b"POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer token\r\n"
    )
    async with serve_tools(Tools(person.notify, person.report, str), "token", stranger_seconds=60) as server:

        async def is_answered(status: int) -> bool:
            return await request(server, "token") == f"HTTP/1.1 {status} "

        waiting = [await asyncio.open_connection("127.0.0.1", server) for _ in range(16)]
        for _, writer in waiting:
            writer.write(head + b"Content-Length: 9\r\n\r\n")
        await eventually(lambda: is_answered(429))
        for _, writer in waiting:
            writer.close()
        await eventually(lambda: is_answered(200))
