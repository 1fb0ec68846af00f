"""The loop of repairs: when it ends, and what the agent is asked."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from app.enums import StopReason, Verdict, VerdictReason
from app.verification.definitions import Definitions, command_of
from app.verification.judgement import Case, JudgedCheck
from app.verification.summaries import words_of


def why_stopped(failures: str, earlier: Collection[str], *, most: int) -> StopReason | None:
    """Return why an agent does not correct its work again, at most so often; `earlier` are the failures before."""
    if len(earlier) >= most:
        return StopReason.LIMIT
    return StopReason.REPEATED if failures in earlier else None


def digest_failures(checks: Sequence[JudgedCheck]) -> str:
    """Return a digest of the checks that refute a result, with their failing cases."""
    failing = sorted([check.check.id, sorted(check.failed)] for check in checks if check.refutes)
    return sha256(json.dumps(failing).encode()).hexdigest()


def repair_message(
    shown: Mapping[str, Any], definitions: Definitions | None, *, attempt: int, attempts: int
) -> str:
    """Return the prompt after an attempt that was refuted or inconclusive; `shown` has the output of checks."""
    placed = definitions.checks if definitions else ()
    commands = {each.check.id: command_of(each.check) for each in placed}
    is_refuted = shown["verdict"] == Verdict.REFUTED
    outcome = "do not pass" if is_refuted else "are inconclusive"
    blocks = [f"The checks of this run {outcome} (attempt {attempt} of {attempts})."]
    reasons: dict[str | None, list[str]] = {}
    for reason in shown["reasons"]:
        reasons.setdefault(reason["check"], []).append(words_of(reason))
    blocks += reasons.pop(None, [])
    if any(reason["code"] == VerdictReason.SETUP_FAILED for reason in shown["reasons"]):
        failed = [step for step in shown["setup"] if step["status"] == "failed"]
        blocks += ["\n".join([f"Set-up: {step['command']}", *_output(step)]) for step in failed]
    for check in shown["checks"]:
        if (why := reasons.get(check["id"])) is not None:
            blocks.append("\n".join(_block(check, commands.get(check["id"]), [] if is_refuted else why)))
    hosts = dict.fromkeys(host for check in shown["checks"] for host in check["blocked_hosts"])
    if hosts:
        blocks.append(f"blocked hosts: {', '.join(hosts)}")
    if protected := shown["protected_changed"]:
        blocks.append(f"protected paths, put back: {', '.join(protected)}")
    return "\n\n".join([*blocks, "Correct the cause; the checks run again on a fresh clone."])


def _block(check: Mapping[str, Any], command: str | None, why: Sequence[str]) -> Iterator[str]:
    yield f"Check {check['id']}" + (f": {command}" if command else "")
    yield from why
    if check["exit_code"] is not None:
        yield f"exit code {check['exit_code']}"
    if failures := check["new_failures"]:
        yield f"new failing cases ({check['counts']['new']}):"
        yield from (f"- {Case(each['suite'], each['class'], each['name']).title}" for each in failures)
    yield from _output(check)


def _output(shown: Mapping[str, Any]) -> list[str]:
    # No line of it can begin a code block, or anything else that the agent could take for ours.
    return ["output:", *(f"| {line}" for line in shown["tail"].splitlines())]
