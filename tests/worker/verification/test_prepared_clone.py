"""The agent works in a clone that is set up as those in which its work is checked (contract 18.3)."""

from dataclasses import replace
from typing import Any

from app.agents.sandbox.policy import SandboxPolicy
from app.agents.sandbox.probing import probe
from app.clients.storage.storage_keys import RunRef
from app.enums import SandboxKind
from tests.agents.check_execution.test_commit_verification import SERVER
from tests.fixtures.worker import Repositories, Workshop
from tests.worker.verification.test_verification_executor import define, perform, shown, verify

_NAME = "acme/shop"


async def deliver(workshop: Workshop, work: str, **task: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Have an agent do this, and its work checked; return the output and the verification of the run."""
    run = await workshop.queued_run(f"```sh\n{work}\n```", repository=_NAME, **task)
    await perform(workshop, run)
    await verify(workshop)
    ended = await workshop.read(run)
    assert ended.output is not None, ended.error_message
    return ended.output, shown(ended)


async def test_agent_finds_what_set_up_has_made_and_delivers_none_of_it(
    workshop: Workshop, repositories: Repositories
) -> None:
    repositories.create(_NAME, {"README.md": "before\n", "gone.txt": "", "server.py": SERVER})
    ask = ["python3", "server.py", "ask"]
    await define(
        workshop,
        setup=[
            {
                "shell": "echo changed >README.md; rm gone.txt; mkdir -p deps; echo made >deps/tool; echo 1 >'left over'"
            },
            {"run": ["python3", "server.py"], "background": True, "ready": ask},
        ],
        checks=[
            {
                "id": "seen",
                "shell": "cat deps/tool seen.txt; python3 server.py ask",
            }
        ],
    )

    output, verification = await deliver(
        workshop,
        "ls gone.txt; cat README.md deps/tool >seen.txt; python3 server.py ask >>seen.txt\n"
        "echo 2 >>'left over'; echo own >deps/own.txt",
    )

    assert sorted(output["files_changed"]) == ["deps/own.txt", "seen.txt"]
    assert repositories.show(_NAME, f"{output['head_branch']}:seen.txt") == "before\nmade\nserved\n"
    assert verification["verdict"] == "verified", verification


async def test_log_says_what_the_sandbox_cannot_hold_of_checks(
    workshop: Workshop, repositories: Repositories
) -> None:
    """Regression: only the answer to who had defined them did."""
    repositories.create(_NAME, {"README.md": "before\n"})
    await define(workshop, checks=[{"id": "tests", "run": ["test", "-f", "README.md"]}])
    landlock = await probe(SandboxPolicy(kind=SandboxKind.LANDLOCK, accepts_root=True))
    for sandbox, count in ((workshop.context.sandbox, 0), (landlock, 1)):
        shop = replace(workshop, context=replace(workshop.context, sandbox=sandbox))
        run = await shop.queued_run("```sh\necho after >README.md\n```", repository=_NAME)
        await perform(shop, run)
        log = await shop.stored(RunRef(run.project_id, run.task_id, run.id).log_key)
        assert log.count("'landlock' cannot tell hosts apart (TASKBEACON_AGENT_SANDBOX)") == count
        await verify(shop)


async def test_tool_that_knows_its_own_path_works_in_every_clone(
    workshop: Workshop, repositories: Repositories
) -> None:
    repositories.create(_NAME, {"README.md": "before\n", "lock": "1\n"})
    tool = "#!/bin/sh\\nexec cat %s/.venv/lib\\n"
    makes = f"mkdir -p .venv/bin; echo 1 >.venv/lib; printf '{tool}' \"$PWD\" >.venv/bin/tool; chmod +x .venv/bin/tool"
    step = {"shell": makes, "cache": [".venv"], "cache_key": ["lock"]}
    await define(workshop, setup=[step], checks=[{"id": "tool", "run": [".venv/bin/tool"]}])

    for _ in range(2):
        output, verification = await deliver(workshop, ".venv/bin/tool >seen.txt")

        assert output["files_changed"] == ["seen.txt"]
        assert repositories.show(_NAME, f"{output['head_branch']}:seen.txt") == "1\n"
        assert verification["verdict"] == "verified", verification
        # Kept by the set-up for the agent, where every clone is at one path.
        is_kept = workshop.context.sandbox.has_fixed_paths
        assert [step["status"] for step in verification["setup"]] == ["cached" if is_kept else "ok"]
