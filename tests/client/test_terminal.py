"""The command `taskbeacon` in a terminal: presence, questions, sizes and colours."""

import os
from shlex import join

from tests.client.server import PROJECT, Reply, Server, answer
from tests.client.terminal import TASKBEACON, Shown, Terminal
from tests.client.test_command_line import DONE, ENDED, ENTRY, PATH, RUN_ID, TASK_ID, follows

PRESENCE = f"{PROJECT}/tasks/{TASK_ID}/presence"


def environment(beacon: Server, **more: str) -> dict[str, str]:
    own = {name: os.environ[name] for name in ("PATH", "HOME", "XDG_CONFIG_HOME") if name in os.environ}
    return own | {"TASKBEACON_URL": beacon.url, "TASKBEACON_TOKEN": "phx_secret", **more}


def shown(beacon: Server, *command: str, **more: str) -> Shown:
    return Terminal(command, environment(beacon, **more)).end()


def test_who_sees_a_follow_is_present(beacon: Server) -> None:
    """In the foreground of a terminal; not in the background, nor with the output elsewhere."""
    follows(beacon, DONE, ENTRY, ENDED)
    beacon.on(f"POST {PRESENCE}", answer(None, 204))
    beacon.on(f"DELETE {PRESENCE}", answer(None, 204))
    follow = [*TASKBEACON, "run", "follow", RUN_ID]
    assert shown(beacon, *follow).code == 0
    (beat,), (left,) = beacon.at(f"POST {PRESENCE}"), beacon.at(f"DELETE {PRESENCE}")
    assert beat.json == left.json == {"device_id": beat.json["device_id"], "kind": "terminal"}

    for shell in (f"set -m; {join(follow)} & wait $!", f"{join(follow)} > /dev/null"):
        beacon.received.clear()
        assert shown(beacon, "bash", "-c", shell).code == 0
        assert beacon.at(f"GET {PATH}/stream")
        assert not beacon.at(f"POST {PRESENCE}") + beacon.at(f"DELETE {PRESENCE}")


def test_a_patch_has_colours_where_a_person_sees_it(beacon: Server) -> None:
    patch = b"diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-one\x1b[2J\n+two\n same\n"
    files = [{"id": "a" * 32, "name": "changes.patch", "type": "output", "size": 3, "storage_path": "p"}]
    follows(beacon, DONE)
    beacon.reset(f"GET {PATH}", answer(DONE | {"artifacts": files}))
    beacon.on(f"GET {PATH}/artifacts/download", Reply(body=patch))
    diff = [*TASKBEACON, "run", "diff", RUN_ID]
    assert shown(beacon, *diff).text.splitlines() == [
        "\x1b[1mdiff --git a/a b/a\x1b[0m", "\x1b[1m--- a/a\x1b[0m", "\x1b[1m+++ b/a\x1b[0m",
        "\x1b[36m@@ -1 +1 @@\x1b[0m", "\x1b[31m-one[2J\x1b[0m", "\x1b[32m+two\x1b[0m", " same",
    ]  # fmt: skip
    for plain in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in shown(beacon, *diff, **plain).text
