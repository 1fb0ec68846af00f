"""Coercion of input (contract 2.5) and the text of each refusal (2.4), through the API."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Project, Task, User
from tests.support.assertions import assert_invalid, assert_page, concerning
from tests.support.callers import Caller
from tests.support.factories import make_integration, make_signal_report, make_user_integration

NULL = "This field may not be null."
NO_UUID = "Must be a valid UUID."
UNKNOWN = "11111111-1111-4111-8111-111111111111"

BOOLEANS = ("internal", "archived", "title_manually_set")
TEXTS = ("title", "description", "ci_prompt")
UUIDS = ("github_user_integration", "signal_report")
RELATIONSHIP = "signal_report_task_relationship"

TRUE = (True, 1, 1.0, "true", "True", "TRUE", "t", "T", "yes", "YES", "y", "on", "On", "1")
FALSE = (False, 0, 0.0, "false", "False", "FALSE", "f", "no", "NO", "n", "N", "off", "0")
STORED_TEXTS: tuple[tuple[Any, str], ...] = (
    ("  both ends \n\t", "both ends"),
    ("a  b", "a  b"),
    (5, "5"),
    (-1.5, "-1.5"),
    ("", ""),
    (" \n ", ""),
    ("ünï©ødé 🦔", "ünï©ødé 🦔"),
)
# Each 255 characters long, once it is trimmed.
LONGEST = (
    ("title", "x" * 255),
    ("title", "ü" * 255),
    ("title", "  " + "x" * 255 + "  "),
    ("repository", "o/" + "x" * 253),
)
# Not validated as a schema here (contract 5.2).
SCHEMAS: tuple[Any, ...] = (
    {"type": "object", "properties": {"a": {"type": "string"}}},
    *([], {}, "text", "", 0, 1.5, True, False, None),
    {"b": 1, "a": [1, "x", None, {"deep": [[]]}]},
    {"title": "  not trimmed "},
    {"ü": "🦔"},
)
# A field, a value that it takes, and what is then shown.
TAKEN: list[tuple[str, Any, Any]] = [
    *((field, value, shown) for field in TEXTS for value, shown in STORED_TEXTS),
    *((field, None, None) for field in ("repository", "ci_prompt", *UUIDS)),
    *((field, "", None) for field in UUIDS),
    *((field, value, value.strip()) for field, value in LONGEST),
    *(("json_schema", value, value) for value in SCHEMAS),
]


NO_BOOLEANS: tuple[Any, ...] = (2, -1, 0.5, "", "maybe", "2", "yess", [], [True], {})
NO_TEXTS: tuple[Any, ...] = (True, False, [], ["x"], {}, {"a": 1})
NO_CHOICES: tuple[Any, ...] = (True, [], {}, ["slack"])
NO_UUIDS: tuple[Any, ...] = (5, True, [], {}, "abc", "0" * 31, "0" * 33)
# With the names of their types.
NO_NUMBERS: tuple[tuple[Any, str], ...] = (
    *(("x", "str"), ("1.5", "str"), (" ", "str")),
    *((True, "bool"), ([], "list"), ({}, "dict")),
)


def no_choice(value: Any) -> str:
    return f'"{value}" is not a valid choice.'


# A field, a value that it does not take, and the code and words of the refusal; None leaves the words open.
REFUSED: list[tuple[str, Any, str, str | None]] = [
    *((field, None, "null", NULL) for field in (*BOOLEANS, "title", "description", "origin_product")),
    *(
        (field, value, "invalid_input", "Must be a valid boolean.")
        for field in BOOLEANS
        for value in NO_BOOLEANS
    ),
    *(
        (field, value, "invalid_input", "Not a valid string.")
        for field in (*TEXTS, "repository")
        for value in NO_TEXTS
    ),
    *(
        (field, value.strip() + "x", "max_length", "Ensure this field has no more than 255 characters.")
        for field, value in LONGEST
    ),
    *(
        ("origin_product", value, "invalid_choice", no_choice(value))
        for value in ("", "nowhere", "User_Created", 5)
    ),
    *(("origin_product", value, "invalid_choice", None) for value in NO_CHOICES),
    *(
        (RELATIONSHIP, value, "invalid_choice", no_choice(value))
        for value in ("discussion", "", "IMPLEMENTATION")
    ),
    *(
        (
            "github_integration",
            value,
            "incorrect_type",
            f"Incorrect type. Expected pk value, received {name}.",
        )
        for value, name in NO_NUMBERS
    ),
    ("github_integration", 999_999, "does_not_exist", 'Invalid pk "999999" - object does not exist.'),
    *(
        (field, value, "invalid_input", f"“{value}” is not a valid UUID.")
        for field in UUIDS
        for value in NO_UUIDS
    ),
    *(
        (field, UNKNOWN, "does_not_exist", f'Invalid pk "{UNKNOWN}" - object does not exist.')
        for field in UUIDS
    ),
]


@pytest.mark.walls
async def test_value_is_taken_and_shown(client: httpx.AsyncClient, tasks_url: str) -> None:
    for field, value, shown in TAKEN:
        created = await client.post(tasks_url, json={field: value})
        with concerning(f"{field}: {value!r}"):
            assert created.status_code == 201, created.text
            retrieved = await client.get(f"{tasks_url}/{created.json()['id']}")
            assert created.json()[field] == retrieved.json()[field] == shown


async def test_wrong_value_is_refused(client: httpx.AsyncClient, tasks_url: str) -> None:
    for field, value, code, detail in REFUSED:
        with concerning(f"{field}: {value!r}"):
            assert_invalid(await client.post(tasks_url, json={field: value}), field, code, detail)


async def test_words_for_true_and_false(client: httpx.AsyncClient, tasks_url: str) -> None:
    for field in BOOLEANS:
        for value, meant in (*((value, True) for value in TRUE), *((value, False) for value in FALSE)):
            # A task with a title has one that was set by hand, unless the request says otherwise.
            title = {} if meant else {"title": "by hand"}
            response = await client.post(tasks_url, json={**title, field: value})
            with concerning(f"{field}: {value!r}"):
                assert response.status_code == 201
                assert response.json()[field] is meant


async def test_relationship_may_be_null(client: httpx.AsyncClient, tasks_url: str) -> None:
    """Contract 11 #4: null counts as absent."""
    assert (await client.post(tasks_url, json={RELATIONSHIP: None})).status_code == 201


