"""Executes the checks of one commit in fresh clones, which no agent has touched (contract 18.3)."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import asdict, dataclass, replace

from app.agents.check_execution.check_context import Checked, CheckEffects, Preparation
from app.agents.check_execution.clone import Clone, open_clone
from app.agents.git.fetch import Source
from app.agents.git.run_repository import Repository, TreeFile
from app.agents.masking import Masker
from app.agents.workspace.run_workspace import Workspace
from app.dialogue.agent_reports import progress_entry
from app.enums import BaseStatus, CheckCause, ChecksNetwork, CheckSource
from app.schemas.checks.check_sets import FILE_BYTES, ChecksFileInvalid, read_checks_file
from app.verdicts.definitions import CHECKS_FILE, CheckSet, Definitions, FoundCheck, PlacedCheck, unite
from app.verdicts.globs import matches
from app.verdicts.judgement import (
    TAIL_BYTES,
    CheckResult,
    Execution,
    base_status,
    needs_base,
    needs_execution,
)
from app.verdicts.suggested_checks import find_checks, find_suggesting_files

_REGULAR = ("100644", "100755")
# The most files that are read for suggestions of checks.
_MOST_READ = 50


async def read_definitions(repository: Repository, base: str | None, preparation: Preparation) -> Definitions:
    """Return what a run began with, else what the places and the base's checks file define. Raises RepositoryError."""
    if preparation.definitions is not None:
        return preparation.definitions
    files = {file.path: file for file in await repository.tree(base)} if base else {}
    places, fault = list(preparation.places), None
    if CHECKS_FILE in files:
        try:
            places.append((CheckSource.FILE, await _read_file(repository, files[CHECKS_FILE])))
        except ChecksFileInvalid as error:
            fault = str(error)
    order = list(CheckSource)
    definitions = unite(sorted(places, key=lambda place: order.index(place[0])), file_fault=fault)
    if definitions.checks or not preparation.finds:
        return definitions
    return replace(definitions, found=await find_suggested(repository, files))


async def find_suggested(repository: Repository, files: Mapping[str, TreeFile]) -> tuple[FoundCheck, ...]:
    """Return the checks that these files of a commit, by path, suggest. Raises RepositoryError."""
    texts = {}
    for path in find_suggesting_files(files)[:_MOST_READ]:
        if files[path].mode in _REGULAR:
            content = await repository.read(files[path].blob, FILE_BYTES)
            texts[path] = content.decode(errors="replace")
    return tuple(find_checks(files, texts.get))


async def _read_file(repository: Repository, file: TreeFile) -> CheckSet:
    if file.mode not in _REGULAR:
        raise ChecksFileInvalid("It is no regular file.")
    return read_checks_file(await repository.read(file.blob, FILE_BYTES + 1))


async def verify(
    workspace: Workspace, source: Source, commit: str, preparation: Preparation, effects: CheckEffects
) -> Checked:
    """Check a commit in a clone of `source`: execute the checks, and those on the base that can change the verdict.

    All processes have ended at its end, also if it is cancelled. Raises RepositoryError, SandboxUnavailable.
    """
    repository, base = workspace.repository, preparation.base
    for each in filter(None, (commit, base)):
        # The commit may be older than the history of the clone, or no longer on the branch.
        await repository.fetch_commit(source.remote, each)
    definitions = await read_definitions(repository, base, preparation)
    changed = await repository.changed_files(base, commit) if base else []
    paths = [path for _, path in changed]
    old = [path for letter, path in changed if letter != "A"]
    checked = Checked(
        definitions=definitions,
        checks=[
            CheckResult(placed=placed, applies=placed.check.applies_to(paths))
            for placed in definitions.checks
        ],
        changed=paths,
        changed_tests=[path for path in old if matches(definitions.test_paths, path)],
        protected_changed=[path for path in paths if matches(definitions.protected_paths, path)],
    )
    attempt = _Attempt(workspace, source.remote.url, preparation, effects, checked)
    if base is None:
        await attempt.check_result(commit)
    else:
        result = await repository.with_files_of(commit, base, checked.protected_changed)
        await attempt.check_result(result)
        await attempt.check_base(base)
        await attempt.run_old_tests(result, base)
    return checked


