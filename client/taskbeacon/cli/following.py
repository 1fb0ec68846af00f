"""Follow a run on the command line: print what happens, ask in a terminal, and end with a code that says how."""

import json
import signal
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

from taskbeacon.cli import failures, output
from taskbeacon.cli.failures import Failure
from taskbeacon.cli.live import RUN, Transcript, show_result
from taskbeacon.cli.person import ask, showing
from taskbeacon.client import Client, End, Event, Gap, TaskbeaconError, Waiting
from taskbeacon.client.shapes import checked

_LEAVE_SECONDS = 0.3
_CODES = {"completed": failures.DONE, "failed": failures.FAILED, "cancelled": failures.CANCELLED}


def has_terminal(*, as_json: bool) -> bool:
    """Return whether a person can be asked."""
    return not as_json and all(each is not None and each.isatty() for each in (sys.stdin, sys.stderr))


def follow(client: Client, run: Any, *, as_json: bool, timeout: float | None = None, **options: Any) -> int:
    """Follow a run to its end, or until it waits; return the exit code. Raises Failure if the run goes on."""
    follower = _Follower(client, as_json=as_json, **options)
    failures.at_stop.append(follower.stop)
    if timeout is not None and hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, timeout)
    return follower.perform(run)


@dataclass(kw_only=True)
class _Follower:
    client: Client = field(kw_only=False)
    as_json: bool
    require: str | None = None
    until: str | None = None
    close: bool = False
    # The id of the last event.
    after: str | None = None
    run: dict[str, Any] = field(default_factory=dict)
    transcript: Transcript = field(default_factory=Transcript)
    # Shown before the first question: the stream brings it again.
    logged: set[str] = field(default_factory=set)
    # Ends the presence, in at most the given number of seconds.
    leave: Callable[[float], None] = lambda _: None
    has_ended: bool = False

    def perform(self, run: Any) -> int:
        try:
            self.run = dict(checked(self.client.runs.get(run), RUN))
            self._json({"type": "run", "run": self.run})
            if not self.as_json:
                output.note(f"Run {self.run['id']}")
            with (
                showing(self.client, f"tasks/{self.run['task']}") as self.leave,
                closing(self.client.runs.follow(self.run, after=self.after)) as items,
            ):
                for item in items:
                    if isinstance(item, End):
                        self.after = item.event_id or self.after
                        return self._end(dict(checked(item.run, RUN)))
                    if isinstance(item, Waiting):
                        self._wait(item)
                    else:
                        # Both or neither: a stop reports the last event that was printed.
                        with output.writing:
                            self._print(item)
                            self.after = item.event_id or self.after
        except (TaskbeaconError, LookupError, TypeError, AttributeError) as error:
            failure = failures.failure_of(error)
            self._json_end("error", failures.DEFECT if failure is None else failure.exit_code)
            if failure is None:
                raise
            if failure.exit_code == failures.SERVER:
                failure.resume = self._resume
            raise failure from error
        raise AssertionError("a follow ends by an item or an error")

    def _print(self, item: Event | Gap) -> None:
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
                    output.line(f"… {missing} events are missing here", "  ", "yellow")

    def _wait(self, item: Waiting) -> None:
        self.after = item.event_id or self.after
        self._json({"type": "waiting", "waiting_for": item.waiting_for, "event_id": item.event_id})
        if not (self.as_json or self.after or self.logged):
            self._show_log()
        if not self._goes_on(item.waiting_for):
            message = "the run waits for a person: see `taskbeacon inbox`"
            self._json_end("waiting", failures.WAITS)
            raise Failure(message, code="waiting", exit_code=failures.WAITS, resume=self._resume)

    def _show_log(self) -> None:
        with suppress(TaskbeaconError):
            for entry in self.client.runs.log(self.run):
                self.transcript.show(entry)
                self.logged.add(json.dumps(entry, sort_keys=True))

    def _goes_on(self, waiting_for: dict[str, Any]) -> bool:
        if self.until == "waiting":
            return False
        if self.close and waiting_for.get("kind") == "message":
            self.client.perform(self.client.core.command(self.run, "close", {}))
            return True
        can_ask = self.until is None and has_terminal(as_json=self.as_json)
        return self.until == "terminal" or (can_ask and ask(self.client, self.run, waiting_for))

    def _end(self, run: dict[str, Any]) -> int:
        verification = run.get("verification") or {}
        verdict = verification.get("verdict")
        code = _CODES[run["status"]]
        if code == failures.DONE and not self._is_as_required(verification):
            code = failures.VERDICT
        self.run = run
        self._json_end("terminal", code)
        if not self.as_json:
            show_result(run)
            if any(each["name"] == "changes.patch" for each in run["artifacts"]):
                output.note(f"taskbeacon run apply {run['id']}")
        if code == failures.VERDICT:
            raise Failure(f"the verdict is {verdict or 'none'}", code="verdict", exit_code=code)
        return code

    def _is_as_required(self, verification: dict[str, Any]) -> bool:
        has_passed = (verification.get("ci") or {}).get("state") == "success"
        is_verified = verification.get("verdict") == "verified"
        return not self.require or (is_verified and (self.require == "verified" or has_passed))

    @property
    def _resume(self) -> str | None:
        if not self.run:
            return None
        after = f" --after {self.after}" if self.after else ""
        return f"taskbeacon run follow {self.run['id']}{' --close' if self.close else ''}{after}"

    def stop(self, failure: Failure) -> None:
        """Leave the run while another thread follows it; that prints nothing more."""
        self.leave(_LEAVE_SECONDS)
        with suppress(OSError, output.OutputClosed):
            if output.writing.acquire(timeout=_LEAVE_SECONDS):
                self._json_end(failure.code, failure.exit_code)
        failure.message += "; the run goes on"
        failure.resume = self._resume

    def _json_end(self, reason: str, exit_code: int) -> None:
        with output.writing:
            if not self.run or self.has_ended:
                return
            self.has_ended = True
            verdict = (self.run.get("verification") or {}).get("verdict")
            end = {"type": "end", "reason": reason, "status": self.run.get("status"), "verdict": verdict}
            resume = None if reason == "terminal" else self._resume
            self._json({**end, "exit_code": exit_code, "event_id": self.after, "resume": resume})

    def _json(self, line: dict[str, Any]) -> None:
        if self.as_json:
            output.as_json(line)
