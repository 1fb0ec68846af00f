"""Runs from clone to pushed branch, with the runbook agent over the real protocol in the real sandbox."""

import asyncio
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.agents.adapters.adapter import (
    Adapter,
    AgentOptions,
    FailureMark,
    HomeFile,
    ModeRule,
    WorkspaceAccess,
)
from app.agents.adapters.catalog import load_catalog
from app.agents.errors import (
    AgentCrashed,
    AgentFailed,
    AgentNotInstalled,
    AgentStepFailed,
    AgentTimedOut,
    OutputInvalid,
    SandboxUnavailable,
    UnexpectedError,
)
from app.agents.execution.run_context import RunEffects
from app.agents.execution.run_steps import perform
from app.enums import SandboxKind
from tests.agents.conftest import (
    PUSH_BRANCH,
    GitFolder,
    NoCommands,
    Runner,
    eventually,
    find_sandbox,
    make_origin,
    scripted_adapter,
)
from tests.support.clock import let_time_pass
from tests.support.marked import processes_with
from tests.support.stand_ins.git_origins import Commit, Submodule, write_origin


async def test_work_arrives_on_a_new_branch(runner: Runner, origin: GitFolder) -> None:
    main = origin.git("rev-parse", "main")

    outcome = await runner.run(
        "Change it.\n```sh\necho more >> file0.txt\n```\n```file path=docs/x.md\n# X\n```"
    )

    done = outcome.done
    assert done.head_branch == PUSH_BRANCH
    assert origin.branches() == ["main", PUSH_BRANCH]
    assert origin.git("rev-parse", PUSH_BRANCH) == done.head_sha
    assert origin.git("rev-parse", "main") == main == origin.git("rev-parse", f"{PUSH_BRANCH}~1")
    assert done.files_changed == ["docs/x.md", "file0.txt"]
    assert origin.git("show", f"{PUSH_BRANCH}:docs/x.md") == "# X"
    assert origin.git("log", "-1", "--format=%an <%ae>|%s", PUSH_BRANCH) == (
        "Taskbeacon <taskbeacon@users.noreply.localhost>|Do the thing"
    )
    assert outcome.steps() == ["clone", "network", "agent", "collect", "push"]


async def test_patch_applies_to_the_base(runner: Runner, origin: GitFolder, tmp_path: Path) -> None:
    outcome = await runner.run(
        "```python\nimport pathlib\npathlib.Path('blob').write_bytes(bytes(range(256)))\n"
        "pathlib.Path('file1.txt').unlink()\n```"
    )
    (tmp_path / "changes.patch").write_bytes(outcome.done.patch)
    origin.git("clone", "--quiet", "--branch=main", origin.url, str(tmp_path / "again"))
    again = GitFolder(tmp_path / "again")

    again.git("apply", "--index", str(tmp_path / "changes.patch"))

    assert again.git("write-tree") == origin.git("rev-parse", f"{PUSH_BRANCH}^{{tree}}")


async def test_commits_of_the_agent_are_kept_and_the_rest_is_committed(
    runner: Runner, origin: GitFolder
) -> None:
    await runner.run(
        "```sh\necho a > a.txt\ngit add a.txt\ngit commit --quiet --message 'By the agent'\necho b > b.txt\n```"
    )

    assert origin.git("log", "--format=%s", f"main..{PUSH_BRANCH}").splitlines() == [
        "Do the thing",
        "By the agent",
    ]


async def test_nothing_changed_pushes_nothing(runner: Runner, origin: GitFolder) -> None:
    outcome = await runner.run("```sh\ntrue\n```")

    assert (outcome.done.head_branch, outcome.done.head_sha, outcome.done.files_changed) == (None, None, [])
    assert outcome.done.patch == b""
    assert origin.branches() == ["main"]
    assert outcome.steps() == ["clone", "network", "agent", "collect"]


async def test_base_branch_is_honoured(runner: Runner, origin: GitFolder) -> None:
    origin.git("branch", "release/1", "main~1")

    outcome = await runner.run("```sh\nls\necho x > x\n```", base_branch="release/1")

    assert origin.git("rev-parse", f"{PUSH_BRANCH}~1") == origin.git("rev-parse", "main~1")
    assert outcome.done.files_changed == ["x"]


