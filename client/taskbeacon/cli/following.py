"""Follow a run on the command line: print what happens, ask in a terminal, and end with a code that says how."""

import json
import signal
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NoReturn

from taskbeacon.cli import failures, output
from taskbeacon.cli.failures import Failure, Interrupted, TimedOut
from taskbeacon.cli.live import Transcript, show_result
from taskbeacon.cli.person import ask, showing
from taskbeacon.client import Client, End, Event, Gap, TaskbeaconError, Waiting

_CODES = {"completed": failures.DONE, "failed": failures.FAILED, "cancelled": failures.CANCELLED}


def has_terminal(*, as_json: bool) -> bool:
    """Return whether a person can be asked."""
    return not as_json and all(each is not None and each.isatty() for each in (sys.stdin, sys.stderr))


def follow(
    client: Client,
    run: Any,
    *,
    as_json: bool,
    timeout: float | None = None,
    require: str | None = None,
    **options: Any,
) -> int:
    """Follow a run to its end, or until it waits; return the exit code. Raises Failure where the run goes on."""
    required = set(require.split(",")) if require else set[str]()
    follower = _Follower(client, as_json=as_json, required=required, **options)
    with _deadline(timeout):
        return follower.perform(run)


@dataclass(kw_only=True)
class _Follower:
    client: Client = field(kw_only=False)
    as_json: bool
    required: set[str]
    until: str | None = None
    close: bool = False
    # The id of the last event.
    after: str | None = None
    run: dict[str, Any] = field(default_factory=dict)
    transcript: Transcript = field(default_factory=Transcript)
    # Shown before the first question: the stream brings it again.
    logged: set[str] = field(default_factory=set)

    def perform(self, run: Any) -> int:
        try:
            self.run = dict(self.client.runs.get(run))
            self._json({"type": "run", "run": self.run})
            if not self.as_json:
                output.note(f"Run {self.run['id']}")
            with (
                showing(self.client, f"tasks/{self.run['task']}"),
                closing(self.client.runs.follow(self.run, after=self.after)) as items,
            ):
                for item in items:
                    self.after = item.event_id or self.after
                    if isinstance(item, End):
                        return self._end(dict(item.run))
                    self._take(item)
        except (Interrupted, KeyboardInterrupt):
            self._leave("interrupted", failures.INTERRUPTED, "interrupted; the run goes on")
        except TimedOut:
            self._leave("timeout", failures.TIMED_OUT, "the time is over; the run goes on")
        except TaskbeaconError as error:
            failure = failures.failure_of(error)
            assert failure is not None
            self._json_end("error", failure.exit_code)
            if failure.exit_code == failures.SERVER:
                failure.resume = self._resume
            raise failure from error
        raise AssertionError("a follow ends by an item or an error")

    def _take(self, item: Event | Gap | Waiting) -> None:
        match item:
            case Event(event_id, _, data):
                typed = data if "type" in data else {"type": "unknown", **data}
                if typed["type"] == "task_run_state" and "status" in data:
                    self.run["status"] = data["status"]
                self._json({**typed, "event_id": event_id})
                if not self.as_json and json.dumps(data, sort_keys=True) not in self.logged:
                    self.transcript.show(data)
            case Gap(event_id, lost, data):
                self._json({**data, "type": "gap", "lost": lost, "event_id": event_id})
                if not self.as_json:
                    missing = "some" if lost is None else str(lost)
                    output.write(output.styled(f"  … {missing} events are missing here", "yellow"))
            case Waiting(event_id, waiting_for):
                self._json({"type": "waiting", "waiting_for": waiting_for, "event_id": event_id})
                if not (self.as_json or self.after or self.logged):
                    self._show_log()
                if not self._goes_on(waiting_for):
                    message = "the run waits for a person: see `taskbeacon inbox`"
                    self._leave("waiting", failures.WAITS, message)

    def _show_log(self) -> None:
        with suppress(TaskbeaconError):
            for entry in self.client.runs.log(self.run):
                self.transcript.show(entry)
                self.logged.add(json.dumps(entry, sort_keys=True))

    def _goes_on(self, waiting_for: dict[str, Any]) -> bool:
        """Give the run what it waits for, where that is wanted; return whether to follow on."""
        if self.until == "waiting":
            return False
        if self.close and waiting_for.get("kind") == "message":
            self.client.perform(self.client.core.command(self.run, "close", {}))
            return True
        can_ask = self.until is None and has_terminal(as_json=self.as_json)
        return self.until == "terminal" or (can_ask and ask(self.client, self.run, waiting_for))

    def _end(self, run: dict[str, Any]) -> int:
        verification = run["verification"] or {}
        verdict = verification.get("verdict")
        code = _CODES[run["status"]]
        if code == failures.DONE and not self._is_as_required(verification):
            code = failures.VERDICT
        self.run = run
        self._json_end("terminal", code)
        if not self.as_json:
            show_result(run)
        if code == failures.VERDICT:
            raise Failure(f"the verdict is {verdict or 'none'}", code="verdict", exit_code=code)
        return code

    def _is_as_required(self, verification: dict[str, Any]) -> bool:
        has_passed = (verification.get("ci") or {}).get("state") == "success"
        is_verified = verification.get("verdict") == "verified"
        return not self.required or (is_verified and ("ci" not in self.required or has_passed))

    @property
    def _resume(self) -> str | None:
        """The command that goes on; None before the run is known."""
        if not self.run:
            return None
        after = f" --after {self.after}" if self.after else ""
        return f"taskbeacon run follow {self.run['id']}{' --close' if self.close else ''}{after}"

    def _leave(self, reason: str, exit_code: int, message: str) -> NoReturn:
        self._json_end(reason, exit_code)
        raise Failure(message, code=reason, exit_code=exit_code, resume=self._resume)

    def _json_end(self, reason: str, exit_code: int) -> None:
        if self.run:
            verdict = (self.run["verification"] or {}).get("verdict")
            end = {"type": "end", "reason": reason, "status": self.run["status"], "verdict": verdict}
            resume = None if reason == "terminal" else self._resume
            self._json({**end, "exit_code": exit_code, "event_id": self.after, "resume": resume})

    def _json(self, line: dict[str, Any]) -> None:
        if self.as_json:
            output.as_json(line)


@contextmanager
def _deadline(seconds: float | None) -> Generator[None, None, None]:
    if seconds is None or not hasattr(signal, "setitimer"):
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        raise TimedOut

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
