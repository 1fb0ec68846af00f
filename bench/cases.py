"""The requests that `make bench` measures, each with the servers that it is compared with."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import orjson

from bench.data import COMMON_WORD, RARE_WORD, Account, ProjectOfSize
from bench.load import Wire

Requests = Callable[[Account, ProjectOfSize], Iterator[Wire]]

_CHANGES = itertools.count()


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of request that `make bench` measures: one row of its table.

    `raw`: whether `bench.raw` has the same endpoint. `every_size` rows are measured in every project, the others in
    one of the middle size. `polls`: whether the client sends the tags of the answers that it has.
    `is_looked_up`: whether the first answer after a change takes longer than further ones.
    """

    name: str
    group: str
    requests: Requests
    raw: bool = False
    every_size: bool = False
    polls: bool = False
    is_looked_up: bool = False


def _url(project: ProjectOfSize) -> str:
    return f"/api/projects/{project.id}/tasks"


def _retrieve(_account: Account, project: ProjectOfSize) -> Iterator[Wire]:
    for task_id in itertools.cycle(project.task_ids):
        yield Wire("GET", f"{_url(project)}/{task_id}")


def _list(query: str = "") -> Requests:
    def requests(account: Account, project: ProjectOfSize) -> Iterator[Wire]:
        filled = query.format(me=account.user_id, deep=project.size // 2)
        return itertools.repeat(Wire("GET", _url(project) + filled))

    return requests


def _create(_account: Account, project: ProjectOfSize) -> Iterator[Wire]:
    for number in itertools.count():
        body = {"title": f"Created {number}", "description": "Do something about it. " * 10}
        yield Wire("POST", _url(project), orjson.dumps(body))


def changes(_account: Account, project: ProjectOfSize) -> Iterator[Wire]:
    """Yield requests that change the titles of tasks of a project."""
    for task_id in itertools.cycle(project.task_ids):
        # Never the title that another target has given it: what changes nothing records nothing.
        yield Wire(
            "PATCH", f"{_url(project)}/{task_id}", orjson.dumps({"title": f"Changed {next(_CHANGES)}"})
        )


def _beat(_account: Account, project: ProjectOfSize) -> Iterator[Wire]:
    body = orjson.dumps({"device_id": str(project.device_id)})
    for task_id in itertools.cycle(project.task_ids):
        yield Wire("POST", f"{_url(project)}/{task_id}/presence/", body)


def _filters() -> Iterator[Case]:
    for name, query in (
        ("archived", "?archived=true"),
        ("all", "?archived=all"),
        ("created_by", "?created_by={me}"),
        ("organization", "?organization=org5"),
        ("repository", "?repository=main/product"),
        ("repository name", "?repository=repo5"),
        ("origin", "?origin_product=onboarding"),
        ("status", "?status=queued"),
        ("stage", "?stage=build"),
        ("number", "?search=4242"),
        ("rare word", f"?search={RARE_WORD}"),
        ("common word", f"?search={COMMON_WORD}"),
        ("deep offset", "?offset={deep}"),
        ("by activity", "?ordering=-last_activity_at"),
        ("repositories", "/repositories"),
    ):
        group = "search" if "search" in query else "filters"
        yield Case(f"list, {name}", group, _list(query), every_size=True, is_looked_up=True)


CASES: Final = (
    Case("retrieve", "retrieve", _retrieve, raw=True),
    Case("list", "list", _list(), raw=True, every_size=True),
    Case("retrieve, unchanged", "polls", _retrieve, raw=True, polls=True),
    Case("list, unchanged", "polls", _list(), raw=True, every_size=True, polls=True),
    *_filters(),
    Case("create", "create", _create, raw=True, every_size=True),
    Case("update", "update", changes, raw=True),
    Case("presence", "presence", _beat, raw=True),
)
