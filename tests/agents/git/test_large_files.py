"""Files of Git LFS in runs: read, changed and stored, at a host that speaks HTTP and in a folder."""

import json
import os
import shutil
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.agents.errors import LargeFilesFailed
from app.agents.git.askpass import Credential
from app.agents.git.command import TOKEN_USER, Git, Remote
from app.agents.git.large_files import LargeFileLimits, LargeFiles, find_git_lfs
from app.agents.git.lfs_network import limit_lfs_network
from app.agents.git.mirrors import Mirrors
from app.agents.git.pointers import Pointer, committed_pointers
from tests.agents.conftest import PUSH_BRANCH, GitFolder, Outcome, Runner, make_origin
from tests.support.stand_ins.github import CodeHostService, github_application
from tests.support.stand_ins.lfs import ATTRIBUTES, LargeFileService, needs_git_lfs, pointer_of
from tests.support.web.serving import serving

pytestmark = needs_git_lfs
TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
CONTENT = b"large and old\n"
CHANGED = b"large and old\nand new\n"
CHANGE = "```sh\ncat big.bin; git status --short; echo and new >> big.bin\n```"
# What a repository could choose: another host, no content at all, programs.
HOSTILE = """\
[lfs]
    url = http://127.0.0.1:9/evil
    pushurl = http://127.0.0.1:9/evil
    fetchexclude = *
    allowincompletepush = true
    standalonetransferagent = evil
[lfs "customtransfer.evil"]
    path = /bin/false
[lfs "extension.evil"]
    clean = /bin/false
    smudge = /bin/false
[remote "origin"]
    lfsurl = http://127.0.0.1:9/evil
[core]
    hooksPath = /bin
"""
IDENTITY = "git -c user.name=A -c user.email=a@example.com"
COMMIT = f"{IDENTITY} commit --quiet --all --message x"


class Folder:
    """The objects of a bare repository on the disk."""

    def __init__(self, origin: GitFolder) -> None:
        self._folder = origin.path / "lfs"

    def hold(self, content: bytes) -> Pointer:
        pointer = pointer_of(content)
        place = self._folder / pointer.object_path
        place.parent.mkdir(parents=True)
        place.write_bytes(content)
        return pointer

    @property
    def objects(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self._folder.rglob("*") if path.is_file()}


@dataclass
class Hosted:
    """A repository with a large file, and runs in it."""

    origin: GitFolder
    runner: Runner
    kept: Folder | LargeFileService
    fields: dict[str, Any] = field(default_factory=dict)

    async def run(self, prompt: str, **changes: Any) -> Outcome:
        return await self.runner.run(prompt, **{"git_lfs": True, **self.fields, **changes})

    def pushed(self, path: str) -> bytes:
        return self.origin.git("show", f"{PUSH_BRANCH}:{path}").encode() + b"\n"


def make(folder: Path, files: dict[str, str] | None = None) -> GitFolder:
    large = {
        "big.bin": pointer_of(CONTENT).text().decode(),
        ".gitattributes": ATTRIBUTES,
        "small.txt": "small\n",
    }
    return make_origin(folder, large | (files or {}))


@pytest.fixture
def in_folder(tmp_path: Path, runner: Runner) -> Hosted:
    origin = make(tmp_path / "folder")
    folder = Folder(origin)
    folder.hold(CONTENT)
    return Hosted(origin, runner, folder, {"clone_url": origin.url})


@pytest.fixture
async def hosted(tmp_path: Path, runner: Runner) -> AsyncGenerator[Hosted, None]:
    origin = make(tmp_path / "host" / "acme", {".lfsconfig": HOSTILE})
    service = CodeHostService(tmp_path / "host", {TOKEN: "bot"})
    service.large_files.hold(CONTENT)
    (tmp_path / "host/acme/app.git").symlink_to(origin.path)

    async def credential() -> Credential:
        return Credential(TOKEN_USER, TOKEN)

    async with serving(github_application(service)) as url:
        fields = {"clone_url": f"{url}/acme/app.git", "credential": credential}
        origin.git("config", "http.receivepack", "true")
        yield Hosted(origin, runner, service.large_files, fields)


