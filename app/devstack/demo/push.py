"""The phone of the demo: a device that shows the task or not, and its pushes, sent or suppressed.

It is a client like any other; it never polls faster than a phone sends beats.
"""

import time
from typing import Any

import httpx

from app.devstack.errors import DevstackError
from app.devstack.terminal import TerminalOutput
from app.enums import NotificationDecision, NotificationKind
from app.ids import new_hex_id

_BEAT_SECONDS = 25.0
# Of what the phone's presence has deferred.
_WAITED = frozenset({NotificationDecision.DEFERRED, NotificationDecision.NOT_NEEDED})
_UNDECIDED = frozenset({NotificationDecision.PENDING, NotificationDecision.RETRYING})


class Phone:
    """A simulated phone: a device that registers for pushes through the API, and that can show one task."""

    def __init__(self, client: httpx.Client, base_url: str, task_id: str) -> None:
        self._client = client
        self._task = f"tasks/{task_id}"
        self._last_beat = 0.0
        token = f"ExponentPushToken[demo-{new_hex_id()[:12]}]"
        url = f"{base_url}/api/users/@me/push_tokens/"
        self._device_id = self._answer("POST", url, token=token, platform="ios")["id"]

    def show_task(self) -> None:
        """Report to the API that the phone shows the task. Like an app, report it at most once in 25 seconds."""
        if time.monotonic() - self._last_beat >= _BEAT_SECONDS:
            self._answer("POST", f"{self._task}/presence/", device_id=self._device_id)
            self._last_beat = time.monotonic()

    def leave_task(self) -> None:
        """Report to the API that the phone no longer shows the task."""
        self._answer("DELETE", f"{self._task}/presence/", device_id=self._device_id)

    def notification(self, run_id: str, kind: NotificationKind) -> dict[str, Any]:  # Any: JSON
        """Return the push about a run with this kind, as JSON of the API: whether it was sent, and the reason."""
        listed = self._answer("GET", f"{self._task}/notifications/")["results"]
        ours = (row for row in listed if row["run"] == run_id and row["kind"] == kind)
        return next((row for row in ours if row["decision"] not in _UNDECIDED), {})

    def _answer(self, method: str, url: str, **body: Any) -> dict[str, Any]:  # Any: JSON
        try:
            answer = self._client.request(method, url, json=body or None).raise_for_status()
        except httpx.HTTPError as error:
            raise DevstackError(f"{method} {url} failed: {error}") from error
        value: dict[str, Any] = answer.json() if answer.content else {}
        return value


def show_notification(terminal: TerminalOutput, row: dict[str, Any]) -> None:  # Any: JSON
    """Print in words whether a push was sent, and the reason. `row` is the push as JSON of the API."""
    watched = row.get("watched_by")
    if row.get("decision") in _WAITED and watched:
        age = watched["seconds_ago"]
        terminal.line(f"  {row['body']}: not pushed, as a phone was showing the task {age:.0f} s before")
    else:
        terminal.line(f"  {row['body']}: {row['decision']}" + (f", {row['reason']}" if row["reason"] else ""))