@dataclass(slots=True)
class _Attempt:
    workspace: Workspace
    url: str
    preparation: Preparation
    effects: CheckEffects
    checked: Checked
    is_clone_used: bool = False

    @property
    def _applying(self) -> list[CheckResult]:
        return [each for each in self.checked.checks if each.applies]

    async def check_result(self, commit: str) -> None:
        async with aclosing(_Clones(self, "result", commit)) as clones:
            for each in self._applying:
                await self.effects.note(self.checked, each.placed)
                while needs_execution(each):
                    number = len(each.executions) + 1
                    each.executions.append(await clones.execute(each.placed, number))
                    await self.effects.note(self.checked, None)

    async def check_base(self, base: str) -> None:
        before: list[PlacedCheck] = []
        due: list[PlacedCheck] = []
        async with aclosing(_Clones(self, "base", base)) as clones:
            for each in self._applying:
                before.append(each.placed)
                due.append(each.placed)
                if not needs_base(each, self.checked.definitions.base):
                    continue
                key = self._base_key(base, before)
                each.base = await self.effects.find_base(key)
                each.is_base_kept = each.base is not None
                if each.base is None:
                    # Earlier checks are executed too: as on the result, this one may need what they leave in the clone.
                    executions = [await clones.execute(placed) for placed in due]
                    each.base = executions[-1]
                    due.clear()
                    if base_status(each.base) is not BaseStatus.ERROR:
                        await self.effects.keep_base(key, each.base)

    async def run_old_tests(self, result: str, base: str) -> None:
        tests = self.checked.changed_tests
        commit = await self.workspace.repository.with_files_of(result, base, tests)
        async with aclosing(_Clones(self, "old_tests", commit)) as clones:
            for each in self._applying:
                if tests and each.executions[-1].has_ended:
                    each.old_tests = await clones.execute(each.placed)

    def _base_key(self, base: str, checks: Sequence[PlacedCheck]) -> bytes:
        preparation = self.preparation
        parts = [
            self.url,
            base,
            [asdict(placed) for placed in checks],
            [asdict(step) for step in self.checked.definitions.setup],
            sorted(preparation.variables.items()),
            repr(preparation.setup_network),
            [repr(preparation.run_network) for each in checks if each.network is ChecksNetwork.RUN],
            preparation.tool_chain(),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).digest()


class _Clones:
    """The clones of one commit for its checks: made on first use, and replaced after a limit ended one."""

    def __init__(self, attempt: _Attempt, side: str, commit: str) -> None:
        self._attempt = attempt
        self._side = side
        self._commit = commit
        self._clone: Clone | None = None
        self._fault = ""  # of the set-up
        self._opened = AsyncExitStack()

    async def aclose(self) -> None:
        await self._opened.aclose()

    async def execute(self, placed: PlacedCheck, number: int = 1) -> Execution:
        clone = self._clone
        if not self._fault and (clone is None or clone.is_lost):
            clone = await self._open()
        if clone is None or self._fault:
            return Execution(cause=CheckCause.SETUP_FAILED, fault=self._fault)
        check, emit = placed.check, self._attempt.effects.emit
        label = f"Check {check.id} ({self._side.replace('_', ' ')})"
        fields = {"check": check.id, "side": self._side, "run": number}
        await emit(progress_entry("check", f"{label}: started", **fields, status="started"))
        execution = await clone.execute(placed)
        status, cause = execution.judge(check)
        words = (cause or status).value.replace("_", " ")
        fields |= {"status": words, "duration_ms": execution.duration_ms}
        await emit(progress_entry("check", f"{label}: {words}", **fields))
        # The output on the base is not stored: it can have 10 MiB.
        if self._side == "base":
            return replace(execution, output=b"")
        part = f"execution-{number}" if self._side == "result" else "old-tests"
        stored = await self._attempt.effects.store_output(check.id, part, execution.output)
        return replace(execution, output=execution.output[-TAIL_BYTES:], log=stored)

    async def _open(self) -> Clone:
        attempt, workspace, preparation = self._attempt, self._attempt.workspace, self._attempt.preparation
        await self._opened.aclose()
        if attempt.is_clone_used or self._commit != workspace.base.sha:
            await workspace.renew(self._commit)
        attempt.is_clone_used = True
        masker = Masker(preparation.variables.values())
        clone = await self._opened.enter_async_context(
            open_clone(workspace, preparation, masker, attempt.effects.emit)
        )
        if self._side == "result":
            attempt.checked.setup = clone.steps
        # Only a set-up of the base fills caches, so no cache has anything that an agent made.
        self._fault = await clone.set_up(
            attempt.checked.definitions.setup, self._commit, may_keep=self._side == "base"
        )
        self._clone = clone
        return clone