@pytest.mark.parametrize(("depth", "visible"), [(2, "2"), (0, "3")])
async def test_history_is_as_deep_as_asked_for(runner: Runner, depth: int, visible: str) -> None:
    outcome = await runner.run(
        "```python\nimport subprocess\nn = subprocess.check_output(['git', 'rev-list', '--count', 'HEAD'], text=True)\n"
        "open('.taskbeacon/output.json', 'w').write(n)\nopen('n', 'w').write(n)\n```",
        clone_depth=depth,
    )

    assert outcome.done.structured == int(visible)
    assert outcome.done.head_branch == PUSH_BRANCH


async def test_empty_repository_when_there_is_no_remote(runner: Runner) -> None:
    outcome = await runner.run("```sh\necho hello > hello.txt\n```", clone_url=None)

    assert outcome.done.files_changed == ["hello.txt"]
    assert b"+hello" in outcome.done.patch
    assert (outcome.done.head_branch, outcome.done.head_sha) == (None, None)


async def test_empty_remote_gets_its_first_commit_on_the_new_branch(runner: Runner, tmp_path: Path) -> None:
    empty = make_origin(tmp_path / "empty", {})

    outcome = await runner.run("```sh\necho hello > hello.txt\n```", clone_url=empty.url)

    assert outcome.done.head_branch == PUSH_BRANCH
    assert empty.branches() == [PUSH_BRANCH]
    assert empty.git("rev-list", "--count", PUSH_BRANCH) == "1"


async def test_own_folder_is_never_committed(runner: Runner) -> None:
    outcome = await runner.run(
        "```sh\nls -d .taskbeacon/*\necho 1 > .taskbeacon/note\ngit add -A\necho x > x\n```"
    )

    assert outcome.done.files_changed == ["x"]
    assert "attachments" in json.dumps(outcome.entries)


@pytest.mark.parametrize("rule", [".taskbeacon/", "!.taskbeacon/\n!.taskbeacon/**"])
async def test_own_folder_is_left_out_whatever_the_repository_ignores(
    runner: Runner, tmp_path: Path, rule: str
) -> None:
    """Files of an ignored folder were once reported as files that could not be added."""
    origin = make_origin(tmp_path / "ignoring", {".gitignore": rule + "\n"})

    outcome = await runner.run("```sh\necho 1 > .taskbeacon/note\necho x > x\n```", clone_url=origin.url)

    assert outcome.done.files_changed == ["x"]
    assert "taken along" not in json.dumps(outcome.entries)


async def test_checks_file_is_work_like_any_other(runner: Runner) -> None:
    """Regression: what an agent did to it was dropped, with the rest of the folder."""
    file = ".taskbeacon/checks.toml"
    outcome = await runner.run(f"```sh\necho 1 > {file}\necho 1 > .taskbeacon/note\n```")

    assert outcome.done.files_changed == [file]


@pytest.mark.parametrize("value", ['{"a": [1, null]}', "null"])
async def test_structured_output_is_what_the_agent_gave(runner: Runner, value: str) -> None:
    outcome = await runner.run(f"```json output\n{value}\n```", json_schema=True)

    assert outcome.done.structured == json.loads(value)


SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("prompt", "schema", "message"),
    [
        ("```sh\necho x > x\n```", SCHEMA, "gave no structured output"),
        ('```json output\n{"n": "1"}\n```', SCHEMA, r"'1' is not of type 'integer' \(at \$\.n\)"),
        (
            "```sh\necho x > x\n```",
            {"type": "foo"},
            r"not a valid schema: 'foo' is not valid .* \(at \$\.type\)",
        ),
        ("```sh\nmkfifo .taskbeacon/output.json\n```", SCHEMA, "not a regular file"),
    ],
)
async def test_output_that_does_not_fit_fails_the_run(
    runner: Runner, origin: GitFolder, prompt: str, schema: Any, message: str
) -> None:
    outcome = await runner.run(f"```sh\necho kept > kept\n```\n{prompt}", json_schema=schema)

    assert isinstance(outcome.failed, OutputInvalid)
    assert outcome.failed.partial is not None
    assert "kept" in outcome.failed.partial.files_changed
    assert origin.branches() == ["main"]
    with pytest.raises(OutputInvalid, match=message):
        raise outcome.failed


