"""Live diffs of what hostile agents leave, from a worker through the API to a client (K.6 of the console's review)."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.fixtures.worker import Repositories, Workshop
from tests.support.assertions import concerning
from tests.support.stand_ins.git_origins import Submodule
from tests.support.waiting import eventually
from tests.worker.pilot import Pilot

pytestmark = pytest.mark.usefixtures("woken")
JSON = dict[str, Any]
ASK = "```ask options=go\nReady?\n```"


async def started(
    workshop: Workshop, repositories: Repositories, *scripts: str
) -> tuple[Pilot, asyncio.Task[None]]:
    repositories.create("acme/app", {"tracked.txt": "one\n", "pipe.txt": "old\n", "sub": Submodule("1" * 40)})
    steps = "\n".join(f"```sh\n{script}\n```\n{ASK}" for script in scripts)
    run = await workshop.queued_run(steps, state={"mode": "interactive"}, repository="acme/app")
    pilot = Pilot(workshop, run)
    return pilot, pilot.start()


async def finish(pilot: Pilot, job: asyncio.Task[None]) -> None:
    await pilot.until_waiting_for("permission")
    await pilot.answer("go")
    await pilot.until_waiting_for("message")
    await pilot.send("close")
    await job


# As `printf` writes them, and as clients get them.
NAMES = {
    r"\033]0;owned\007": "\x1b]0;owned\x07",
    r"\342\200\256gpj.exe": "\u202egpj.exe",
    r"line\nbreak": "line\nbreak",
    r"diff --git a\tb": "diff --git a\tb",
    r"<img src=x onerror=alert(1)>": "<img src=x onerror=alert(1)>",
    r'"quoted\\"': '"quoted\\"',
    r"not-utf8-\377": "not-utf8-\ufffd",
    r"-rf": "-rf",
    "long-" + "n" * 240: "long-" + "n" * 240,
}


async def test_hostile_names_and_contents_are_shown_and_do_nothing(
    workshop: Workshop,
    repositories: Repositories,
    watcher: httpx.AsyncClient,
) -> None:
    made = "\n".join(f"printf x > ./\"$(printf -- '{name}')\"" for name in NAMES)
    pilot, job = await started(
        workshop,
        repositories,
        f"{made}\nhead -c 1000000 /dev/zero | tr '\\0' a > wide; echo >> wide; printf 'a\\0b' > nul\n"
        r"printf 'if admin:\342\200\256 } \342\201\246// check\n' > bidi.py; printf '@@ -1 +1 @@\r\n\033[2J\n' > tracked.txt",
    )
    await pilot.until_waiting_for("permission")
    url = pilot.url

    answer = await watcher.get(f"{url}/diff?source=live")

    shown: JSON = answer.json()
    rows = {row["path"]: row for row in shown["files"]}
    assert (shown["missing"], shown["left_out"], shown["next"]) == (None, [], None)
    assert set(rows) == {*NAMES.values(), "wide", "nul", "bidi.py", "tracked.txt"}
    for name in NAMES.values():
        with concerning(name):
            row = rows[name]
            assert (row["status"], row["additions"], row["binary"]) == ("A", 1, False)
            assert row["patch"].endswith("+x\n\\ No newline at end of file\n")
    assert (rows["wide"]["truncated"], rows["wide"]["additions"]) == (True, 1)
    assert len(rows["wide"]["patch"]) < 300_000
    assert (rows["nul"]["binary"], rows["nul"]["new_size"]) == (True, 3)
    assert "+if admin:\u202e } \u2066// check\n" in rows["bidi.py"]["patch"]
    assert rows["tracked.txt"]["patch"].endswith("-one\n+@@ -1 +1 @@\r\n+\x1b[2J\n")
    assert answer.headers["content-type"] == "application/json"
    await finish(pilot, job)
    stored: JSON = (await watcher.get(f"{url}/diff")).json()
    assert {row["path"] for row in stored["files"]} == set(rows)
    assert stored["totals"] == shown["totals"]


WRITE = "mkdir w; i=0; while [ ! -e stop ]; do i=$((i+1)); echo $i > w/$((i%50)); done\n"
# What git of a repository, or of one below it, could execute.
LAID = """\
printf '#!/bin/sh\\ntouch "$TMPDIR/ran"; cat' > $TMPDIR/trap; chmod +x $TMPDIR/trap
echo '* filter=x diff=x' > .gitattributes
for key in filter.x.clean filter.x.smudge filter.x.process diff.x.command diff.x.textconv core.fsmonitor diff.external; do
    git config $key $TMPDIR/trap
done
mkdir hooks; for hook in post-index-change pre-commit reference-transaction; do cp $TMPDIR/trap hooks/$hook; done
git config core.hooksPath $PWD/hooks
for repository in below sub; do
    git init -q $repository; git -C $repository -c user.name=a -c user.email=a@b commit -q --allow-empty -m one
    git -C $repository config core.fsmonitor $TMPDIR/trap
done
git status >/dev/null; [ -e $TMPDIR/ran ] || exit 1
rm $TMPDIR/ran
mkfifo pipe; rm pipe.txt; mkfifo pipe.txt; truncate -s 2G huge; echo more >> tracked.txt
"""


async def test_diff_of_a_hostile_repository_is_bounded_while_its_agent_writes(
    workshop: Workshop,
    repositories: Repositories,
    watcher: httpx.AsyncClient,
) -> None:
    pilot, job = await started(workshop, repositories, LAID + WRITE + "rm -r w huge")

    async def is_writing() -> bool:
        return any(workshop.context.process.settings.workspaces_path.glob("*/work/w/1"))

    await eventually(is_writing)
    (work,) = workshop.context.process.settings.workspaces_path.glob("*/work")
    for base in ("start", "branch"):
        shown: JSON = (await watcher.get(f"{pilot.url}/diff?source=live&base={base}")).json()

        rows = {row["path"]: row for row in shown["files"]}
        with concerning(base):
            assert shown["missing"] is None
            assert (rows["huge"]["binary"], rows["huge"]["truncated"]) == (True, True)
            assert rows["huge"]["new_size"] == 2**31
            assert (rows["tracked.txt"]["additions"], rows["tracked.txt"]["deletions"]) == (1, 0)
            assert "-Subproject commit 1111" in rows["sub"]["patch"]
            assert rows["w/1"]["status"] == "A"
            assert {"pipe", "pipe.txt"}.isdisjoint(rows)
            assert sorted(shown["left_out"]) == [
                "below/ is a repository of its own.",
                "pipe.txt is no file any more.",
            ]
    assert not (work.parent / "tmp/ran").exists(), "git has executed a program of the agent"
    (work / "stop").touch()
    await finish(pilot, job)


async def test_pipe_that_git_would_wait_for_is_named_at_once(
    workshop: Workshop, repositories: Repositories, watcher: httpx.AsyncClient
) -> None:
    pilot, job = await started(workshop, repositories, "mkdir -p a/b; mkfifo a/b/.gitattributes")
    await pilot.until_waiting_for("permission")

    shown: JSON = (await watcher.get(f"{pilot.url}/diff?source=live")).json()

    assert (shown["missing"], shown["files"], shown["tree"], shown["totals"]) == ("failed", [], None, None)
    reason = "git cannot read ./a/b/.gitattributes: it is a named pipe."
    assert shown["left_out"] == [f"The files cannot be compared: {reason}"]
    await finish(pilot, job)
