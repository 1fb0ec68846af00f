"""The tool by which an agent says what its work has achieved (contract 18.6)."""

import json
from typing import Any

from app.agents.tools.mcp_protocol import Tools
from tests.agents.conftest import Runner, scripted_adapter
from tests.agents.tools.test_server import Person
from tests.support.assertions import concerning

JSON = dict[str, Any]
STATED: JSON = {"statement": "All tests pass.", "kind": "tests_pass"}
FAULTS: tuple[tuple[Any, str], ...] = (
    ({}, "claims"),
    ({"claims": "x"}, "claims"),
    ({"claims": [STATED] * 21}, "claims"),
    ({"claims": [{"kind": "other"}]}, "claims.0.statement"),
    ({"claims": [{**STATED, "statement": " "}]}, "claims.0.statement"),
    ({"claims": [{**STATED, "statement": "x" * 201}]}, "claims.0.statement"),
    ({"claims": [{**STATED, "kind": "perfect"}]}, "claims.0.kind"),
    ({"claims": [{**STATED, "command": "pytest"}]}, "claims.0.command"),
    ({"claims": [{**STATED, "path": ""}]}, "claims.0.path"),
    ({"claims": [{**STATED, "sure": True}]}, "claims.0.sure"),
    ({"claims": [{**STATED, "statement": "\u200b"}]}, "a statement"),
)


def call(arguments: Any) -> JSON:
    return {"method": "tools/call", "params": {"name": "report_result", "arguments": arguments}}


async def report(tools: Tools, arguments: Any) -> JSON:
    answer = await tools.answer(json.dumps({"jsonrpc": "2.0", "id": 1, **call(arguments)}).encode())
    assert answer.body is not None
    result: JSON = answer.body["result"]
    return result


async def test_last_report_counts_and_secrets_are_masked() -> None:
    person = Person()
    tools = Tools(person.notify, person.report, lambda text: text.replace("hunter2", "***"))
    assert (await report(tools, {"claims": [STATED]}))["structuredContent"] == {"claims": 1}
    last = {"statement": "hunter2\nis gone", "kind": "file_written", "path": "hunter2.txt"}
    shows = {**STATED, "check": "tests", "command": ["pytest", "-k", "hunter2"]}
    assert (await report(tools, {"claims": [last, shows]}))["structuredContent"] == {"claims": 2}
    assert person.claims == (
        {**last, "statement": "*** is gone", "path": "***.txt", "check": None, "command": None},
        {**shows, "command": ["pytest", "-k", "***"], "path": None},
    )
    assert (await report(tools, {"claims": []}))["structuredContent"] == {"claims": 0}
    assert len(person.claims) == 0


async def test_fault_is_named_and_changes_nothing() -> None:
    person = Person()
    tools = Tools(person.notify, person.report, str)
    _ = await report(tools, {"claims": [STATED]})
    for arguments, place in FAULTS:
        result = await report(tools, arguments)
        with concerning(arguments):
            assert result["isError"] is True
            assert result["content"][0]["text"].startswith(place)
    assert len(person.claims) == 1


async def test_claims_of_an_agent_are_part_of_its_result(runner: Runner) -> None:
    outcome = await runner.run(
        json.dumps([{"message": call({"claims": [STATED]})}]),
        adapter=scripted_adapter("use_tools"),
        notify_user=Person().notify,
        may_notify=True,
    )
    assert outcome.done
    assert [claim["statement"] for claim in outcome.done.claims] == ["All tests pass."]
