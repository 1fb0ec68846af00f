"""Ask a question of an agent in the terminal."""

import json
import sys
from typing import Any

from taskbeacon.cli import output
from taskbeacon.client import Client, Conflict


def ask(client: Client, run: dict[str, Any], waiting_for: dict[str, Any]) -> bool:
    """Ask what a run waits for, and send the answer; return False if the person gives none."""
    if waiting_for.get("kind") == "message":
        text = _read("message (empty ends the conversation)")
        if text:
            client.runs.send(run, text)
        else:
            client.perform(client.core.command(run, "close", {}))
        return True
    path = client.perform(client.core.run_path(run))
    questions = client.request("GET", f"{path}/questions")["results"]
    question = next((each for each in questions if each["status"] == "open"), None)
    if question is None:
        return True  # answered meanwhile
    _show(question)
    body = _form(question) if question["kind"] == "form" else _choice(question)
    if body is None:
        return False
    try:
        client.questions.answer(question, **body)
    except Conflict as error:
        said = error.extra if isinstance(error.extra, dict) else {}
        via = said.get("answered_via")
        output.note(f"It is answered already{f' ({via})' if via else ''}; the run goes on.")
    return True


def _show(question: dict[str, Any]) -> None:
    output.note(f"\n{output.one_line(question['title'])}")
    if question["detail"]:
        output.note(question["detail"])
    if question["link"]:
        output.note(f"{question['link']} ({question['link_host']})")
    for number, option in enumerate(question["options"], 1):
        output.note(f"  {number} {output.one_line(option['name'])}")


def _choice(question: dict[str, Any]) -> dict[str, Any] | None:
    options = question["options"]
    if question["kind"] == "url":
        said = _read("accept, decline or cancel")
        return {"action": said} if said in {"accept", "decline", "cancel"} else None
    while True:
        said = _read("number, name or id")
        if not said:
            return None
        for number, option in enumerate(options, 1):
            if said in {str(number), option["id"]} or said.casefold() == option["name"].casefold():
                return {"option_id": option["id"]}
        output.note("There is no such option.")


def _form(question: dict[str, Any]) -> dict[str, Any] | None:
    content: dict[str, Any] = {}
    schema = question["schema"] or {}
    for name, field in (schema.get("properties") or {}).items():
        title = field.get("title") or field.get("description") or name
        said = _read(_prompt(title, field.get("enum")))
        if said is None:
            return None
        if said:
            content[name] = said if field.get("type") in {None, "string"} else _value(said)
    return {"action": "accept", "content": content}


def _prompt(title: Any, choices: Any) -> str:
    listed = f" ({', '.join(map(str, choices))})" if isinstance(choices, list) else ""
    return f"{title}{listed}"


def _value(text: str) -> Any:
    try:
        return json.loads({"yes": "true", "no": "false"}.get(text.casefold(), text))
    except ValueError:
        return text


def _read(prompt: str) -> str | None:
    sys.stderr.write(f"{output.one_line(prompt)} > ")
    sys.stderr.flush()
    line = sys.stdin.readline()
    return line.strip() if line else None
