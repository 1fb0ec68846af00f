"""The operations of both clients, without a transport: generators of steps, which the clients perform."""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, Unpack
from urllib.parse import quote, urlencode

from taskbeacon import __version__
from taskbeacon.client.errors import Conflict, ConnectionFailed, NotFound, WaitTimeout, bad_answer
from taskbeacon.client.events import TERMINAL, End, Event, Gap, Item, Stream, Waiting, WaitingState, item_of
from taskbeacon.client.references import UUID_TEXT, Place, Reference, find_question, known_place, not_found
from taskbeacon.client.retrying import FIRST_PAUSE, Patience, Retries, answered
from taskbeacon.client.settings import InsecureUrl, Settings, check_url
from taskbeacon.client.shapes import Shape, checked, parsed
from taskbeacon.client.steps import NEVER, Answer, Flow, Items, Open, Pause, Read, Request, Send, Yield

if TYPE_CHECKING:
    from taskbeacon.client import types

JSON = Any
Fields: TypeAlias = Mapping[str, JSON]
Until: TypeAlias = Literal["terminal", "waiting"]
KEY_HEADER: Final = "Idempotency-Key"
REPLAYED_HEADER: Final = "idempotent-replayed"
_REPEATABLE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_PAGE: Final = 100
_LONGEST_LOOK: Final = 3.0
_PATCH: Final = "changes.patch"
# The fields of answers that are read here.
_ITEM: Final = {"id": str}
_RUN: Final = {"id": str, "task": str, "status": str, "state": dict}
_FILES: Final = {"artifacts": [{"id": str, "name": str, "type": str, "storage_path": str}]}
_TEXTS: Final = ("id", "title", "status", "digest", "opened_at")
_QUESTION: Final = {**dict.fromkeys(_TEXTS, str), "project_id": int, "run": _ITEM}
_QUESTIONS: Final = {"next": str | None, "results": [_QUESTION]}
_DIFF: Final = {"next": str | None, "files": list}
_FORM: Final = {"url": str, "fields": dict}
_PREPARED: Final = {"artifacts": {0: {"id": str, "storage_path": str, "presigned_post": _FORM}}}
_AGENT: Final = f"taskbeacon-client/{__version__} python/{sys.version_info.major}.{sys.version_info.minor}"
# Characters that file names must not have: invisible ones, lone surrogates, and those with a meaning in paths.
_UNSAFE: Final = re.compile(
    r'[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\udfff/\\:*?"<>|]'
)
_LONGEST_NAME: Final = 200  # in bytes: file systems take 255


