"""The loop of repairs: when it ends, and what the agent is asked."""

import json
import shlex
from collections.abc import Collection, Iterator, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from app.enums import StopReason, Verdict
from app.verification.judgement import JudgedCheck

_SHOWN_CASES: Final = 50


class Next(NamedTuple):
    """What follows an attempt: a repair, or the end, for a reason if it was refuted and could be repaired."""

    is_repaired: bool
    stopped: StopReason | None = None


def decide_next(
    verdict: Verdict, *, can_be_asked: bool, repairs_left: int, failures: str, earlier: Collection[str]
) -> Next:
    """Return what follows an attempt; `failures` is its digest, `earlier` has those of the attempts before."""
    if verdict is not Verdict.REFUTED or not can_be_asked:
        return Next(is_repaired=False)
    if repairs_left <= 0:
        return Next(is_repaired=False, stopped=StopReason.LIMIT)
    if failures in earlier:
        return Next(is_repaired=False, stopped=StopReason.REPEATED)
    return Next(is_repaired=True)


def digest_failures(checks: Sequence[JudgedCheck]) -> str:
    """Return a digest of the checks that refute a result, with their failing cases."""
    failing = sorted([check.check.id, sorted(check.failed)] for check in checks if check.refutes)
    return sha256(json.dumps(failing).encode()).hexdigest()


def repair_message(
    checks: Sequence[JudgedCheck],
    *,
    attempt: int,
    attempts: int,
    protected_changed: Sequence[str] = (),
) -> str:
    """Return the prompt after a refuted attempt, of so many."""
    blocks = [f"The checks of this run do not pass (attempt {attempt} of {attempts})."]
    blocks += ["\n".join(_block(check)) for check in checks if check.refutes]
    executions = [execution for check in checks for execution in check.result.executions]
    hosts = dict.fromkeys(host for execution in executions for host in execution.blocked_hosts)
    if hosts:
        blocks.append(f"blocked hosts: {', '.join(hosts)}")
    if protected_changed:
        blocks.append(f"protected paths, put back: {', '.join(protected_changed)}")
    return "\n\n".join([*blocks, "Correct the cause; the checks run again on a fresh clone."])


def _block(judged: JudgedCheck) -> Iterator[str]:
    check, last = judged.check, judged.result.executions[-1]
    yield f"Check {check.id}: {check.shell if check.run is None else shlex.join(check.run)}"
    yield f"exit code {last.exit_code}"
    if judged.new:
        yield f"new failing cases ({len(judged.new)}):"
        yield from (f"- {case.title}" for case in sorted(judged.new)[:_SHOWN_CASES])
    yield "output:"
    # No line of it can begin a code block, or anything else that the agent could take for ours.
    yield from (f"| {line}" for line in last.tail.splitlines())