@pytest.fixture(params=["in_folder", "hosted"])
def anywhere(request: pytest.FixtureRequest) -> Hosted:
    found: Hosted = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("commit", ["true", COMMIT], ids=["uncommitted", "committed"])
async def test_large_file_is_read_changed_and_stored(anywhere: Hosted, commit: str) -> None:
    outcome = await anywhere.run(f"{CHANGE}\n```sh\n{commit}\n```")

    assert outcome.done.files_changed == ["big.bin"]
    seen = json.dumps(outcome.updates("tool_call_update"))
    assert "large and old" in seen
    assert "M big.bin" not in seen, "the clone was clean"
    changed = pointer_of(CHANGED)
    assert anywhere.pushed("big.bin") == changed.text()
    assert anywhere.kept.objects[changed.oid] == CHANGED
    assert changed.oid.encode() in outcome.done.patch


async def test_objects_are_stored_before_the_branch_and_the_token_stays_with_the_host(hosted: Hosted) -> None:
    assert isinstance(hosted.kept, LargeFileService)
    new = "```sh\ncp big.bin other.bin; echo and new >> other.bin; cp other.bin same.bin\n```"

    outcome = await hosted.run(new)

    assert sorted(outcome.done.files_changed) == ["other.bin", "same.bin"]
    old, changed = pointer_of(CONTENT).oid, pointer_of(CHANGED).oid
    assert hosted.kept.requests == [("GET", old, False), ("PUT", changed, False)]
    assert hosted.kept.verified == [changed]
    assert TOKEN not in json.dumps(outcome.entries)


@pytest.mark.parametrize("part", [{}, {"clone_depth": 1, "clone_filter": "blob:none"}], ids=["whole", "part"])
async def test_second_run_finds_objects_beside_the_mirror(
    hosted: Hosted, tmp_path: Path, part: dict[str, Any]
) -> None:
    assert isinstance(hosted.kept, LargeFileService)
    mirrors = Mirrors(tmp_path / "mirrors", os.environ, max_bytes=2**30)

    for number in range(2):
        outcome = await hosted.run(
            f"```sh\ncat big.bin; git status --short; echo {number} > new.bin\n```", mirrors=mirrors, **part
        )
        assert outcome.done.files_changed == ["new.bin"]
        assert "large and old" in json.dumps(outcome.updates("tool_call_update"))

    assert [method for method, _, _ in hosted.kept.requests] == ["GET", "PUT", "PUT"]


async def test_files_stay_pointers_without_the_setting_and_that_is_logged(hosted: Hosted) -> None:
    assert isinstance(hosted.kept, LargeFileService)

    outcome = await hosted.run("```sh\ncat big.bin\n```", git_lfs=False)

    assert outcome.done.files_changed == []
    assert pointer_of(CONTENT).oid in json.dumps(outcome.updates("tool_call_update"))
    assert "left as pointers" in json.dumps(outcome.entries)
    assert hosted.kept.requests == []


