"""The files a run was given: where the agent finds them, and how it is told."""

import json
import os
import sys
from pathlib import Path

from app.agents.catalog import load_catalog
from app.agents.files import Attachment
from app.enums import SandboxKind
from tests.agents.conftest import Runner, find_sandbox

SCRIPT = Path(__file__).with_name("scripted_agent.py")


async def test_agent_is_told_of_its_files_as_resource_links(runner: Runner, tmp_path: Path) -> None:
    given = tmp_path / "given.txt"
    given.write_text("hello")
    attachment = Attachment(id="a1", name="note 1.txt", content_type="text/plain", size=5, path=given)
    program = tmp_path / "bin" / "codex-acp"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nexec {sys.executable} {SCRIPT} echo\n")
    program.chmod(0o755)

    outcome = await runner.run(
        "Read it.",
        adapter=load_catalog().find("codex"),
        environment=os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"},
        sandbox=await find_sandbox(SandboxKind.NONE),
        attachments=(attachment,),
    )

    prompt = json.loads(outcome.done.summary)
    [link] = [block for block in prompt if block["type"] == "resource_link"]
    assert link["uri"].startswith("file:///")
    assert link["uri"].endswith("/.taskbeacon/attachments/a1/note%201.txt")
    assert (link["name"], link["mimeType"], link["size"]) == ("note 1.txt", "text/plain", 5)
    assert prompt[0] == {"type": "text", "text": "Read it."}
