"""The shell snippets of README.md and docs/guide, in the order in which a reader pastes them."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.devstack.launchers import clean_environment

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/guide"
PAGES = [
    ROOT / "README.md",
    *(
        GUIDE / name
        for name in dict.fromkeys(re.findall(r"\]\(([\w-]+\.md)\)", (GUIDE / "index.md").read_text()))
    ),
]
# A shim that looks for a Python to start takes longer than what the snippets ask of it.
_PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
# A fence that is marked `sh no-run` is left out.
_SNIPPET = re.compile(r"^( *)(`{3,})sh\n(.*?)^\1\2$", re.MULTILINE | re.DOTALL)
_SHOWN = ("Hello from an agent", "Be friendly.", "+Be friendly.", '"last_accepted_seq":1', "accepted", "phx_")


def snippets(page: Path) -> str:
    """Return the script of a page, "" if it has none."""
    return "".join(script for _, _, script in _SNIPPET.findall(page.read_text()))


def run_snippets(home: Path, export: str) -> None:
    """Paste all snippets in one shell against the stack in `home`, then without a stack, and with a wrong key.

    `export` is the line for README.md that the launcher has printed.
    """
    script = "".join([f"{export}\n", *map(snippets, PAGES)])

    pasted = _paste(script, "-euo", "pipefail", home=home)

    assert (pasted.returncode, pasted.stderr) == (0, ""), pasted.stdout
    for text in _SHOWN:
        assert text in pasted.stdout, pasted.stdout
    # Without `taskbeacon try` at the end of the page, which takes its key from the stack and not from the shell.
    first_steps = snippets(GUIDE / "getting-started.md").partition("git init")[0]
    alone = _paste(first_steps, home=home / "nothing")
    refused = _paste(first_steps.replace("KEY=$(", "KEY=x$("), home=home)
    assert "no id in the answer" in alone.stderr
    assert "Personal API key found in request Authorization header is invalid." in refused.stderr
    assert "Traceback" not in alone.stderr + refused.stderr


def _paste(script: str, *options: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", *options, "-c", script],
        cwd=ROOT,
        env=clean_environment(TASKBEACON_HOME=str(home), PATH=_PATH),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
