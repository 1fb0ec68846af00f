"""The question of the demo, answered with the token of a button in its push.

The push arrives at the stack's sink; the answer needs no key.
"""

from typing import Any

import httpx

from app.devstack.api_client import failures_as_devstack_errors, request
from app.devstack.errors import DevstackError
from app.enums import AnswerVia

# A message to the runbook agent. It fails if the agent does not get the answer `yes`.
ASKING = """\
```ask options=no,yes
May others read this map?
```

```sh
# Go on only with permission.
test "$TASKBEACON_ANSWER" = yes
```
"""


class PushedQuestion:
    """A question of an agent as a phone receives it in a push: its id, and buttons with action tokens."""

    def __init__(self, push: dict[str, Any]) -> None:  # Any: JSON
        self.id: str = push["data"]["questionId"]
        self._buttons = {button["id"]: button for button in push["data"]["actions"]}

    def allow(self, plain: httpx.Client, base_url: str) -> str:
        """Answer the question with the action token of the button `allow`; return the title of the button."""
        button = self._buttons.get("allow")
        if button is None:
            raise DevstackError("the push of the question has no button that allows")
        answered = request(plain, "POST", f"{base_url}/api/actions/{button['token']}")
        given = answered["answer"]["option_id"], answered["answered_via"]
        if given != (button["option_id"], AnswerVia.ACTION_TOKEN):
            raise DevstackError(f"the question has another answer: {given}")
        return str(button["title"])


def find_pushed(plain: httpx.Client, sink_url: str, run_id: str) -> list[PushedQuestion]:
    """Return the questions of a run, from the pushes that the local stand-in for Expo has received so far."""
    with failures_as_devstack_errors("the sink cannot be read"):
        pushes = plain.get(f"{sink_url}/pushes").raise_for_status().json()
    return [
        PushedQuestion(push)
        for push in pushes
        if push["data"].get("taskRunId") == run_id and "actions" in push["data"]
    ]
