"""Conversations that agents keep in their home, from one run to the next."""

import gzip
import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.agents.masking import Masker
from app.agents.workspace import kept_session
from app.agents.workspace.kept_session import KeptSession, SessionKeeper, pack, unpack
from tests.agents.conftest import Outcome, Runner, remembering_adapter

ADAPTER = remembering_adapter("load")
FOLDERS = ADAPTER.sessions
MEMORY = "Before: something was done."


def turns(outcome: Outcome) -> list[dict[str, Any]]:
    """Return the conversation that the agent remembers after its last turn."""
    return [json.loads(line) for line in outcome.done.summary.splitlines()]


class Chain:
    """Runs of one task, each of which takes up what the one before has kept."""

    def __init__(self, runner: Runner, file: Path) -> None:
        self._runner = runner
        self.file = file

    async def run(self, prompt: str, manner: str, **changes: Any) -> Outcome:
        kept = unpack(self.file.read_bytes()) if self.file.exists() else None
        self.file.unlink(missing_ok=True)
        fields = {"adapter": remembering_adapter(manner), "session": kept, "session_file": self.file}
        return await self._runner.run(prompt, **fields | changes)


@pytest.fixture
def chain(runner: Runner, tmp_path: Path) -> Chain:
    return Chain(runner, tmp_path / "session.json.gz")


@pytest.mark.parametrize("manner", ["load", "resume"])
async def test_conversation_is_gone_on_with_and_not_logged_twice(chain: Chain, manner: str) -> None:
    first = await chain.run("Begin.", manner)
    second = await chain.run("Begin.", manner, earlier_summary=MEMORY, follow_up="Go on.")
    third = await chain.run("Begin.", manner, earlier_summary=MEMORY, follow_up="And end.")

    assert [turn["prompt"] for turn in turns(first)] == [["Begin."]]
    assert [turn["prompt"] for turn in turns(second)] == [["Begin."], ["Go on."]]
    assert [turn["prompt"] for turn in turns(third)] == [["Begin."], ["Go on."], ["And end."]]
    for outcome in (second, third):
        assert len(outcome.updates("agent_message_chunk")) == 1
        assert "Once more" not in json.dumps(outcome.entries)
        assert "goes on with its conversation" in json.dumps(outcome.entries)


async def test_places_of_the_earlier_run_are_those_of_this_one(chain: Chain) -> None:
    await chain.run("Begin.", "load")
    second = await chain.run("Go on.", "load")

    then, now = turns(second)
    assert then["cwd"] == now["cwd"]


async def test_without_a_follow_up_the_whole_prompt_is_said(chain: Chain) -> None:
    await chain.run("Begin.", "load")
    second = await chain.run("Begin.", "load", earlier_summary=MEMORY)

    assert turns(second)[-1]["prompt"] == ["Begin."]


@pytest.mark.parametrize("manner", ["refuse", "die"])
async def test_agent_that_cannot_resume_gets_a_summary_instead(chain: Chain, manner: str) -> None:
    await chain.run("Begin.", "load")
    second = await chain.run("Begin.", manner, earlier_summary=MEMORY, follow_up="Go on.")

    assert [turn["prompt"] for turn in turns(second)] == [[MEMORY, "Begin."]]
    assert "could not take up its earlier conversation" in json.dumps(second.entries)


async def test_conversation_of_another_agent_is_left_alone(chain: Chain) -> None:
    await chain.run("Begin.", "load")
    second = await chain.run(
        "Begin.", "load", adapter=remembering_adapter("load", "other"), earlier_summary=MEMORY
    )

    assert [turn["prompt"] for turn in turns(second)] == [[MEMORY, "Begin."]]


async def test_what_is_kept_holds_no_secret_and_no_credential(chain: Chain) -> None:
    await chain.run("Say sesame-of-the-run.", "load", variables={"KNOWN": "sesame-of-the-run"})

    content = gzip.decompress(chain.file.read_bytes()).decode()
    assert "sesame-of-the-run" not in content
    assert "Say ***" in content
    assert "a credential" not in content
    assert "auth.json" not in content


async def test_agent_without_the_capability_keeps_nothing(runner: Runner, tmp_path: Path) -> None:
    file = tmp_path / "session"
    outcome = await runner.run("```say\nHello.\n```", session_file=file)

    assert outcome.done
    assert not file.exists()


