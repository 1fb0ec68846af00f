"""The files of a run: where the agent finds them, and how it learns of them."""

import json
from pathlib import Path

from app.agents.files.attachments import Attachment
from tests.agents.conftest import Runner, scripted_adapter


async def test_agent_gets_its_files_as_resource_links(runner: Runner, tmp_path: Path) -> None:
    given = tmp_path / "given.txt"
    given.write_text("hello")
    attachment = Attachment(id="a1", name="note 1.txt", content_type="text/plain", size=5, path=given)

    outcome = await runner.run(
        "Read it.",
        adapter=scripted_adapter("echo"),
        attachments=(attachment,),
    )

    prompt = json.loads(outcome.done.summary)
    [link] = [block for block in prompt if block["type"] == "resource_link"]
    assert link["uri"].startswith("file:///")
    assert link["uri"].endswith("/.taskbeacon/attachments/a1/note%201.txt")
    assert (link["name"], link["mimeType"], link["size"]) == ("note 1.txt", "text/plain", 5)
    assert prompt[0] == {"type": "text", "text": "Read it."}
