"""An agent that speaks raw JSON-RPC and plays one part, named by its argument, for session/test_agent_session.py."""

import http.client
import json
import os
import signal
import subprocess
import sys
from typing import Any


def send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def update(**fields: Any) -> None:
    send({"method": "session/update", "params": {"sessionId": "s", "update": fields}})


def say(text: str, **fields: Any) -> None:
    update(sessionUpdate="agent_message_chunk", content={"type": "text", "text": text}, **fields)


def receive() -> dict[str, Any]:
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    message: dict[str, Any] = json.loads(line)
    return message


def ask(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Ask the client and return its whole answer."""
    send({"id": 99, "method": method, "params": {"sessionId": "s", **params}})
    while True:
        answer = receive()
        if answer.get("id") == 99 and "method" not in answer:
            return answer


Answer = dict[str, Any]
Prompt = list[dict[str, Any]]
DONE: Answer = {"result": {"stopReason": "end_turn"}}


def echo(prompt: Prompt) -> Answer:
    say(json.dumps(prompt))
    return DONE


def pieces(_prompt: Prompt) -> Answer:
    say("Hel")
    say("lo.")
    update(sessionUpdate="tool_call", toolCallId="t", title="T", fromTheFuture={"x": 1})
    say("One", messageId="1")
    say("Two", messageId="2")
    return DONE


def unstorable(_prompt: Prompt) -> Answer:
    say("half \ud83d a pair, \0 nothing")
    return DONE


def unknown_update(_prompt: Prompt) -> Answer:
    update(sessionUpdate="hologram", shape="sphere")
    return DONE


def noise(_prompt: Prompt) -> Answer:
    sys.stdout.write("Welcome to the agent!\n\n[1, 2]\n{broken\n")
    say("still here")
    return DONE


def error(_prompt: Prompt) -> Answer:
    return {"error": {"code": -32000, "message": "Authentication required", "data": {"details": "log in"}}}


def crash(_prompt: Prompt) -> Answer:
    sys.stderr.write("x" * 100_000 + "\nthe last words\n")
    sys.stderr.flush()
    os._exit(9)


def hang_up(_prompt: Prompt) -> Answer:
    os.close(1)
    signal.pause()
    return DONE


def long_line(_prompt: Prompt) -> Answer:
    sys.stdout.write("x" * (17 * 2**20))
    sys.stdout.flush()
    signal.pause()
    return DONE


def permission(_prompt: Prompt) -> Answer:
    options = [
        {"optionId": "always", "name": "Always", "kind": "allow_always"},
        {"optionId": "once", "name": "Once", "kind": "allow_once"},
        {"optionId": "no", "name": "No", "kind": "reject_once"},
    ]
    say(json.dumps(ask("session/request_permission", {"toolCall": {"toolCallId": "t"}, "options": options})))
    return DONE


def hidden_failure(prompt: Prompt) -> Answer:
    """End like any other turn, after reporting its status aside: the prompt's words, one after the other."""
    for status in prompt[0]["text"].split():
        update(sessionUpdate="session_info_update", _meta={"codex": {"threadStatus": {"type": status}}})
    say("The model is away.")
    return DONE


def wait_for_cancel(_prompt: Prompt) -> Answer:
    say("waiting")
    while receive().get("method") != "session/cancel":
        pass
    return {"result": {"stopReason": "cancelled"}}


def deaf(_prompt: Prompt) -> Answer:
    """Look at nothing that comes, for ever."""
    signal.pause()
    return DONE


def leave(_prompt: Prompt) -> Answer:
    """Answer, and go."""
    send({"id": 2, **DONE})
    sys.exit(0)


def flood(_prompt: Prompt) -> Answer:
    for number in range(20_000):
        update(sessionUpdate="plan", entries=[], number=number)
    return DONE


def talk_on(_prompt: Prompt) -> Answer:
    """Answer, and then write more than any buffer holds without ever looking at the input."""
    send({"id": 2, **DONE})
    while True:
        sys.stdout.write("x" * 2**20 + "\n")


def spend(prompt: Prompt) -> Answer:
    """Use as many tokens as the prompt says in each of its numbers, a tool in between; leave when cancelled."""
    text = " ".join(block.get("text", "") for block in prompt)
    say(text)
    if "Wrap up now" in text:
        return DONE
    for number in (word for word in text.split() if word.isdigit()):
        cost = {"amount": 0.1, "currency": "USD"}
        update(sessionUpdate="usage_update", used=int(number), size=1000, cost=cost)
        update(sessionUpdate="tool_call_update", toolCallId="t", status="completed")
    if text.endswith("done"):
        usage = {"totalTokens": 100, "inputTokens": 90, "outputTokens": 10}
        return {"result": {"stopReason": "end_turn", "usage": usage}}
    while receive().get("method") != "session/cancel":
        pass
    return {"result": {"stopReason": "cancelled"}}


def overspend(prompt: Prompt) -> Answer:
    """Spend on, instead of finishing."""
    return spend([{"text": "200"}] if "Wrap up now" in prompt[0]["text"] else prompt)


def splurge(prompt: Prompt) -> Answer:
    """Use many tokens at once, and then look at nothing that comes."""
    update(sessionUpdate="usage_update", used=5000, size=1000)
    return deaf(prompt)


def output(prompt: Prompt) -> Answer:
    """Write the structured output that the first prompt spells out; after a complaint, a good one."""
    complained = "Write the file" in prompt[0]["text"]
    content = '{"n": 1}' if complained else prompt[0]["text"]
    with open(".taskbeacon/output.json", "w") as file:
        file.write(content)
    say(prompt[0]["text"])
    return DONE


def requests(prompt: Prompt) -> Answer:
    """Send several requests in turn; `$terminal` in one stands for the last terminal's id. Say all answers."""
    answers: list[object] = []
    terminal = ""
    for wanted in json.loads(prompt[0]["text"]):
        params = {key: terminal if value == "$terminal" else value for key, value in wanted["params"].items()}
        answer = ask(wanted["method"], params)
        terminal = (answer.get("result") or {}).get("terminalId", terminal)
        answers.append(answer.get("result", answer.get("error")))
    say(json.dumps(answers))
    return DONE


def command(prompt: Prompt) -> Answer:
    """Run the prompt by a shell as agents do, in a terminal where the client has some; say where, and its output."""
    words = ["sh", "-c", prompt[0]["text"]]
    if not CLIENT.get("terminal"):
        output = subprocess.run(words, capture_output=True, text=True, check=False).stdout
        say(json.dumps(["agent", output]))
        return DONE
    terminal = ask("terminal/create", {"command": words[0], "args": words[1:]})["result"]
    ask("terminal/wait_for_exit", terminal)
    say(json.dumps(["terminal", ask("terminal/output", terminal)["result"]["output"]]))
    return DONE


def requests_then_deaf(prompt: Prompt) -> Answer:
    """Send several requests in turn, then look at nothing that comes, for ever."""
    requests(prompt)
    return deaf(prompt)


def request(prompt: Prompt) -> Answer:
    """Send the request that the prompt spells out, and say what comes back."""
    wanted = json.loads(prompt[0]["text"])
    say(json.dumps(ask(wanted["method"], wanted["params"])))
    return DONE


def raw(prompt: Prompt) -> Answer:
    """Write lines as they are, and then answer with what is the last of them; leave a file behind."""
    with open("f", "w") as file:
        file.write("x")
    *lines, answer = json.loads(prompt[0]["text"])
    for line in lines:
        sys.stdout.write(line + "\n")
    sys.stdout.flush()
    return json.loads(answer) if answer else DONE


def noisy(_prompt: Prompt) -> Answer:
    sys.stdout.write("noise\n" * 20_000)
    sys.stdout.flush()
    return DONE


def ask_much(prompt: Prompt) -> Answer:
    """Ask the prompt's question many times, make the file `asked`, wait for the file `read`, and count the answers.

    A question about a terminal is about one in which the prompt's command has ended.
    """
    wanted = json.loads(prompt[0]["text"])
    if command := wanted.get("command"):
        send({"id": 99, "method": "terminal/create", "params": {"sessionId": "s", "command": command}})
        wanted["params"]["terminalId"] = receive()["result"]["terminalId"]
        send({"id": 99, "method": "terminal/wait_for_exit", "params": wanted["params"]})
        receive()
    for number in range(wanted["times"]):
        send({"id": 1000 + number, "method": wanted["method"], "params": wanted["params"]})
    open("asked", "w").close()
    while not os.path.exists("read"):
        signal.sigtimedwait([signal.SIGUSR1], 0.05)
    answers = [receive() for _ in range(wanted["times"])]
    say(json.dumps(["result" in answer for answer in answers]))
    return DONE


def capabilities(_prompt: Prompt) -> Answer:
    """Say what the client says that it can do."""
    say(json.dumps(CLIENT))
    return DONE


def elicit_page(_prompt: Prompt) -> Answer:
    """Have a page opened, note that it was used before anybody answers, and say what the client answers."""
    send({"id": 99, "method": "elicitation/create", "params": PAGE})
    send({"method": "elicitation/complete", "params": {"elicitationId": PAGE["elicitationId"]}})
    say(json.dumps(receive()))
    return DONE


def take_back(prompt: Prompt) -> Answer:
    """Send the request that the prompt spells out, take it back once a person is asked, and say what comes."""
    wanted = json.loads(prompt[0]["text"])
    send({"id": 99, "method": wanted["method"], "params": {"sessionId": "s", **wanted["params"]}})
    while not os.path.exists("asked"):
        signal.sigtimedwait([signal.SIGUSR1], 0.05)
    send({"method": "$/cancel_request", "params": {"requestId": 7}})
    send({"method": "$/cancel_request", "params": {"requestId": 99}})
    say(json.dumps(receive()))
    return DONE


def take_messages(prompt: Prompt) -> Answer:
    """Read messages until one is `end`, and say them all; if the prompt is `ask`, first ask for a permission."""
    if prompt[0]["text"] == "ask":
        options = [{"optionId": "yes", "name": "Yes", "kind": "allow_once"}]
        asked = {"sessionId": "s", "toolCall": {"toolCallId": "t"}, "options": options}
        send({"id": 99, "method": "session/request_permission", "params": asked})
    heard: list[object] = []
    while "end" not in heard:
        message = receive()
        if message.get("method") == "_session/steering":
            heard.append(message["params"]["prompt"][0]["text"])
            send({"id": message["id"], "result": {"outcome": "injected"}})
        elif message.get("id") == 99:
            heard.append(message["result"]["outcome"]["outcome"])
        elif message.get("method") == "session/cancel":
            return {"result": {"stopReason": "cancelled"}}
    say(json.dumps(heard))
    return DONE


def refuse_messages(prompt: Prompt) -> Answer:
    """Take no message in the middle of a turn, and end the turn at the second; the first prompt is the answer."""
    if not prompt[0]["text"].startswith("{"):
        say(f"prompt: {prompt[0]['text']}")
        return DONE
    for _ in range(2):
        while (message := receive()).get("method") != "_session/steering":
            pass
        send({"id": message["id"], **json.loads(prompt[0]["text"])})
        update(sessionUpdate="plan", entries=[], refused=message["params"]["prompt"][0]["text"])
    return DONE


def use_tools(prompt: Prompt) -> Answer:
    """Make the requests of the prompt to the server of its tools, and say each answer: status, body."""
    say(json.dumps(SERVERS))
    for asked in json.loads(prompt[0]["text"]) if SERVERS else ():
        place, _, path = SERVERS[0]["url"].removeprefix("http://").partition("/")
        place, path = asked.get("place", place), asked.get("path", f"/{path}")
        headers = {header["name"]: header["value"] for header in SERVERS[0]["headers"]}
        headers |= {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        headers = {**headers, **asked.get("headers", {})}
        body = asked.get("raw")
        if body is None:
            body = json.dumps({"jsonrpc": "2.0", "id": 1, **asked.get("message", {})})
        if "proxied" in asked:
            place, path = os.environ["HTTP_PROXY"].removeprefix("http://"), f"http://{asked['proxied']}/"
        connection = http.client.HTTPConnection(place, timeout=20)
        try:
            connection.request(asked.get("verb", "POST"), path, body.encode(), headers)
        except OSError as error:
            say(json.dumps([type(error).__name__]))
            continue
        answer = connection.getresponse()
        text = answer.read().decode()
        is_json = answer.getheader("Content-Type") == "application/json"
        say(json.dumps([answer.status, json.loads(text) if is_json else text]))
    return DONE


def without_tools(prompt: Prompt) -> Answer:
    return use_tools(prompt)


CLIENT: Answer = {}
SERVERS: list[Answer] = []
STEERED_PARTS = ("take_messages", "refuse_messages")
PAGE: Answer = {
    "sessionId": "s",
    "mode": "url",
    "elicitationId": "e",
    "url": "https://example.com/login?x=1",
    "message": "Log in.",
}

PARTS = {
    part.__name__: part
    for part in (
        echo,
        pieces,
        unstorable,
        unknown_update,
        noise,
        error,
        crash,
        hang_up,
        long_line,
        permission,
        hidden_failure,
        wait_for_cancel,
        deaf,
        leave,
        flood,
        talk_on,
        spend,
        overspend,
        splurge,
        output,
        requests,
        requests_then_deaf,
        request,
        raw,
        noisy,
        ask_much,
        capabilities,
        command,
        elicit_page,
        take_back,
        take_messages,
        refuse_messages,
        use_tools,
        without_tools,
    )
}


def open_session(part: str) -> dict[str, Any]:
    """Return the session that an agent opens: with a mode and a model to choose, if these are its part."""
    session: dict[str, Any] = {"sessionId": "s"}
    if part == "options":
        session["modes"] = {"currentModeId": "default", "availableModes": [{"id": "plan", "name": "Plan"}]}
        values = [{"value": "small", "name": "Small"}, {"value": "large", "name": "Large"}]
        session["configOptions"] = [
            {
                "id": "m",
                "name": "Model",
                "category": "model",
                "type": "select",
                "currentValue": "small",
                "options": values,
            }
        ]
    return session


def main() -> None:
    part = sys.argv[1]
    version = 99 if part == "other_version" else 1
    session = open_session(part)
    chosen: list[object] = []
    while True:
        message = receive()
        answer: dict[str, Any]
        match message.get("method"):
            case "initialize":
                CLIENT.update(message["params"]["clientCapabilities"])
                meta = {"_meta": {"steering": {"supported": True}}} if part in STEERED_PARTS else {}
                offered = {"mcpCapabilities": {"http": True}} if part == "use_tools" else {}
                answer = {"result": {"protocolVersion": version, "agentCapabilities": offered, **meta}}
            case "session/new":
                SERVERS[:] = message["params"]["mcpServers"]
                answer = {"result": session}
            case "session/set_config_option" if message["params"]["value"] == "x":
                answer = {"error": {"code": -32602, "message": "Invalid params"}}
            case "session/set_config_option" if message["params"]["value"] == "forever":
                continue
            case "session/set_mode" | "session/set_config_option":
                chosen.append(message["params"])
                answer = {"result": {"configOptions": []}}
            case "session/prompt" if part == "options":
                say(json.dumps(chosen))
                answer = {"result": {"stopReason": "end_turn"}}
            case "session/prompt":
                answer = PARTS[part](message["params"]["prompt"])
            case "_session/steering":
                answer = {"result": {"outcome": "promptRequired", "reason": "noRunningTurn"}}
                update(sessionUpdate="plan", entries=[], idle="_session/steering")
            case method:
                update(sessionUpdate="plan", entries=[], idle=method)
                continue
        send({"id": message["id"], **answer})


if __name__ == "__main__":
    main()
