"""The person at the terminal: asked by an agent, and present while they follow a run."""

import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from select import select
from threading import Event, Thread
from typing import Any
from uuid import uuid4

from taskbeacon.cli import output
from taskbeacon.cli.options import json_or_text, option_id
from taskbeacon.client import Client, Conflict, ConnectionFailed, TaskbeaconError
from taskbeacon.client.events import TERMINAL
from taskbeacon.client.shapes import checked

_BEAT_SECONDS = 30.0
_LOOK_SECONDS = 2.0
# The fields of a question that are read.
_QUESTION = dict.fromkeys(("id", "digest", "status", "kind", "title", "detail"), str) | {
    "project_id": int, "options": [{"id": str, "name": str}], "schema": ({"properties": (dict, None)}, None),
}  # fmt: skip
_WORDS = {"yes": "true", "no": "false"}
_Read = Callable[[str], str | None]


class _Settled(Exception):
    """The question was answered elsewhere."""


def ask(client: Client, run: dict[str, Any], waiting_for: dict[str, Any]) -> bool:
    """Ask what a run waits for, and send the answer; return False if the person gives none."""

    def is_settled() -> bool:
        with suppress(ConnectionFailed):
            current = client.runs.get(run)
            return current["status"] in TERMINAL or current["state"].get("waiting_for") != waiting_for
        return False

    read = partial(_read, is_settled)
    try:
        if waiting_for.get("kind") == "message":
            if text := read("message (Enter alone ends the conversation)"):
                client.runs.send(run, text)
            else:
                client.perform(client.core.command(run, "close", {}))
            return True
        found = client.request("GET", f"{client.perform(client.core.run_path(run))}/questions")
        questions = checked(found, {"results": [_QUESTION]})["results"]
        question = next((each for each in questions if each["status"] == "open"), None)
        if question is None:
            return True  # answered meanwhile
        _show(question)
        body = _form(question, read) if question["kind"] == "form" else _choice(question, read)
        if body is None:
            return False
        try:
            client.questions.answer(question, **body)
        except Conflict as error:
            via = (error.extra if isinstance(error.extra, dict) else {}).get("answered_via")
            output.note(f"It is answered already{f' ({via})' if via else ''}; the run goes on.")
    except _Settled:
        output.note("\nIt is answered already, elsewhere; the run goes on.")
    return True


def _show(question: dict[str, Any]) -> None:
    output.note(f"\n{output.one_line(question['title'])}")
    if question["detail"]:
        output.note(question["detail"])
    if question.get("link"):
        output.note(f"{question['link']} ({question.get('link_host')})")
    for number, option in enumerate(question["options"], 1):
        output.note(f"  {number} {output.one_line(option['name'])}")


def _choice(question: dict[str, Any], read: _Read) -> dict[str, Any] | None:
    if question["kind"] == "url":
        said = read("accept, decline or cancel")
        return {"action": said} if said in {"accept", "decline", "cancel"} else None
    while True:
        said = read("number, name or id")
        if not said:
            return None
        if chosen := option_id(question["options"], said):
            return {"option_id": chosen}
        output.note("There is no such option.")


def _form(question: dict[str, Any], read: _Read) -> dict[str, Any] | None:
    content: dict[str, Any] = {}
    schema = question.get("schema") or {}
    for name, described in (schema.get("properties") or {}).items():
        # A schema can be `true`, too.
        field = described if isinstance(described, dict) else {}
        title = field.get("title") or field.get("description") or name
        choices = field.get("enum")
        listed = f" ({', '.join(map(str, choices))})" if isinstance(choices, list) else ""
        said = read(f"{title}{listed}")
        if said is None:
            return None
        if said:
            is_text = field.get("type") in (None, "string")
            content[name] = said if is_text else json_or_text(_WORDS.get(said.casefold(), said))
    return {"action": "accept", "content": content}


def _read(is_settled: Callable[[], bool], prompt: str) -> str | None:
    sys.stderr.write(f"{output.one_line(prompt)} > ")
    sys.stderr.flush()
    # On Windows, `select` takes sockets only.
    while os.name == "posix" and not select([sys.stdin], [], [], _LOOK_SECONDS)[0]:
        if is_settled():
            from termios import TCIFLUSH, tcflush  # noqa: PLC0415 - not everywhere

            # Drop what was typed: it is no answer to the next question.
            tcflush(sys.stdin, TCIFLUSH)
            raise _Settled
    if line := sys.stdin.readline():
        return line.strip()
    output.note("")  # the end of input moves no cursor
    return None


def agrees(question: str) -> bool:
    return _read(lambda: False, f"{question} (yes, no)") in {"y", "yes"}


@contextmanager
def showing(client: Client, task_path: str) -> Generator[Callable[[float], None], None, None]:
    """Report presence while in the foreground of a terminal; yield the function that ends it."""
    is_over = Event()
    device = {"device_id": str(uuid4()), "kind": "terminal"}

    def beat() -> None:
        has_beaten = is_ending = False
        while not is_ending:
            # The shell may move this to the background and back.
            if _is_in_foreground():
                with suppress(TaskbeaconError):
                    client.request("POST", f"{task_path}/presence", json=device)
                    has_beaten = True
            is_ending = is_over.wait(_BEAT_SECONDS)
        if has_beaten:
            with suppress(TaskbeaconError):
                client.request("DELETE", f"{task_path}/presence", json=device)

    def leave(seconds: float) -> None:
        is_over.set()
        thread.join(seconds)

    thread = Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield leave
    finally:
        leave(10.0)


def _is_in_foreground() -> bool:
    try:
        return sys.stdout.isatty() and os.tcgetpgrp(sys.stdout.fileno()) == os.getpgrp()
    except (AttributeError, OSError, ValueError):
        return False