async def test_check_of_an_output_that_does_not_end_is_ended(runner: Runner, origin: GitFolder) -> None:
    """A pattern may keep a process busy for years, so that only its end helps."""
    prompt = '```sh\necho kept > kept\n```\n```json output\n"' + "a" * 40 + '!"\n```'
    outcome = await runner.run(prompt, json_schema={"pattern": "^(a+)+$"}, check_seconds=1.5)

    assert isinstance(outcome.failed, OutputInvalid)
    assert outcome.failed.message.endswith("took over 1.5 s.")
    assert outcome.failed.partial is not None
    assert "kept" in outcome.failed.partial.files_changed
    assert origin.branches() == ["main"]


async def test_output_that_does_not_fit_is_corrected_in_one_more_turn(runner: Runner) -> None:
    outcome = await runner.run('{"n": "1"}', json_schema=SCHEMA, adapter=scripted_adapter("output"))

    assert outcome.done.structured == {"n": 1}
    first, second = (update["content"]["text"] for update in outcome.updates("agent_message"))
    assert first == '{"n": "1"}'
    assert second.startswith(
        "The structured output does not match the task's JSON schema: '1' is not of type 'integer' (at $.n) Write "
        "the file .taskbeacon/output.json in the workspace again"
    )


async def test_agent_has_one_more_turn_for_its_output_and_no_third(runner: Runner) -> None:
    outcome = await runner.run("Say it.", json_schema=SCHEMA, adapter=scripted_adapter("echo"))

    assert isinstance(outcome.failed, OutputInvalid)
    assert len(outcome.updates("agent_message")) == 2
    assert "gave no structured output. The agent gets one more turn." in json.dumps(outcome.entries)


async def test_failing_step_fails_the_run_with_its_last_lines(runner: Runner, origin: GitFolder) -> None:
    outcome = await runner.run(
        "```sh\necho kept > kept\n```\ntext\n```sh\necho first\necho the reason >&2\nfalse\necho unreachable\n```\n"
        "```sh\necho unreachable > never\n```"
    )

    failed = outcome.failed
    assert isinstance(failed, AgentStepFailed)
    assert (
        failed.message
        == "Step 2 of 3 (sh, line 5) ended with exit status 1. Its last lines:\nfirst\nthe reason"
    )
    assert failed.partial is not None
    assert failed.partial.files_changed == ["kept"]
    assert b"+kept" in failed.partial.patch
    assert origin.branches() == ["main"]


async def test_failing_step_that_printed_nothing_quotes_no_line(runner: Runner) -> None:
    outcome = await runner.run("```sh\nfalse\n```")

    assert outcome.failed is not None
    # Regression: "it said nothing" stood where the printed lines do.
    assert outcome.failed.message == (
        "Step 1 of 1 (sh, line 1) ended with exit status 1. It printed nothing."
    )


async def test_step_that_may_fail_does_not_end_the_run(runner: Runner) -> None:
    outcome = await runner.run("```sh allow-failure\nexit 7\n```\n```sh\necho x > x\n```")

    assert outcome.done.files_changed == ["x"]
    assert outcome.done.summary == "Done: 2 steps, 1 of them failed as allowed."
    assert [update["status"] for update in outcome.updates("tool_call_update")] == ["failed", "completed"]


async def test_step_with_a_timeout_is_ended(runner: Runner) -> None:
    outcome = await runner.run("```sh timeout=3\necho started\nsleep 60 & sleep 60\n```")

    assert isinstance(outcome.failed, AgentStepFailed)
    assert outcome.failed.message == "Step 1 of 1 (sh, line 1) took too long. Its last lines:\nstarted"


async def test_python_imports_from_the_workspace(runner: Runner, origin: GitFolder) -> None:
    outcome = await runner.run(
        "```file path=app/__init__.py\nANSWER = 42\n```\n```python\nimport app\nopen('a', 'w').write(str(app.ANSWER))\n```"
    )

    assert outcome.done.files_changed == ["a", "app/__init__.py"]
    assert origin.git("show", f"{PUSH_BRANCH}:a") == "42"


async def test_patch_step_applies_and_a_bad_one_fails(runner: Runner, origin: GitFolder) -> None:
    patch = "```patch\n--- a/file0.txt\n+++ b/file0.txt\n@@ -1 +1 @@\n-content 0\n+changed\n```"

    await runner.run(patch)
    again = await runner.run(patch + "\n" + patch)

    assert origin.git("show", f"{PUSH_BRANCH}:file0.txt") == "changed"
    assert isinstance(again.failed, AgentStepFailed)
    assert "patch does not apply" in again.failed.message