class Core:
    """The operations of a client with these settings."""

    def __init__(self, settings: Settings, retries: int) -> None:
        self.settings = settings
        self._retries = retries
        self._headers = {"Authorization": f"Bearer {settings.token}", "User-Agent": _AGENT}

    def build(
        self, method: str, path: str, body: JSON = None, params: Fields | None = None, key: str | None = None
    ) -> Request:
        """Return a request; `path` is one below the project unless it begins with /api. Raises ValueError for a URL."""
        if re.match(r"([\w+.-]+:)?//", path):
            raise ValueError("a path is expected, not a URL")
        if not path.startswith(("/api/", "/livez")):
            path = f"/api/projects/{_quoted(self.settings.project)}/{path.removeprefix('/')}"
        query = urlencode({name: _text(value) for name, value in (params or {}).items() if value is not None})
        joint = "&" if "?" in path else "?"
        headers = dict(self._headers)
        if key is not None:
            headers[KEY_HEADER] = key
        if body is not None:
            headers["Content-Type"] = "application/json"
        content = None if body is None else json.dumps(body).encode()
        url = f"{self.settings.url}{path}{joint + query if query else ''}"
        return Request(method.upper(), url, headers, content)

    def send(self, request: Request) -> Flow[Answer]:
        """Return a good answer, after repetitions where they are safe. Raises ApiError or ConnectionFailed."""
        return self._perform(Send(request))

    def open(self, request: Request) -> Flow[JSON]:
        """Return the handle of a good answer, whose body is not read yet. Raises as `send` does."""
        return (yield from self._perform(Open(request)))[1]

    def _perform(self, step: Send | Open) -> Flow[JSON]:
        is_repeatable = step.request.method in _REPEATABLE or KEY_HEADER in step.request.headers
        return answered(step, Retries(self._retries if is_repeatable else 0).pause_after)

    def request(
        self,
        method: str,
        path: str,
        *,
        json: JSON = None,
        params: Fields | None = None,
        request_id: str | None = None,
    ) -> Flow[JSON]:
        """Send a request, to /api… or else below the project. A POST is repeated only if it has a `request_id`."""
        answer = yield from self.send(self.build(method, path, json, params=params, key=request_id))
        return answer.json()

    def ask(self, method: str, path: str, shape: Shape, body: JSON = None, /, **params: JSON) -> Flow[JSON]:
        """Send a request; return the content of its answer, checked against the shape."""
        return (yield from self.send(self.build(method, path, body, params=params))).of(shape)

    def pages(self, path: str, params: Fields, limit: int | None = None, cursor: str = "next") -> Items[JSON]:
        """Yield the rows of all pages of a list, none twice, at most `limit`."""
        shape = {cursor: str | None, "results": [{"id": str | int}]}
        seen, window = set[JSON](), {**params, "offset": 0}
        while limit is None or len(seen) < limit:
            window["limit"] = _PAGE if limit is None else min(_PAGE, limit - len(seen))
            page = yield from self.ask("GET", path, shape, **window)
            for row in page["results"]:
                # A row may be seen twice: a new one moves the others to the next page.
                if row["id"] not in seen and (limit is None or len(seen) < limit):
                    seen.add(row["id"])
                    yield Yield(row)
            if not page[cursor] or not page["results"]:
                return
            behind = window["offset"] + len(page["results"])
            window |= {"offset": behind} if cursor == "next" else {"after": page[cursor]}

    def _resolve(self, project: str, kind: str, ref: str, deadline: float = NEVER) -> Flow[Place]:
        path, shape = f"/api/projects/{_quoted(project)}/resolve", {"task": str, "run": str | None}
        request = replace(self.build("GET", path, params={"kind": kind, "ref": ref}), deadline=deadline)
        try:
            found = (yield from self.send(request)).of(shape)
        except NotFound as error:
            more = {"status": error.status, "body": error.body, "request_id": error.request_id}
            raise NotFound(f"{kind} {ref}: {error.message}", code=error.code, **more) from error
        return Place(project, found["task"], found["run"])

    def task_path(self, task: Reference) -> Flow[str]:
        place = known_place(task, url=self.settings.url, project=self.settings.project)
        if isinstance(place, str) and UUID_TEXT.fullmatch(place):
            place = Place(self.settings.project, place.lower())
        elif isinstance(place, str):
            place = yield from self._resolve(self.settings.project, "task", place)
        return f"/api/projects/{_quoted(place.project)}/tasks/{_quoted(place.task)}"

    def run_path(self, run: Reference, deadline: float = NEVER) -> Flow[str]:
        """Return the path of a run. Raises NotFound for a task without one."""
        place = known_place(run, url=self.settings.url, project=self.settings.project)
        if isinstance(place, str):
            place = yield from self._resolve(self.settings.project, "run", place, deadline)
        elif place.run is None:
            place = yield from self._resolve(place.project, "run", place.task, deadline)
        if place.run is None:
            raise not_found("The task has no run.")
        project, task, id_ = map(_quoted, (place.project, place.task, place.run))
        return f"/api/projects/{project}/tasks/{task}/runs/{id_}"

    def once(self, path: str, body: Fields, key: str | None, shape: Shape = dict) -> Flow[tuple[JSON, bool]]:
        """Send a POST that the server performs once for its key; return the JSON, and whether it is a replay."""
        answer = yield from self.send(self.build("POST", path, body, key=key or os.urandom(16).hex()))
        return answer.of(shape), REPLAYED_HEADER in answer.headers

    def create_task(
        self, *, request_id: str | None = None, **fields: "Unpack[types.TaskCreateIn]"
    ) -> Flow["types.TaskWithRun"]:
        """Create a task. The same `request_id` gives the same task."""
        return (yield from self.once("tasks", _known("TaskCreateIn", fields), request_id, _ITEM))[0]

    def get_task(self, task: Reference) -> Flow["types.Task"]:
        return (yield from self.ask("GET", (yield from self.task_path(task)), _ITEM))

    def list_tasks(self, /, *, limit: int | None = None, **filters: JSON) -> Items["types.Task"]:
        """Yield the tasks that match, newest first, of all pages."""
        return self.pages("tasks", filters, limit=limit)

    def update_task(self, task: Reference, **fields: "Unpack[types.TaskIn]") -> Flow["types.Task"]:
        known = _known("TaskIn", fields)
        return (yield from self.ask("PATCH", (yield from self.task_path(task)), _ITEM, known))

    def delete_task(self, task: Reference) -> Flow[None]:
        yield from self.request("DELETE", (yield from self.task_path(task)))

    def run_task(
        self, task: Reference, *, request_id: str | None = None, **fields: "Unpack[types.RunIn]"
    ) -> Flow["types.Task"]:
        """Start a run; `latest_run` of the answer is the run. The same `request_id` gives the same run."""
        known = _known("RunIn", fields)
        return (yield from self.once(f"{yield from self.task_path(task)}/run", known, request_id, _ITEM))[0]

    def get_run(self, run: Reference) -> Flow["types.Run"]:
        return (yield from self.ask("GET", (yield from self.run_path(run)), _RUN))

    def list_runs(self, task: Reference, *, limit: int | None = None) -> Items["types.Run"]:
        yield from self.pages(f"{yield from self.task_path(task)}/runs", {}, limit=limit)

    def cancel_run(self, run: Reference) -> Flow["types.Run"]:
        path = yield from self.run_path(run)
        return (yield from self.once(f"{path}/cancel", {}, None, _RUN))[0]

    def command(self, run: Reference, method: str, params: Fields) -> Flow[JSON]:
        """Send a command to the agent of a run; return its result. Raises Conflict if the agent cannot take it."""
        path = yield from self.run_path(run)
        body = {"jsonrpc": "2.0", "id": 1, "method": method, **({"params": params} if params else {})}
        answer, _ = yield from self.once(f"{path}/command", body, None, {"error": (dict, None)})
        if refused := answer.get("error"):
            more = {"extra": refused, "body": answer}
            raise Conflict(str(refused.get("message")), code="command_refused", status=200, **more)
        return checked(answer, {"result": dict})["result"]

    def send_message(self, run: Reference, text: str, *, steer: bool = False) -> Flow[JSON]:
        """Send a message to the agent; with `steer` in the middle of its turn, if it can be steered."""
        params = {"content": text, **({"steer": True} if steer else {})}
        return (yield from self.command(run, "user_message", params))

    def log(self, run: Reference) -> Items[dict[str, JSON]]:
        """Yield the entries of the log, with those of the runs that it resumes; resume after a broken connection."""
        path = yield from self.run_path(run)
        retries, yielded = Retries(self._retries), 0
        while True:
            handle = yield from self.open(self.build("GET", f"{path}/logs"))
            try:
                rest, number = b"", 0
                while piece := (yield Read(handle)):
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in filter(None, lines):
                        number += 1
                        if number > yielded:
                            yielded, retries.failures = number, 0
                            yield Yield(_entry(line))
            except ConnectionFailed as error:
                if (pause := retries.pause_after(error)) is None:
                    raise
                yield Pause(pause)
            else:
                if rest and number == yielded:
                    yield Yield(_entry(rest))
                return

    def diff(self, run: Reference) -> Flow["types.Diff"]:
        """Return the changes of a run, all pages of them."""
        path = yield from self.run_path(run)
        diff: types.Diff = yield from self.ask("GET", f"{path}/diff", _DIFF)
        while (cursor := diff["next"]) is not None:
            page: types.Diff = yield from self.ask("GET", f"{path}/diff", _DIFF, cursor=cursor)
            diff["files"] += page["files"]
            diff["next"] = page["next"]
        return diff

    def patch(self, run: Reference) -> Flow[bytes]:
        """Return the changes of a run for `git apply`; no bytes if there are none."""
        path = yield from self.run_path(run)
        artifacts = (yield from self.ask("GET", path, _FILES))["artifacts"]
        patches = [each for each in artifacts if each["name"] == _PATCH and each["type"] == "output"]
        return (yield from self.content(run, patches[-1])) if patches else b""

    def follow(self, run: Reference, *, after: str | None = None) -> Items[Item]:
        """Yield the events of a run, over all connections, from its first one or after `after`, then an `End`."""
        path = yield from self.run_path(run)
        stream = Stream(self.build("GET", f"{path}/stream"), after)
        look = Send(self.build("GET", path))
        waiting = WaitingState()
        was_over = False
        while True:
            yield from stream.connect()
            current = (yield from stream.patience.until_answered(look)).of(_RUN)
            if waiting_for := waiting.read(current):
                yield Yield(Waiting(stream.last_id, waiting_for))
            is_told = False
            while not is_told and (frame := (yield from stream.next())) is not None:
                item = item_of(frame)
                yield Yield(item)
                if isinstance(item, Event):
                    if waiting_for := waiting.notice(item.data):
                        yield Yield(Waiting(frame.id or stream.last_id, waiting_for))
                    is_told = item.type == "task_run_state" and item.data.get("status") in TERMINAL
            current = (yield from stream.patience.until_answered(look)).of(_RUN)
            is_over = current["status"] in TERMINAL
            # The stream may have been cut before its last events: it is complete once a whole one brings nothing.
            has_all = was_over and stream.was_ended and not stream.has_brought
            if is_over and (is_told or has_all):
                yield Yield(End(stream.last_id, current["status"], current))
                return
            was_over = is_over
            yield from stream.patience.pause()

    def wait(
        self, run: Reference, *, until: Until = "terminal", timeout: float | None = None
    ) -> Flow["types.Run"]:
        """Return the run once it is over, or with `waiting` once it waits for a person. Raises WaitTimeout."""
        deadline = NEVER if timeout is None else time.monotonic() + timeout
        look = Send(replace(self.build("GET", (yield from self.run_path(run, deadline))), deadline=deadline))
        pause = FIRST_PAUSE
        while True:
            current: types.Run = (yield from Patience().until_answered(look)).of(_RUN)
            is_waiting = until == "waiting" and current["state"].get("waiting_for")
            if current["status"] in TERMINAL or is_waiting:
                return current
            if (left := deadline - time.monotonic()) <= 0:
                raise WaitTimeout(f"The run is {current['status']} after {timeout:g} s.")
            yield Pause(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_LOOK)

    def list_questions(self, /, *, limit: int | None = None, **filters: JSON) -> Items["types.Question"]:
        """Yield the questions of the inbox, the most urgent first."""
        return self.pages("/api/users/@me/inbox", filters, limit=limit)

    def answer(
        self, question: Reference, *, request_id: str | None = None, **body: "Unpack[types.AnswerIn]"
    ) -> Flow["types.Answered"]:
        """Answer a question of the inbox, as it is shown there. Raises Conflict if another answer was first."""
        row = question if isinstance(question, Mapping) else (yield from self.find_question(str(question)))
        path = f"/api/projects/{row['project_id']}/questions/{row['id']}/answer"
        return (yield from self.once(path, {"digest": row["digest"], **body}, request_id))[0]

    def find_question(self, reference: str) -> Flow[dict[str, JSON]]:
        """Return the row of the inbox for an id, its beginning or `@latest`: an open one, else a closed one."""
        for status in ("open", "all"):
            rows, page = list[dict[str, JSON]](), None
            while page is None or (page["next"] and page["results"]):
                window = {"status": status, "limit": _PAGE, "offset": len(rows)}
                page = yield from self.ask("GET", "/api/users/@me/inbox", _QUESTIONS, **window)
                rows += page["results"]
            if found := find_question(rows, reference):
                return found
        raise not_found("The inbox has no such question.")

    def list_events(self, /, *, limit: int | None = None, **filters: JSON) -> Items["types.Event"]:
        """Yield the events that the ledger has now, oldest first."""
        return self.pages("events", filters, limit=limit, cursor="next_after")

    def stream_events(
        self, *, topics: str = "tasks", after: str | None = None, connected: Callable[[], None] | None = None
    ) -> Items[Event | Gap]:
        """Yield events from now on or after `after`; call `connected` once no further event can be missed."""
        request = self.build("GET", "events/stream", params={"topics": topics})
        stream = Stream(request, after, connected)
        while True:
            yield from stream.connect()
            while (frame := (yield from stream.next())) is not None:
                yield Yield(item_of(frame))
            yield from stream.patience.pause()

    def upload(self, task: Reference, path: str | Path) -> Flow["types.Artifact"]:
        """Upload a file for the next run of a task, whose `pending_user_artifact_ids` take its id."""
        from mimetypes import guess_type  # noqa: PLC0415 - uploads alone need it

        path = Path(path)
        staged = f"{yield from self.task_path(task)}/staged_artifacts"
        content_type = guess_type(path.name)[0] or "application/octet-stream"
        item = {"name": path.name, "type": "user_attachment", "content_type": content_type}
        wanted = {"artifacts": [item | {"size": path.stat().st_size}]}
        answer = yield from self.ask("POST", f"{staged}/prepare_upload", _PREPARED, wanted)
        prepared = answer["artifacts"][0]
        form = prepared["presigned_post"]
        try:
            # To the object store, which does not get the key.
            url = check_url(form["url"], insecure=self.settings.insecure)
        except InsecureUrl:
            raise
        except ValueError as error:
            raise bad_answer(f"The server names no place for the file: {error}.") from error
        yield from self.send(Request("POST", url, form=form["fields"], file=path))
        done = {"artifacts": [item | {"id": prepared["id"], "storage_path": prepared["storage_path"]}]}
        answer = yield from self.ask("POST", f"{staged}/finalize_upload", {"artifacts": {0: _ITEM}}, done)
        return answer["artifacts"][0]

    def content(self, run: Reference, artifact: "types.RunArtifact") -> Flow[bytes]:
        """Return the bytes of an artifact."""
        path = yield from self.run_path(run)
        return (yield from self.send(self._download(path, artifact))).body

    def download(self, run: Reference, artifact: "str | types.RunArtifact", to: str | Path) -> Flow[Path]:
        """Write an artifact, given by its id or name, to a file or into a folder; return the path of the file."""
        path = yield from self.run_path(run)
        files: list[Any] = [artifact]
        if isinstance(artifact, str):
            known = (yield from self.ask("GET", path, _FILES))["artifacts"]
            files = [each for each in known if artifact in {each["id"], each["name"]}]
        if not files:
            raise not_found("The run has no such artifact.")
        target = Path(to)
        if target.is_dir():
            target /= safe_name(files[-1]["name"])
        part = target.with_name(f"taskbeacon-{os.urandom(8).hex()}.part")
        handle = yield from self.open(self._download(path, files[-1]))
        try:
            with part.open("xb") as file:
                while piece := (yield Read(handle)):
                    file.write(piece)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target

    def _download(self, path: str, artifact: Fields) -> Request:
        params = {"storage_path": artifact["storage_path"]}
        return self.build("GET", f"{path}/artifacts/download", params=params)

    def list_webhooks(self, *, limit: int | None = None) -> Items["types.Endpoint"]:
        return self.pages("webhook_endpoints", {}, limit=limit)

    def create_webhook(self, **fields: "Unpack[types.EndpointIn]") -> Flow["types.NewEndpoint"]:
        """Register an endpoint; this answer alone has its `secret`."""
        return self.ask("POST", "webhook_endpoints", _ITEM, _known("EndpointIn", fields))

    def get_webhook(self, endpoint: Reference) -> Flow["types.Endpoint"]:
        return self.ask("GET", _webhook(endpoint), _ITEM)

    def update_webhook(
        self, endpoint: Reference, **fields: "Unpack[types.EndpointUpdateIn]"
    ) -> Flow["types.Endpoint"]:
        return self.ask("PATCH", _webhook(endpoint), _ITEM, _known("EndpointUpdateIn", fields))

    def delete_webhook(self, endpoint: Reference) -> Flow[None]:
        return self.request("DELETE", _webhook(endpoint))

    def ping_webhook(self, endpoint: Reference) -> Flow["types.Pinged"]:
        return self.ask("POST", f"{_webhook(endpoint)}/ping", dict)

    def list_deliveries(self, endpoint: Reference, *, limit: int | None = None) -> Items["types.Delivery"]:
        return self.pages(f"{_webhook(endpoint)}/deliveries", {}, limit=limit)

    def redeliver(self, endpoint: Reference, delivery: Reference) -> Flow["types.Delivery"]:
        return self.ask("POST", f"{_webhook(endpoint)}/deliveries/{_id(delivery)}/redeliver", _ITEM)


def _known(name: str, fields: Fields) -> Fields:
    """Return the fields of a request. Raises TypeError for unknown ones, which the API would ignore."""
    from taskbeacon.client import types  # noqa: PLC0415 - requests with fields alone need it

    if unknown := sorted(fields.keys() - getattr(types, name).__annotations__.keys()):
        raise TypeError(f"unexpected keyword argument {', '.join(unknown)}")
    return fields


def _webhook(endpoint: Reference) -> str:
    return f"webhook_endpoints/{_id(endpoint)}"


def _id(reference: Reference) -> str:
    return _quoted(str(reference["id"] if isinstance(reference, Mapping) else reference))


def _quoted(part: str) -> str:
    return quote(part, safe="@")


def safe_name(name: str) -> str:
    """Return a safe file name for one that an agent has chosen."""
    name = _UNSAFE.sub("_", name).strip(". ").encode()[-_LONGEST_NAME:].decode(errors="ignore")
    return name.lstrip(". ") or "artifact"


def _text(value: JSON) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(map(str, value))
    return str(value)


def _entry(line: bytes) -> dict[str, JSON]:
    entry = parsed(line, "A line of the log")
    return entry if isinstance(entry, dict) else {"type": "unknown", "data": entry}