async def test_forms_of_a_number_are_taken(
    client: httpx.AsyncClient, session: AsyncSession, project: Project, tasks_url: str
) -> None:
    integration = await make_integration(session, project=project)
    for form in ("{}", '"{}"', "{}.0", '"{}.0"', '" {} "'):
        body = f'{{"github_integration": {form.format(integration.id)}}}'
        response = await client.post(tasks_url, content=body, headers={"Content-Type": "application/json"})
        with concerning(form):
            assert response.status_code == 201
            assert response.json()["github_integration"] == integration.id


async def test_number_that_is_empty_counts_as_null(client: httpx.AsyncClient, task_url: str) -> None:
    for value in ("", None):
        response = await client.patch(task_url, json={"github_integration": value})
        assert response.status_code == 200
        assert response.json()["github_integration"] is None


UUID_FORMS: tuple[Callable[[UUID], str], ...] = (
    str,
    lambda value: value.hex,
    lambda value: str(value).upper(),
    lambda value: value.urn,
)


async def test_forms_of_a_uuid_are_taken_and_shown_in_the_usual_one(
    client: httpx.AsyncClient,
    session: AsyncSession,
    project: Project,
    owner: User,
    task: Task,
    tasks_url: str,
) -> None:
    report = await make_signal_report(session, project=project)
    linked = await make_user_integration(session, user=owner)
    for form in UUID_FORMS:
        given = {"signal_report": form(report.id), "github_user_integration": form(linked.id)}
        response = await client.post(tasks_url, json=given)
        summaries = await client.post(f"{tasks_url}/summaries", json={"ids": [form(task.id)]})
        with concerning(given):
            assert response.status_code == 201
            assert response.json()["signal_report"] == str(report.id)
            assert response.json()["github_user_integration"] == str(linked.id)
            assert [row["id"] for row in assert_page(summaries, count=1)] == [str(task.id)]


NONSENSE: dict[str, Any] = {
    "id": "nonsense",
    "slug": 5,
    "task_number": "x",
    "created_at": [],
    "updated_at": False,
    "last_activity_at": 0,
    "created_by": {"id": "x"},
    "latest_run": "nonsense",
    "archived_at": "yesterday",
    "deleted": True,
    "team": 0,
    "channel": {"era": 3},
    "repositories": "era 3",
    "runtime": None,
    "": "",
}


async def test_unknown_and_read_only_keys_are_ignored(
    client: httpx.AsyncClient, tasks_url: str, caller: Caller
) -> None:
    created = await client.post(tasks_url, json={"title": "kept", **NONSENSE})
    assert created.status_code == 201
    task = created.json()
    assert (task["title"], task["task_number"], task["archived_at"]) == ("kept", 0, None)
    assert task["created_by"]["id"] == caller.user_id
    changed = await client.patch(f"{tasks_url}/{task['id']}", json=NONSENSE)
    assert changed.status_code == 200
    assert {**changed.json(), "updated_at": None} == {**task, "updated_at": None}


async def test_wrong_lists_of_ids_are_refused(client: httpx.AsyncClient, tasks_url: str) -> None:
    """`ids` of the summaries, the only list of task ids without a default (contract 6.3)."""
    many = [str(UUID(int=number)) for number in range(5001)]
    cases: list[tuple[Any, str, str, str]] = [
        (None, "ids", "null", NULL),
        ("x", "ids", "not_a_list", 'Expected a list of items but got type "str".'),
        ({}, "ids", "not_a_list", 'Expected a list of items but got type "dict".'),
        ([], "ids", "empty", "This list may not be empty."),
        (["x"], "ids__0", "invalid_input", NO_UUID),
        ([UNKNOWN, 5], "ids__1", "invalid_input", NO_UUID),
        ([None], "ids__0", "null", NULL),
        (many, "ids", "max_length", "Ensure this field has no more than 5000 elements."),
    ]
    for ids, attr, code, detail in cases:
        with concerning(repr(ids)[:99]):
            response = await client.post(f"{tasks_url}/summaries", json={"ids": ids})
            assert_invalid(response, attr, code, detail)
    assert_page(await client.post(f"{tasks_url}/summaries", json={"ids": many[:5000]}), count=0)
