"""Checks one commit, in fresh clones that no agent has touched; nothing else decides a verdict (contract 18.3)."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from typing import Final

from pydantic import TypeAdapter

from app.agents.checks.caches import Caches, open_caches
from app.agents.checks.clone import Clone, SetupFailed
from app.agents.checks.context import CheckContext, Checked, CheckedCheck, CheckEffects, Defined, Performed
from app.agents.git.repository import Author, Repository, TreeFile
from app.agents.masking import Masker
from app.agents.session.transcript import notification_entry
from app.agents.workspace.workspace import Workspace, open_workspace
from app.enums import CheckCause, CheckSource
from app.schemas.verification.check_sets import FILE_BYTES, ChecksFileInvalid, read_checks_file
from app.verification.definitions import CHECKS_FILE, CheckSet, Definitions, FoundCheck, PlacedCheck, unite
from app.verification.found import find_checks, telling
from app.verification.globs import matches
from app.verification.judgement import Execution, needs_base, needs_repetition

_DEFINED: Final = TypeAdapter(PlacedCheck)
_REGULAR = ("100644", "100755")
# Of the files that may suggest checks.
_MOST_READ = 50


async def read_definitions(repository: Repository, base: str | None, defined: Defined) -> Definitions:
    """Return what the places and the checks file of the base define, and its files suggest. Raises RepositoryError."""
    files = {file.path: file for file in await repository.tree(base)} if base else {}
    definitions = await _unite(repository, files.get(CHECKS_FILE), defined.places)
    if definitions.checks or not defined.finds:
        return definitions
    return replace(definitions, found=await find_suggested(repository, files))


async def _unite(
    repository: Repository, file: TreeFile | None, places: Sequence[tuple[CheckSource, CheckSet]]
) -> Definitions:
    if file is None:
        return unite(places)
    try:
        return unite(sorted([*places, (CheckSource.FILE, await _read_file(repository, file))], key=_order))
    except ChecksFileInvalid as error:
        return unite(places, file_fault=str(error))


async def find_suggested(repository: Repository, files: Mapping[str, TreeFile]) -> tuple[FoundCheck, ...]:
    """Return the checks that these files of a commit, by path, suggest. Raises RepositoryError."""
    texts = {}
    for path in telling(files)[:_MOST_READ]:
        if files[path].mode in _REGULAR:
            content = await repository.read(files[path].blob, FILE_BYTES)
            texts[path] = content.decode(errors="replace")
    return tuple(find_checks(files, texts.get))


async def _read_file(repository: Repository, file: TreeFile) -> CheckSet:
    if file.mode not in _REGULAR:
        raise ChecksFileInvalid("It is no regular file.")
    return read_checks_file(await repository.read(file.blob, FILE_BYTES + 1))


def _order(place: tuple[CheckSource, CheckSet]) -> int:
    return list(CheckSource).index(place[0])


async def verify(context: CheckContext, effects: CheckEffects) -> Checked:
    """Check a commit: set up a clone, execute the checks, and those on the base that can change the verdict.

    All processes have ended at its end, also if it is cancelled. Raises RepositoryError, SandboxUnavailable.
    """
    places = context.workspaces
    async with open_workspace(
        places.root, context.run_id, context.environment, places.hidden, remover=places.remover
    ) as workspace:
        await workspace.prepare(context.source, context.push_branch, author=Author(), mirrors=places.mirrors)
        return await _Attempt(context, effects, workspace).perform()


class _Attempt:
    def __init__(self, context: CheckContext, effects: CheckEffects, workspace: Workspace) -> None:
        self._context = context
        self._effects = effects
        self._workspace = workspace
        self._masker = Masker(context.preparation.variables.values())
        self._is_used = False

    async def perform(self) -> Checked:
        context, repository = self._context, self._workspace.repository
        base = context.defined.base
        for commit in filter(None, (context.commit, base)):
            # Deeper than the clone, or of a branch that has moved on.
            if not await repository.has(commit):
                await repository.fetch_commit(context.source.remote, commit)
        definitions = context.definitions or await read_definitions(repository, base, context.defined)
        changed = await repository.changed_files(base, context.commit) if base else []
        paths = [path for _, path in changed]
        old = [path for letter, path in changed if letter != "A"]
        self._checked = Checked(
            definitions=definitions,
            checks=[
                CheckedCheck(placed=placed, applies=placed.check.applies_to(paths))
                for placed in definitions.checks
            ],
            changed=paths,
            changed_tests=[path for path in old if matches(definitions.test_paths, path)],
            protected_changed=[path for path in paths if matches(definitions.protected_paths, path)],
        )
        applying = [each for each in self._checked.checks if each.applies]
        put_back = self._checked.protected_changed
        result = await repository.with_files_of(context.commit, base, put_back) if base else context.commit
        await self._check_result(result, applying)
        if base is not None:
            await self._check_base(base, applying)
            await self._run_old_tests(result, base, applying)
        return self._checked

    async def _check_result(self, commit: str, checks: Sequence[CheckedCheck]) -> None:
        async with self._clone(commit) as clone:
            try:
                await clone.set_up(await self._caches(commit, may_keep=False))
            except SetupFailed:
                for each in checks:
                    each.executions.append(_SETUP_FAILED)
                return
            finally:
                self._checked.setup = clone.steps
            for each in checks:
                await self._effects.note(self._checked, each.placed)
                while not each.executions or needs_repetition(
                    each.placed.check, [performed.execution for performed in each.executions]
                ):
                    number = len(each.executions) + 1
                    each.executions.append(await self._execute(clone, each.placed, "result", number))
                    await self._effects.note(self._checked, None)

    async def _check_base(self, base: str, checks: Sequence[CheckedCheck]) -> None:
        use = self._checked.definitions.base
        needed = [each for each in checks if needs_base(each.placed.check, _seen(each), use)]
        keys = {each.placed.check.id: await self._base_key(base, each.placed) for each in needed}
        for each in needed:
            each.base = await self._effects.find_base(keys[each.placed.check.id])
            each.is_base_kept = each.base is not None
        missing = [each for each in needed if each.base is None]
        if not missing:
            return
        async with self._clone(base) as clone:
            try:
                await clone.set_up(await self._caches(base, may_keep=True))
            except SetupFailed:
                for each in missing:
                    each.base = _SETUP_FAILED.execution
                return
            for each in missing:
                performed = await self._execute(clone, each.placed, "base", 1)
                each.base = performed.execution
                if each.base.has_ended:
                    await self._effects.keep_base(keys[each.placed.check.id], each.base)

    async def _run_old_tests(self, result: str, base: str, checks: Sequence[CheckedCheck]) -> None:
        ended = [each for each in checks if each.executions and _seen(each)[-1].has_ended]
        tests = self._checked.changed_tests
        if not tests or not ended:
            return
        commit = await self._workspace.repository.with_files_of(result, base, tests)
        async with self._clone(commit) as clone:
            try:
                await clone.set_up(await self._caches(commit, may_keep=False))
            except SetupFailed:
                return
            for each in ended:
                each.old_tests = (await self._execute(clone, each.placed, "old_tests", 1)).execution

    @asynccontextmanager
    async def _clone(self, commit: str) -> AsyncIterator[Clone]:
        if self._is_used or commit != self._workspace.base.sha:
            await self._workspace.renew(commit)
        self._is_used = True
        clone = Clone(
            self._workspace,
            self._context.preparation,
            self._checked.definitions.setup,
            self._masker,
            self._effects.emit,
        )
        try:
            yield clone
        finally:
            await clone.close()

    async def _execute(self, clone: Clone, placed: PlacedCheck, side: str, number: int) -> Performed:
        """Execute a check once in a clone, with reports of this execution alone."""
        check = placed.check
        await self._say(check.id, side, number, "started")
        if check.reports:
            await clone.clear_reports(check.cwd, check.reports)
        performed = await clone.execute(
            check.run,
            check.shell,
            check.cwd,
            seconds=check.timeout_seconds,
            variables={"TASKBEACON_CHECK": check.id},
            network=placed.network,
        )
        if check.reports and performed.execution.has_ended:
            performed = await clone.add_reports(performed, check.cwd, check.reports)
        execution = performed.execution
        status, cause = execution.judge(check)
        said = cause.value.replace("_", " ") if cause else status.value
        await self._say(check.id, side, number, said, performed.duration_ms)
        return performed

    async def _say(
        self, check: str, side: str, number: int, status: str, duration_ms: int | None = None
    ) -> None:
        said = {
            "step": "check",
            "message": f"Check {check} ({side.replace('_', ' ')}): {status}",
            "check": check,
            "side": side,
            "run": number,
            "status": status,
        }
        if duration_ms is not None:
            said["duration_ms"] = duration_ms
        await self._effects.emit(notification_entry("_taskbeacon/progress", said))

    async def _caches(self, commit: str, *, may_keep: bool) -> Caches | None:
        preparation = self._context.preparation
        return await open_caches(
            self._workspace, preparation, self._checked.definitions.setup, commit, may_keep=may_keep
        )

    async def _base_key(self, base: str, placed: PlacedCheck) -> bytes:
        """Return the digest of all that decides what a check shows of a base."""
        preparation = self._context.preparation
        parts = [
            self._context.source.remote.url,
            base,
            _DEFINED.dump_python(placed, mode="json"),
            [asdict(step) for step in self._checked.definitions.setup],
            sorted(preparation.variables.items()),
            repr(preparation.setup_network),
            preparation.sandbox.kind,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).digest()


def _seen(checked: CheckedCheck) -> list[Execution]:
    return [performed.execution for performed in checked.executions]


_SETUP_FAILED = Performed(execution=Execution(cause=CheckCause.SETUP_FAILED), duration_ms=0)