@pytest.mark.parametrize("path", ["a/../../out.txt", "link/out.txt"])
async def test_file_outside_the_workspace_is_refused(runner: Runner, path: str) -> None:
    outcome = await runner.run(f"```sh\nln -s .. link\n```\n```file path={path}\nx\n```")

    assert isinstance(outcome.failed, AgentStepFailed)
    assert "leads out of the workspace" in outcome.failed.message


async def test_ask_continues_with_an_allowing_answer(runner: Runner, origin: GitFolder) -> None:
    await runner.run("```ask options=no,yes\nSure?\n```\n```sh\necho $TASKBEACON_ANSWER > answer\n```")

    assert origin.git("show", f"{PUSH_BRANCH}:answer") == "yes"


async def test_ask_without_an_allowing_answer_fails(runner: Runner) -> None:
    outcome = await runner.run("```ask options=no,never\nSure?\n```")

    assert isinstance(outcome.failed, AgentStepFailed)
    assert outcome.failed.message == "Step 1 of 1 (ask, line 1) got no answer to: Sure?"
    assert "No answer was given." in json.dumps(outcome.entries)


async def test_what_the_agent_says_is_logged_in_pieces_and_whole(runner: Runner) -> None:
    outcome = await runner.run("```say\nHello.\n```\n```say\nGood\nbye.\n```")

    assert [update["content"]["text"] for update in outcome.updates("agent_message_chunk")] == [
        "Hello.",
        "Good\nbye.",
    ]
    assert [update["content"]["text"] for update in outcome.updates("agent_message")] == [
        "Hello.",
        "Good\nbye.",
    ]
    assert outcome.done.summary == "Good\nbye."
    assert all(entry["type"] == "notification" for entry in outcome.entries)
    assert all(entry["notification"]["jsonrpc"] == "2.0" for entry in outcome.entries)
    assert all(entry["timestamp"].endswith("Z") for entry in outcome.entries)
    assert json.loads(json.dumps(outcome.entries)) == outcome.entries


async def test_output_is_streamed_and_kept_in_bounds(runner: Runner) -> None:
    outcome = await runner.run(
        "```sh\necho start\nsleep 0.5\nyes 0123456789 | head -c 3000000\necho end\n```"
    )

    *streamed, final = [
        update["content"][0]["content"]["text"] for update in outcome.updates("tool_call_update")
    ]
    assert streamed[0] == "start\n"
    assert sum(map(len, streamed)) <= 2**18
    assert final.startswith("start\n")
    assert final.endswith("end\n")
    assert "characters are left out" in final
    assert len(final) < 70_000


async def test_runbook_that_cannot_be_read_fails_before_anything_ran(runner: Runner) -> None:
    outcome = await runner.run("```sh\necho x > x\n```\n```sh\nnever closed")

    assert isinstance(outcome.failed, AgentFailed)
    assert "Line 4: the block that starts with ``` is never closed." in outcome.failed.message
    assert outcome.failed.partial is not None
    assert outcome.failed.partial.files_changed == []


async def test_death_of_an_agent_is_reported_with_its_exit_status(runner: Runner) -> None:
    outcome = await runner.run("```sh\necho kept > kept\nkill -KILL $PPID\nsleep 60\n```")

    assert isinstance(outcome.failed, AgentCrashed)
    assert "exit status 137" in outcome.failed.message
    assert outcome.failed.partial is not None
    assert outcome.failed.partial.files_changed == ["kept"]


async def test_missing_program_is_reported_with_instructions_to_install_it(runner: Runner) -> None:
    outcome = await runner.run(
        "Hello", adapter=load_catalog().find("claude"), environment={"PATH": "/nonexistent"}
    )

    assert isinstance(outcome.failed, AgentNotInstalled)
    assert "there is no program 'claude-agent-acp'. Install it on the worker with `make agents`" in (
        outcome.failed.message
    )


def with_read_only_mode() -> Adapter:
    rule = ModeRule(mode="any", workspace=WorkspaceAccess.READ_ONLY)
    return load_catalog().find("runbook").model_copy(update={"permission_modes": {"read-only": rule}})