async def test_files_stay_pointers_where_git_lfs_is_not_installed(
    hosted: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    which = shutil.which
    monkeypatch.setattr(
        shutil, "which", lambda name, **options: None if name == "git-lfs" else which(name, **options)
    )

    outcome = await hosted.run("```sh\ncat big.bin\n```")

    assert outcome.done.files_changed == []
    assert pointer_of(CONTENT).oid in json.dumps(outcome.updates("tool_call_update"))
    assert "left as pointers: git-lfs is not installed" in json.dumps(outcome.entries)


async def test_agent_changes_nothing_outside_of_its_clone_through_an_object(
    in_folder: Hosted, tmp_path: Path
) -> None:
    """git-lfs itself would give the clone hard links."""
    mirrors = Mirrors(tmp_path / "mirrors", os.environ, max_bytes=2**30)
    for kept in (None, mirrors):
        await in_folder.run(
            "```sh\nfor each in $(find .git/lfs -type f); do echo evil > $each; done\n```", mirrors=kept
        )

    found = list(tmp_path.rglob(pointer_of(CONTENT).oid))  # noqa: ASYNC240 - a local folder
    assert {path.read_bytes() for path in found} == {CONTENT}
    assert [path for path in found if path.is_relative_to(tmp_path / "mirrors")]


async def test_credential_does_not_go_to_another_host_that_asks_for_it(hosted: Hosted) -> None:
    assert isinstance(hosted.kept, LargeFileService)
    hosted.kept.is_authenticated = False
    seen: list[str | None] = []

    async def ask(request: Request) -> Response:
        seen.append(request.headers.get("authorization"))
        return Response(status_code=401, headers={"WWW-Authenticate": 'Basic realm="x"'})

    async with serving(Starlette(routes=[Route("/{path:path}", ask)])) as hosted.kept.elsewhere:
        outcome = await hosted.run(CHANGE)

    assert "'big.bin' (Git LFS) cannot be fetched" in outcome.failed.message
    assert seen
    assert set(seen) == {None}
    assert TOKEN not in json.dumps(outcome.entries) + outcome.failed.message


async def test_public_host_cannot_send_git_lfs_into_a_private_network(hosted: Hosted) -> None:
    url = hosted.fields["clone_url"]
    async with limit_lfs_network(Remote(url), {}) as settings:
        assert settings == (), "this host is in a private network itself"
    public = partial(limit_lfs_network, Remote(url), is_public_address=lambda _: True)
    async with public({"HTTPS_PROXY": "http://proxy"}) as settings:
        assert settings == (), "the operator's proxy decides"

    async with (
        public({}) as (setting,),
        httpx.AsyncClient(proxy=setting.removeprefix("http.proxy=")) as client,
    ):
        answers = [
            (await client.get(place)).status_code
            for place in (url, "http://127.0.0.1:9/", "http://10.1.1.1/")
        ]
        for inside in ("https://127.0.0.1/", "https://169.254.169.254/", "https://10.1.1.1/"):
            with pytest.raises(httpx.ProxyError, match="403"):
                await client.get(inside)

    assert answers == [401, 403, 403]


async def test_host_cannot_send_more_than_a_file_may_hold(hosted: Hosted, tmp_path: Path) -> None:
    found = cloned(hosted, tmp_path, object_bytes=2**20)
    hosted.kept.objects[pointer_of(CONTENT).oid] = bytes(2**24)
    largest = 0

    with pytest.raises(LargeFilesFailed, match=r"'big\.bin'.*(?:too large|size)"):
        await found.fetch(Remote(hosted.fields["clone_url"], Credential(TOKEN_USER, TOKEN)))

    for path in (tmp_path / "scratch").rglob("*"):
        largest = max(largest, path.stat().st_size if path.is_file() else 0)
    assert largest <= 2**20


async def test_repository_gets_its_first_large_file(in_folder: Hosted, tmp_path: Path) -> None:
    plain = make_origin(tmp_path / "plain")

    outcome = await in_folder.run(
        "```sh\necho '*.bin filter=lfs -text' > .gitattributes; echo big > sub.bin\n```", clone_url=plain.url
    )

    assert outcome.done.files_changed == [".gitattributes", "sub.bin"]
    pointer = pointer_of(b"big\n")
    assert plain.git("show", f"{PUSH_BRANCH}:sub.bin").encode() + b"\n" == pointer.text()
    assert Folder(plain).objects == {pointer.oid: b"big\n"}


async def test_upload_that_is_refused_keeps_the_branch_back(hosted: Hosted) -> None:
    assert isinstance(hosted.kept, LargeFileService)
    hosted.kept.refusal = (507, "The quota is used up")

    outcome = await hosted.run(CHANGE)

    assert "'big.bin'" in outcome.failed.message
    assert "The quota is used up. Nothing was pushed." in outcome.failed.message
    assert outcome.failed.partial is not None
    assert pointer_of(CHANGED).oid.encode() in outcome.failed.partial.patch
    assert hosted.origin.branches() == ["main"]


OBJECT = ".git/lfs/objects/$(git show HEAD:big.bin | sed -n 's/oid sha256:\\(..\\)\\(..\\)\\(.*\\)/\\1\\/\\2\\/\\1\\2\\3/p')"


@pytest.mark.parametrize(
    ("trap", "words"),
    [
        ("rm {object}", "left no content for it"),
        ("ln -sf /etc/passwd {object}", "leads out of the workspace"),
        ("mv .git/lfs /tmp/lfs; ln -s /tmp/lfs .git/lfs", "leads out of the workspace"),
        ("mv .git /tmp/git; ln -s /tmp/git .git", "leads out of the workspace"),
        ("rm {object}; mkfifo {object}", "left no content for it"),
        ("rm {object}; mkdir {object}", "is not a regular file"),
        ("echo other >> {object}", "is not what its pointer says"),
        ("truncate -s 0 {object}", "is not what its pointer says"),
    ],
)
async def test_what_the_agent_left_for_an_object_is_not_believed(
    in_folder: Hosted, trap: str, words: str
) -> None:
    """The file is gone again, so that the object is all that there is of what was committed."""
    before = in_folder.kept.objects

    outcome = await in_folder.run(f"{CHANGE}\n```sh\n{COMMIT}\n{trap.format(object=OBJECT)}; rm big.bin\n```")

    assert "'big.bin'" in outcome.failed.message
    assert words in outcome.failed.message
    assert outcome.failed.partial is not None
    assert outcome.failed.partial.files_changed == ["big.bin"]
    assert in_folder.origin.branches() == ["main"]
    assert in_folder.kept.objects == before


async def test_files_of_a_clone_that_lost_its_repository_are_stored_too(in_folder: Hosted) -> None:
    outcome = await in_folder.run(f"{CHANGE}\n```sh\nrm -rf .git\n```")

    assert outcome.done.files_changed == ["big.bin"]
    assert in_folder.kept.objects[pointer_of(CHANGED).oid] == CHANGED


async def test_pointer_to_more_than_a_run_may_have_is_not_pushed(in_folder: Hosted) -> None:
    pointer = Pointer("0" * 64, 10**15).text().decode()

    outcome = await in_folder.run(f"```file path=big.bin\n{pointer}```")

    assert "more than" in outcome.failed.message
    assert in_folder.origin.branches() == ["main"]


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (None, "Object does not exist on the server"),
        (CONTENT.swapcase(), "expected OID"),
        (CONTENT + b"more", "expected OID"),
        (b"", "expected OID"),
    ],
)
async def test_content_that_is_not_what_its_pointer_says_does_not_reach_an_agent(
    hosted: Hosted, held: bytes | None, words: str
) -> None:
    objects = hosted.kept.objects
    del objects[pointer_of(CONTENT).oid]
    if held is not None:
        objects[pointer_of(CONTENT).oid] = held

    outcome = await hosted.run(CHANGE)

    assert outcome.failed.message.startswith("The content of the file 'big.bin' (Git LFS) cannot be fetched")
    assert words in outcome.failed.message
    assert outcome.steps() == ["clone"]


