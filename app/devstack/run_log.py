"""A run's log as lines for a terminal: reads the log object while it grows, and formats its entries."""

import json
from collections.abc import Callable
from typing import Any

import httpx

from app.devstack.errors import DevstackError
from app.devstack.terminal import Styled, TerminalOutput

_SHOWN_LINES = 12  # of one step's output at a time
_REFUSED = frozenset({404, 416})  # no log yet; nothing new

Update = dict[str, Any]  # Any: an ACP update, as it stands in the log


class RunLog:
    """Reads the log of one run and prints it on a terminal."""

    def __init__(self, terminal: TerminalOutput) -> None:
        self._terminal = terminal
        self._offset = 0
        self._shown_output: set[str] = set()
        self._wordings: dict[str, Callable[[Update], None]] = {
            "tool_call": self._step_begins,
            "tool_call_update": self._step_goes_on,
            "agent_message": self._message,
        }

    def show_new(self, client: httpx.Client, url: str) -> None:
        """Print the log entries that were added since the last call. Print nothing if the log does not exist yet."""
        try:
            answer = client.get(url, headers={"Range": f"bytes={self._offset}-"})
        except httpx.HTTPError as error:
            raise DevstackError(f"the run's log cannot be read: {error}") from error
        if answer.status_code in _REFUSED:
            return
        if answer.is_error:
            raise DevstackError(f"the run's log cannot be read: status {answer.status_code}")
        content = (
            answer.content
            if answer.status_code == httpx.codes.PARTIAL_CONTENT
            else answer.content[self._offset :]
        )
        complete = content[: content.rfind(b"\n") + 1]
        self._offset += len(complete)
        for line in complete.splitlines():
            self._entry(json.loads(line))

    def _entry(self, entry: dict[str, Any]) -> None:  # Any: a log entry (contract 13.4)
        notification = entry.get("notification") or {}
        params = notification.get("params") or {}
        if notification.get("method") == "_taskbeacon/progress":
            self._print_marked("●", "cyan", str(params.get("message", "")))
        update = params.get("update") or {}
        if wording := self._wordings.get(update.get("sessionUpdate", "")):
            wording(update)

    def _step_begins(self, update: Update) -> None:
        self._print_marked("▸", "bold", str(update.get("title", "")))

    def _step_goes_on(self, update: Update) -> None:
        step, status = str(update.get("toolCallId")), update.get("status")
        if status == "in_progress":
            self._shown_output.add(step)
            self._output(update)
            return
        if step not in self._shown_output:  # the end of a step repeats its output
            self._output(update)
        if status == "failed":
            self._terminal.styled_line("    ✗ failed", "red")

    def _output(self, update: Update) -> None:
        texts = [(part.get("content") or {}).get("text") or "" for part in update.get("content") or []]
        lines = "".join(texts).splitlines()
        for line in lines[:_SHOWN_LINES]:
            self._terminal.styled_line(f"    {line}", "dim")
        if len(lines) > _SHOWN_LINES:
            self._terminal.styled_line(f"    … {len(lines) - _SHOWN_LINES} more lines", "dim")

    def _message(self, update: Update) -> None:
        self._print_marked("»", "green", str((update.get("content") or {}).get("text") or ""))

    def _print_marked(self, mark: str, style: str, text: str) -> None:
        for number, line in enumerate(text.strip("\n").splitlines()):
            self._terminal.line("  ", Styled(mark if number == 0 else " ", style), f" {line}")