async def test_read_only_mode_keeps_the_workspace_as_it_was(runner: Runner) -> None:
    outcome = await runner.run(
        "```sh allow-failure\necho x > file0.txt\n```\n```sh allow-failure\ntouch .git/x && echo broken\n```\n"
        "```sh\ncat file0.txt\ngit status --short\necho 1 > .taskbeacon/output.json\n```",
        adapter=with_read_only_mode(),
        options=AgentOptions(mode="read-only"),
    )

    assert outcome.done.structured == 1
    assert outcome.done.files_changed == []
    assert "Read-only file system" in json.dumps(outcome.entries)
    assert "broken" not in json.dumps(outcome.updates("tool_call_update"))


async def test_read_only_mode_needs_a_sandbox(runner: Runner) -> None:
    outcome = await runner.run(
        "```sh\necho x > x\n```",
        adapter=with_read_only_mode(),
        options=AgentOptions(mode="read-only"),
        sandbox=await find_sandbox(SandboxKind.NONE),
    )

    assert isinstance(outcome.failed, SandboxUnavailable)
    assert "permission mode 'read-only' of the agent 'runbook' needs a sandbox" in outcome.failed.message


async def test_home_files_and_settings_of_the_adapter_are_there(runner: Runner) -> None:
    file = HomeFile(path=".x/config", content='model = "${model}"\nkey = "${NOT_SET:-none}"\n')
    adapter = (
        load_catalog()
        .find("runbook")
        .model_copy(
            update={
                "files": (file,),
                "settings": {"A_MODEL": "${model}", "A_MODE": "${mode}"},
                "environment": ("SECRET_SAUCE",),
            }
        )
    )

    outcome = await runner.run(
        "```sh\ncat ~/.x/config > out\necho $A_MODEL ${A_MODE-unset} $SECRET_SAUCE >> out\n```",
        adapter=adapter,
        options=AgentOptions(model="m1"),
        environment=os.environ | {"SECRET_SAUCE": "basil", "OTHER": "hidden"},
    )

    assert b'+model = "m1"\n+key = "none"\n+m1 unset basil\n' in outcome.done.patch


@pytest.mark.parametrize(
    ("reported", "fails"), [("active systemError", True), ("systemError idle", False), ("", False)]
)
async def test_failure_in_the_metadata_of_an_update_fails_the_run(
    runner: Runner, reported: str, fails: bool
) -> None:
    mark = FailureMark(meta="codex.threadStatus.type", equals="systemError")

    outcome = await runner.run(reported, adapter=scripted_adapter("hidden_failure", failure_mark=mark))

    assert (outcome.error is not None) == fails
    if fails:
        assert outcome.failed.message == "The agent 'actor' could not go on: The model is away."


