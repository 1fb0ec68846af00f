"""How the command line ends: exit codes, and the last line of standard error."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

import click

from taskbeacon.cli import output

if TYPE_CHECKING:
    from taskbeacon.client import TaskbeaconError

DONE, FAILED, USAGE, VERDICT, SIGN_IN, NOT_FOUND, WAITS, CONFLICT, SERVER, CANCELLED = range(10)
DEFECT, TIMED_OUT, INTERRUPTED = 70, 124, 130

MEANINGS = {
    DONE: "done; with --require also verified",
    FAILED: "the run failed",
    USAGE: "the command line, or the request, is wrong",
    VERDICT: "the run is completed, but its verdict is not the required one",
    SIGN_IN: "not signed in, or not allowed",
    NOT_FOUND: "not found",
    WAITS: "the run waits for a person",
    CONFLICT: "the state of the task, run or checkout does not allow it",
    SERVER: "no answer, or no usable one, after repetitions",
    CANCELLED: "the run was cancelled",
    DEFECT: "a defect of this command: please report what it printed",
    TIMED_OUT: "the time of --timeout is over",
    INTERRUPTED: "interrupted; the run goes on",
}


@dataclass(eq=False)
class Failure(Exception):
    """Ends the command; `resume` is the command that continues, `more` has further fields for `--json`."""

    message: str
    _: KW_ONLY
    code: str
    exit_code: int
    resume: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


# Called at a signal, or at the end of --timeout, before the failure is written; each may complete it.
at_stop: list[Callable[[Failure], None]] = []


def usage(message: str) -> Failure:
    return Failure(message, code="usage", exit_code=USAGE)


def failure_of(error: BaseException) -> Failure | None:
    """Return how an error ends the command; None if it is a fault of this program."""
    match error:
        case Failure():
            return error
        case UnicodeEncodeError(encoding="utf-8"):
            return usage("an argument is not UTF-8")
        case click.ClickException():
            return usage(_with_place(error))
        case OSError():
            return usage(f"{error.filename or 'the output'}: {error.strerror or error}")
        case _:
            return _of_client(error) if "taskbeacon.client" in sys.modules else None


def _of_client(error: BaseException) -> Failure | None:
    from taskbeacon.client.errors import TaskbeaconError  # noqa: PLC0415 - loaded already
    from taskbeacon.client.settings import InsecureUrl  # noqa: PLC0415 - loaded already

    match error:
        case InsecureUrl():
            text = str(error).replace("`insecure`", "--insecure")
            return Failure(text, code="insecure_url", exit_code=USAGE)
        case ValueError():
            return usage(str(error))
        case TaskbeaconError():
            wait = error.retry_after
            text = error.message if wait is None else f"{error.message} Try again in {wait:.0f} s."
            if name := getattr(error, "attr", None):
                text = f"{name}: {text}"
            more = {"status": getattr(error, "status", None), "request_id": error.request_id}
            more["retryable"] = error.retryable
            return Failure(text, code=error.code, exit_code=_exit_code(error), more=more)
        case _:
            return None


def _exit_code(error: "TaskbeaconError") -> int:
    from taskbeacon.client import errors  # noqa: PLC0415 - loaded already

    by_code = {"ambiguous_reference": USAGE, "timeout": TIMED_OUT}
    by_code |= dict.fromkeys(("not_signed_in", "access_denied", "expired_token"), SIGN_IN)
    by_kind: dict[type[Exception], int] = {errors.BadRequest: USAGE, errors.AccessDenied: SIGN_IN}
    by_kind |= {errors.NotFound: NOT_FOUND, errors.Conflict: CONFLICT}
    return by_code.get(error.code) or by_kind.get(type(error), SERVER)


def _with_place(error: click.ClickException) -> str:
    text = " ".join(error.format_message().split()).removesuffix(".")
    place = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "taskbeacon"
    return f"{text} (see {place} --help)"


def tell(failure: Failure, *, as_json: bool) -> None:
    """Write the failure as the last line of standard error, then the command that continues, if any."""
    if as_json:
        error = {"code": failure.code, "message": failure.message, "retryable": False, **failure.more}
        error |= {"exit_code": failure.exit_code, "resume": failure.resume}
        found = {name: value for name, value in error.items() if value is not None}
        output.note(json.dumps({"error": found}))
        return
    output.note(f"taskbeacon: {output.one_line(failure.message)}")
    if failure.resume:
        output.note(failure.resume)