async def test_content_that_is_missing_in_the_folder_is_named(in_folder: Hosted) -> None:
    (in_folder.origin.path / "lfs").rename(in_folder.origin.path / "gone")

    outcome = await in_folder.run(CHANGE)

    assert "'big.bin' (Git LFS) cannot be fetched" in outcome.failed.message
    assert f"remote missing object {pointer_of(CONTENT).oid}" in outcome.failed.message


def cloned(in_folder: Hosted, tmp_path: Path, *, mirror: Path | None = None, **limits: int) -> LargeFiles:
    """Return the large files of a fresh clone."""
    work = tmp_path / "work"
    in_folder.origin.git("clone", "--quiet", ".", str(work))
    return LargeFiles(
        LargeFileLimits(**{"object_bytes": 2**20, "disk_bytes": 2**20, **limits}),
        str(find_git_lfs(os.environ)),
        work=work,
        collection=tmp_path / "collection",
        scratch=tmp_path / "scratch",
        mirror=mirror,
        environment=os.environ,
    )


@pytest.mark.parametrize("has_mirror", [False, True])
@pytest.mark.parametrize(
    ("limits", "is_left_out"),
    [
        ({"object_bytes": len(CONTENT)}, False),
        ({"object_bytes": len(CONTENT) - 1}, True),
        # The run's disk holds each file twice.
        ({"disk_bytes": 4 * len(CONTENT)}, False),
        ({"disk_bytes": 4 * len(CONTENT) - 1}, True),
    ],
)
async def test_file_beyond_the_limits_of_a_run_stays_a_pointer(
    in_folder: Hosted, tmp_path: Path, limits: dict[str, int], *, has_mirror: bool, is_left_out: bool
) -> None:
    found = cloned(in_folder, tmp_path, mirror=tmp_path / "mirror" if has_mirror else None, **limits)

    await found.fetch(Remote(in_folder.origin.url))

    work = GitFolder(tmp_path / "work")
    assert [reason.partition(":")[0] for reason in found.left_out] == ["big.bin"] * is_left_out
    assert (work.path / "big.bin").read_bytes() == (pointer_of(CONTENT).text() if is_left_out else CONTENT)
    assert work.git("status", "--short") == ""


