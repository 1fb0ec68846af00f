"""An agent that keeps its conversations in its home, as the real ones do; started by workspace/test_kept_session.py.

Its argument says how it resumes one: `load` (and sends all of it again), `resume` (silently), `refuse`, or `die`. By
`work` it loads one, and writes the number of prompts so far to a file; by `give-up` it does so once, and then takes it
back, changes another, and crashes; by `spend` it then spends a thousand tokens, until it is cancelled, and by `once`
it then does nothing.
"""

import json
import os
import re
import sys
import uuid
from pathlib import Path
from typing import Any

HOME = Path(os.environ["HOME"], ".remembering")
(HOME / "auth.json").parent.mkdir(exist_ok=True)
(HOME / "auth.json").write_text("a credential")


def send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def say(session: str, text: str) -> None:
    update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}
    send({"method": "session/update", "params": {"sessionId": session, "update": update}})


def place(session: str) -> Path:
    """Return the file of a conversation, in a folder that is named after the workspace."""
    folder = HOME / "sessions" / re.sub(r"[^A-Za-z0-9]", "-", str(Path.cwd()))
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{session}.jsonl"


def remembered(session: str) -> list[str]:
    file = place(session)
    return file.read_text().splitlines() if file.exists() else []


def work(manner: str, prompts: int) -> None:
    if manner in {"work", "give-up", "spend"} or (manner == "once" and prompts == 1):
        Path("turns.txt").write_text(f"{prompts}\n")
    if manner == "give-up" and prompts > 1:
        Path("turns.txt").write_text("0\n")
        Path("README.md").write_text("after\n")
        sys.exit(3)


def wait_for_cancel() -> None:
    while json.loads(sys.stdin.readline()).get("method") != "session/cancel":
        pass


def answer(manner: str, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    match method:
        case "initialize":
            offers: dict[str, Any] = {"loadSession": manner != "resume"}
            if manner == "resume":
                offers["sessionCapabilities"] = {"resume": {}}
            return {"result": {"protocolVersion": 1, "agentCapabilities": offers}}
        case "session/new":
            return {"result": {"sessionId": str(uuid.uuid4())}}
        case "session/load" | "session/resume":
            lines = remembered(params["sessionId"])
            if manner == "die":
                sys.exit(3)
            if manner == "refuse" or not lines:
                return {"error": {"code": -32002, "message": "No such session"}}
            for line in lines if manner != "resume" else ():
                say(params["sessionId"], f"Once more: {line}")
            return {"result": {}}
        case "session/prompt":
            session, texts = params["sessionId"], [block["text"] for block in params["prompt"]]
            line = json.dumps({"prompt": texts, "cwd": str(Path.cwd()), "knows": os.environ.get("KNOWN")})
            with place(session).open("a") as file:
                file.write(line + "\n")
            work(manner, len(remembered(session)))
            say(session, "\n".join(remembered(session)))
            is_spending = manner == "spend" and len(remembered(session)) > 1
            cost = {"amount": len(remembered(session)) / 10, "currency": "USD"}
            used = 1000 if is_spending else 1
            update = {"sessionUpdate": "usage_update", "used": used, "size": 1000, "cost": cost}
            send({"method": "session/update", "params": {"sessionId": session, "update": update}})
            if is_spending:
                wait_for_cancel()
            return {"result": {"stopReason": "cancelled" if is_spending else "end_turn"}}
        case _:
            return None


def main() -> None:
    for text in sys.stdin:
        message = json.loads(text)
        given = answer(sys.argv[1], message.get("method", ""), message.get("params", {}))
        if given is not None:
            send({"id": message["id"], **given})


if __name__ == "__main__":
    main()