async def test_wall_clock_limit_ends_everything_and_keeps_the_work(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = f"86400.{abs(hash(tmp_path)) % 10**9}1"
    prompt = f"```sh\necho kept > kept\nsetsid sleep {marker} & sleep {marker}\n```"

    run = asyncio.create_task(runner.run(prompt, timeout=timedelta(minutes=4)))
    await eventually(lambda: len(processes_with(f"sleep\0{marker}")) == 2)
    let_time_pass(monkeypatch, minutes=4)
    outcome = await run

    assert isinstance(outcome.failed, AgentTimedOut)
    assert outcome.failed.message.startswith("The run took longer than its limit of ")
    assert outcome.failed.partial is not None
    assert outcome.failed.partial.files_changed == ["kept"]
    assert processes_with(marker) == []


async def test_cancelling_leaves_no_process_and_no_folder(runner: Runner, tmp_path: Path) -> None:
    marker = f"86400.{abs(hash(tmp_path)) % 10**9}2"
    context = runner.prepare(f"```sh\nsetsid sleep {marker} & sleep {marker}\n```")

    async def emit(_entry: dict[str, Any]) -> None:
        pass

    run = asyncio.create_task(perform(context, RunEffects(emit=emit, commands=NoCommands())))
    await eventually(lambda: len(processes_with(f"sleep\0{marker}")) == 2)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    assert processes_with(marker) == []
    assert list(context.files.workspaces.root.iterdir()) == []


async def test_log_that_cannot_be_written_ends_the_run_as_an_unexpected_error(runner: Runner) -> None:
    context = runner.prepare("```say\nHello.\n```")

    async def emit(entry: dict[str, Any]) -> None:
        if entry["notification"]["method"] == "session/update":
            raise ConnectionResetError("the log is gone")

    with pytest.raises(UnexpectedError):
        await perform(context, RunEffects(emit=emit, commands=NoCommands()))

    assert list(context.files.workspaces.root.iterdir()) == []


async def test_repeated_run_replaces_the_branch_of_its_earlier_attempt(
    runner: Runner, origin: GitFolder
) -> None:
    first = await runner.run("```sh\necho 1 > x\n```")
    second = await runner.run("```sh\necho 2 > x\n```")

    assert first.done.head_sha != second.done.head_sha == origin.git("rev-parse", PUSH_BRANCH)


async def test_agent_sees_nothing_of_the_workers_environment(runner: Runner) -> None:
    outcome = await runner.run(
        "```python\nimport json, os\njson.dump(dict(os.environ), open('.taskbeacon/output.json', 'w'))\n```",
        environment={**os.environ, "TASKBEACON_SECRET_KEYS": "s3cret", "AWS_SECRET_ACCESS_KEY": "s3cret"},
    )

    assert "s3cret" not in json.dumps(outcome.entries) + json.dumps(outcome.done.structured)
    assert isinstance(outcome.done.structured, dict)
    assert outcome.done.structured.keys() <= {
        *("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TERM", "HOME", "TMPDIR", "USER", "LOGNAME", "PWD"),
        *("PYTHONDONTWRITEBYTECODE",),
    }


@pytest.mark.parametrize("ending", ["", "; exit 3"])
async def test_secrets_of_the_agent_are_reported_nowhere(runner: Runner, tmp_path: Path, ending: str) -> None:
    """Variables of the run and of the agent's model, in every report; the patch stays as it is, or there is none."""
    adapter = load_catalog().find("runbook").model_copy(update={"environment": ("MODEL_KEY",)})
    outbox = tmp_path / "outbox"
    outbox.mkdir()
    outcome = await runner.run(
        'Go.\n```sh\nprintf \'{"%s": ["%s"]}\' $TOKEN $MODEL_KEY > .taskbeacon/output.json\n'
        f"touch $TOKEN .taskbeacon/artifacts/report-$TOKEN.txt; env; echo $TOKEN $MODEL_KEY{ending}\n```\n",
        adapter=adapter,
        environment=os.environ | {"MODEL_KEY": "sesame-of-the-model"},
        variables={"TOKEN": "sesame-of-the-run"},
        outbox=outbox,
    )

    assert [path.name for path in outbox.glob("*/*")] == ["report-***.txt"]
    result = outcome.result or outcome.failed.partial
    assert result is not None
    reported = json.dumps([outcome.entries, result.structured, result.summary, result.files_changed])
    assert "sesame" not in reported + (outcome.error.message if outcome.error else "")
    assert "MODEL_KEY=***" in reported, "or the agent did not get it"
    assert result.files_changed == ["***"]
    assert outcome.error is not None or result.structured == {"***": ["***"]}


async def test_files_of_git_lfs_stay_pointers_and_the_log_says_so(runner: Runner, tmp_path: Path) -> None:
    files = {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "a.bin": "a pointer\n"}
    outcome = await runner.run(
        "```sh\ngrep -q pointer a.bin\n```", clone_url=make_origin(tmp_path / "lfs", files).url
    )

    assert outcome.done
    assert "Files of Git LFS are left as pointers" in [
        entry["notification"]["params"].get("message") for entry in outcome.entries
    ]


async def test_submodules_stay_empty_with_their_commits_and_the_log_says_so(
    runner: Runner, tmp_path: Path
) -> None:
    origin = GitFolder(tmp_path / "origin")
    list_of_submodules = '[submodule "lib"]\n\tpath = lib\n\turl = ../lib\n'
    write_origin(
        origin.path, [Commit("All files", {".gitmodules": list_of_submodules, "lib": Submodule("a" * 40)})]
    )
    commit = "git -c user.name=A -c user.email=a@example.com commit --quiet --allow-empty --message x"

    outcome = await runner.run(
        f'```sh\n[ -z "$(ls -A lib)" ]; echo x > new.txt; git init -q lib; cd lib; {commit}\n```',
        clone_url=origin.url,
    )

    assert outcome.done.files_changed == ["new.txt"]
    assert origin.git("ls-tree", PUSH_BRANCH, "lib") == origin.git("ls-tree", "main", "lib")
    assert "Submodules are left empty" in [
        entry["notification"]["params"].get("message") for entry in outcome.entries
    ]