async def test_first_files_that_are_left_out_are_named(in_folder: Hosted, tmp_path: Path) -> None:
    many = {f"{number:02}.bin": Pointer(f"{number:064x}", 10**9).text().decode() for number in range(22)}
    origin = make(tmp_path / "many", many)
    Folder(origin).hold(CONTENT)
    found = cloned(replace(in_folder, origin=origin), tmp_path)

    await found.fetch(Remote(origin.url))

    assert [reason.partition(":")[0] for reason in found.left_out[:-1]] == sorted(many)[:20]
    assert found.left_out[-1] == "others, which are not named"
    assert (tmp_path / "work/big.bin").read_bytes() == CONTENT


async def test_mirror_that_grew_before_a_fetch_failed_is_held_to_its_limit(
    hosted: Hosted, tmp_path: Path
) -> None:
    folder = tmp_path / "mirrors"
    await hosted.run("```sh\ntrue\n```", git_lfs=False, mirrors=Mirrors(folder, os.environ, max_bytes=2**30))
    assert [path for path in folder.iterdir() if path.is_dir()]
    assert isinstance(hosted.kept, LargeFileService)
    hosted.kept.objects.clear()

    outcome = await hosted.run(CHANGE, mirrors=Mirrors(folder, os.environ, max_bytes=1))

    assert "cannot be fetched" in outcome.failed.message
    assert [path for path in folder.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("name", ["\nx", "a\nb", "\u2028x", "\x0cx", "a\rb", "a\x1cHEAD:b c"])
async def test_pointer_is_found_whatever_its_file_is_called(tmp_path: Path, name: str) -> None:
    """Its branch was pushed without its object."""
    work = GitFolder(tmp_path)
    work.git("init", "--quiet")
    (tmp_path / name).write_bytes(pointer_of(CONTENT).text())
    work.git("add", ".")
    work.git("commit", "--quiet", "--message", "x")

    found = await committed_pointers(Git(tmp_path, os.environ), None, work.git("rev-parse", "HEAD"))

    assert list(found) == [pointer_of(CONTENT)]