def keeper_of(earlier: KeptSession | None, home: Path) -> SessionKeeper:
    return SessionKeeper(earlier, ADAPTER, home=home, folder=home, masker=Masker([]))


def link_out(home: Path, outside: Path) -> None:
    (home / ".remembering").mkdir()
    (home / ".remembering/sessions").symlink_to(outside)


def link_file(home: Path, outside: Path) -> None:
    (home / FOLDERS[0]).mkdir(parents=True)
    (home / FOLDERS[0] / "a.jsonl").symlink_to(outside / "secret")


def lay_fifo(home: Path, _outside: Path) -> None:
    (home / FOLDERS[0]).mkdir(parents=True)
    os.mkfifo(home / FOLDERS[0] / "a.jsonl")


def lay_binary(home: Path, _outside: Path) -> None:
    (home / FOLDERS[0]).mkdir(parents=True)
    (home / FOLDERS[0] / "a.sqlite").write_bytes(b"\xff\x00")


def lay_name_of_bytes(home: Path, _outside: Path) -> None:
    (home / FOLDERS[0]).mkdir(parents=True)
    Path(os.fsdecode(os.fsencode(home / FOLDERS[0]) + b"/\xff.jsonl")).touch()


def lay_too_much(home: Path, _outside: Path) -> None:
    (home / FOLDERS[0]).mkdir(parents=True)
    with (home / FOLDERS[0] / "a.jsonl").open("wb") as file:
        file.truncate(kept_session.MAX_BYTES + 1)


def lay_too_many(home: Path, _outside: Path) -> None:
    (home / FOLDERS[0]).mkdir(parents=True)
    for number in range(kept_session.MAX_FILES + 1):
        (home / FOLDERS[0] / f"{number}.jsonl").touch()


@pytest.mark.parametrize(
    "trap", [link_out, link_file, lay_fifo, lay_binary, lay_name_of_bytes, lay_too_much, lay_too_many]
)
def test_traps_in_a_home_are_not_kept(tmp_path: Path, trap: Callable[[Path, Path], None]) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    home.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("of the service")
    trap(home, outside)

    keeper = keeper_of(None, home)
    keeper.note_conversation("s", cost=0.0)

    keeper.keep(tmp_path / "kept")

    assert not (tmp_path / "kept").exists()


def test_only_the_folders_of_the_adapter_are_laid(tmp_path: Path) -> None:
    files = {f"{FOLDERS[0]}/a.jsonl": "{}", ".remembering/auth.json": "x", f"{FOLDERS[0]}/../b": "x"}
    kept = KeptSession(adapter=ADAPTER.name, session_id="s", folder="/old", files=files)
    (tmp_path / ".remembering").mkdir()

    keeper_of(kept, tmp_path).restore()

    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {f"{FOLDERS[0]}/a.jsonl"}


def test_packing_is_undone_by_unpacking() -> None:
    kept = KeptSession(adapter="a", session_id="s", folder="/old", files={"x/y.jsonl": '{"a": "ä"}\n'})

    packed = pack(kept)

    assert packed is not None
    assert unpack(packed) == kept


@pytest.mark.parametrize("session_id", ["", "x" * 1001, "\ud800"], ids=["none", "long", "half"])
def test_conversation_of_no_usable_id_is_not_packed(session_id: str) -> None:
    kept = KeptSession(adapter="a", session_id=session_id, folder="/old", files={"x": "{}"})

    assert pack(kept) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        gzip.compress(b"{}", mtime=0),
        gzip.compress(b"[" * 10_000, mtime=0),
        gzip.compress(b'{"adapter": "a", "session_id": "", "folder": "/", "files": {}}', mtime=0),
        gzip.compress(b'{"adapter": "a"}', mtime=0)[:-9],
    ],
    ids=["nothing", "plain", "empty", "deep", "blank", "cut"],
)
def test_anything_else_is_not_unpacked(content: bytes) -> None:
    assert unpack(content) is None


def test_bomb_is_not_unpacked() -> None:
    packer = zlib.compressobj(1, wbits=zlib.MAX_WBITS | 16)
    block = b" " * 2**20
    packed = b"".join(packer.compress(block) for _ in range(2 * kept_session.MAX_BYTES // len(block) + 1))

    assert unpack(packed + packer.flush()) is None
