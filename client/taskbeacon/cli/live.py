"""The live view of a run: what its log says, as lines of text."""

from collections.abc import Mapping
from typing import Any

from taskbeacon.cli import output

# The fields of a run that are read.
_REASON = {"check": str | None, "code": str, "detail": str}
RUN = {
    "id": str, "task": str, "status": str, "state": dict, "error_message": str | None, "artifacts": [{"name": str}],
    "verification": ({"verdict": str | None, "reasons": ([_REASON], None), "ci": (dict, None)}, None),
}  # fmt: skip
_SHOWN_OUTPUT_LINES = 12  # of one step at a time
_MESSAGES = {"agent_message": ("»", "green"), "user_message": (">", "cyan")}


class Transcript:
    """Prints progress, the steps of the agent with their output, and messages."""

    def __init__(self) -> None:
        self._shown_output: set[str] = set()

    def show(self, entry: Mapping[str, Any]) -> None:
        match entry:
            case {"notification": {"method": "_taskbeacon/progress", "params": {"message": message}}}:
                self._marked("●", "cyan", str(message))
            case {"notification": {"params": {"update": dict(update)}}}:
                self._show_update(update)
            case _:
                pass

    def _show_update(self, update: Mapping[str, Any]) -> None:
        kind = str(update.get("sessionUpdate"))
        if kind == "tool_call":
            self._marked("▸", "bold", str(update.get("title", "")))
        elif kind == "tool_call_update":
            self._step_goes_on(update)
        elif kind in _MESSAGES:
            self._marked(*_MESSAGES[kind], _text_of(update.get("content")))

    def _step_goes_on(self, update: Mapping[str, Any]) -> None:
        step, status = str(update.get("toolCallId")), update.get("status")
        if step not in self._shown_output or status == "in_progress":  # the end of a step repeats its output
            content = update.get("content")
            parts = content if isinstance(content, list) else []
            text = "".join(_text_of(part.get("content")) for part in parts if isinstance(part, dict))
            lines = text.splitlines()
            for line in lines[:_SHOWN_OUTPUT_LINES]:
                output.line(line, "    ", "dim")
            if len(lines) > _SHOWN_OUTPUT_LINES:
                output.line(f"… {len(lines) - _SHOWN_OUTPUT_LINES} more lines", "    ", "dim")
        self._shown_output.add(step)
        if status == "failed":
            output.line("✗ failed", "    ", "red")

    def _marked(self, mark: str, style: str, text: str) -> None:
        if text := text.strip("\n"):
            lines = "\n".join(output.folded(text, f"  {mark} ", "    "))
            output.write(lines.replace(mark, output.styled(mark, style), 1))


def _text_of(content: Any) -> str:
    return str(content.get("text") or "") if isinstance(content, dict) else ""


def show_verdict(run: Mapping[str, Any]) -> None:
    """Print the verdict about the work of a run, and why."""
    verification = run.get("verification") or {}
    verdict = verification.get("verdict")
    if not verdict:
        return
    style = {"verified": "green", "claimed": "yellow"}.get(verdict, "red")
    waived = ", waived" if verification.get("waived") else ""
    output.write(f"  verdict: {output.styled(verdict, style)}{waived}")
    for reason in verification.get("reasons") or ():
        words = filter(None, (reason["check"], reason["code"].replace("_", " "), reason["detail"]))
        output.line(output.one_line(": ".join(words)), "    ")


def show_result(run: Mapping[str, Any]) -> None:
    """Print how a run ended, and its results."""
    output.line(f"Result: {run['status']}", style="green" if run["status"] == "completed" else "red")
    if run["error_message"]:
        output.line(output.one_line(run["error_message"]), "  ")
    show_verdict(run)
    output.fields(brought(run), ("head_branch", "pr_url"), indent="  ")


def brought(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the worker's fields about the work. They are in the state if a schema describes the output."""
    said: dict[str, Any] = run["output"] if isinstance(run.get("output"), dict) else {}
    return {**said, **run["state"]}
