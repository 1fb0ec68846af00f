"""What is taken for what (contract 2.5), and the words of each refusal (2.4), through the API."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Project, SignalReport, User
from tests.support.assertions import assert_invalid, assert_page
from tests.support.callers import Caller
from tests.support.factories import make_integration, make_signal_report, make_task, make_user_integration

NULL = "This field may not be null."
NO_BOOLEAN = "Must be a valid boolean."
NO_STRING = "Not a valid string."


class TestBooleans:
    @pytest.fixture(params=["internal", "archived", "title_manually_set"])
    def field(self, request: pytest.FixtureRequest) -> str:
        name: str = request.param
        return name

    @pytest.mark.parametrize(
        "value",
        [True, 1, 1.0, "true", "True", "TRUE", "t", "T", "yes", "YES", "y", "on", "On", "1"],
        ids=repr,
    )
    async def test_true_words(
        self, client: httpx.AsyncClient, tasks_url: str, field: str, value: Any
    ) -> None:
        response = await client.post(tasks_url, json={field: value})
        assert response.status_code == 201
        assert response.json()[field] is True

    @pytest.mark.parametrize(
        "value", [False, 0, 0.0, "false", "False", "FALSE", "f", "no", "NO", "n", "N", "off", "0"], ids=repr
    )
    async def test_false_words(
        self, client: httpx.AsyncClient, tasks_url: str, field: str, value: Any
    ) -> None:
        response = await client.post(tasks_url, json={"title": "by hand", field: value})
        assert response.status_code == 201
        assert response.json()[field] is False

    @pytest.mark.parametrize("value", [2, -1, 0.5, "", "maybe", "2", "yess", [], [True], {}], ids=repr)
    async def test_other_values_are_refused(
        self, client: httpx.AsyncClient, tasks_url: str, field: str, value: Any
    ) -> None:
        response = await client.post(tasks_url, json={field: value})
        assert_invalid(response, field, "invalid_input", NO_BOOLEAN)

    async def test_null_is_refused(self, client: httpx.AsyncClient, tasks_url: str, field: str) -> None:
        assert_invalid(await client.post(tasks_url, json={field: None}), field, "null", NULL)


class TestStrings:
    @pytest.mark.parametrize("field", ["title", "description", "ci_prompt"])
    @pytest.mark.parametrize(
        ("value", "stored"),
        [
            pytest.param("  both ends \n\t", "both ends", id="2.5-trimmed"),
            pytest.param("a  b", "a  b", id="2.5-inside-is-kept"),
            pytest.param(5, "5", id="2.5-integer"),
            pytest.param(-1.5, "-1.5", id="2.5-fraction"),
            pytest.param("", "", id="2.5-empty"),
            pytest.param(" \n ", "", id="2.5-only-whitespace"),
            pytest.param("ünï©ødé 🦔", "ünï©ødé 🦔", id="2.5-unicode"),
        ],
    )
    async def test_text_is_trimmed_and_numbers_become_text(
        self, client: httpx.AsyncClient, tasks_url: str, field: str, value: Any, stored: str
    ) -> None:
        response = await client.post(tasks_url, json={field: value})
        assert response.status_code == 201
        assert response.json()[field] == stored

    @pytest.mark.parametrize("field", ["title", "description", "repository", "ci_prompt"])
    @pytest.mark.parametrize("value", [True, False, [], ["x"], {}, {"a": 1}], ids=repr)
    async def test_what_is_no_text_is_refused(
        self, client: httpx.AsyncClient, tasks_url: str, field: str, value: Any
    ) -> None:
        assert_invalid(await client.post(tasks_url, json={field: value}), field, "invalid_input", NO_STRING)

    @pytest.mark.parametrize("field", ["title", "description"])
    async def test_null_is_refused(self, client: httpx.AsyncClient, tasks_url: str, field: str) -> None:
        assert_invalid(await client.post(tasks_url, json={field: None}), field, "null", NULL)

    @pytest.mark.parametrize("field", ["repository", "ci_prompt"])
    async def test_null_is_kept_where_it_may_be(
        self, client: httpx.AsyncClient, tasks_url: str, field: str
    ) -> None:
        response = await client.post(tasks_url, json={field: None})
        assert response.status_code == 201
        assert response.json()[field] is None

    @pytest.mark.parametrize(
        ("field", "longest"),
        [
            pytest.param("title", "x" * 255, id="5.2-title"),
            pytest.param("title", "ü" * 255, id="5.2-title-counts-characters"),
            pytest.param("title", "  " + "x" * 255 + "  ", id="5.2-title-is-trimmed-first"),
            pytest.param("repository", "o/" + "x" * 253, id="5.2-repository"),
        ],
    )
    async def test_length_is_limited_to_255(
        self, client: httpx.AsyncClient, tasks_url: str, field: str, longest: str
    ) -> None:
        accepted = await client.post(tasks_url, json={field: longest})
        assert accepted.status_code == 201
        assert accepted.json()[field] == longest.strip()
        refused = await client.post(tasks_url, json={field: longest.strip() + "x"})
        detail = "Ensure this field has no more than 255 characters."
        assert_invalid(refused, field, "max_length", detail)


class TestChoices:
    @pytest.mark.parametrize("value", ["", "nowhere", "User_Created", 5], ids=repr)
    async def test_other_values_are_refused(
        self, client: httpx.AsyncClient, tasks_url: str, value: Any
    ) -> None:
        response = await client.post(tasks_url, json={"origin_product": value})
        assert_invalid(response, "origin_product", "invalid_choice", f'"{value}" is not a valid choice.')

    @pytest.mark.parametrize("value", [True, [], {}, ["slack"]], ids=repr)
    async def test_what_is_no_text_is_no_choice(
        self, client: httpx.AsyncClient, tasks_url: str, value: Any
    ) -> None:
        response = await client.post(tasks_url, json={"origin_product": value})
        assert_invalid(response, "origin_product", "invalid_choice")

    async def test_null_is_refused(self, client: httpx.AsyncClient, tasks_url: str) -> None:
        response = await client.post(tasks_url, json={"origin_product": None})
        assert_invalid(response, "origin_product", "null", NULL)

    async def test_relationship_may_be_null(self, client: httpx.AsyncClient, tasks_url: str) -> None:
        """Contract 11 #4: null counts as absent."""
        body = {"signal_report_task_relationship": None}
        assert (await client.post(tasks_url, json=body)).status_code == 201

    @pytest.mark.parametrize("value", ["discussion", "", "IMPLEMENTATION"])
    async def test_relationship_has_one_value(
        self, client: httpx.AsyncClient, tasks_url: str, value: str
    ) -> None:
        response = await client.post(tasks_url, json={"signal_report_task_relationship": value})
        detail = f'"{value}" is not a valid choice.'
        assert_invalid(response, "signal_report_task_relationship", "invalid_choice", detail)


class TestIntegerKeys:
    @pytest.mark.parametrize(
        "form",
        ["{}", '"{}"', "{}.0", '"{}.0"', '" {} "'],
        ids=["int", "text", "float", "float-text", "blanks"],
    )
    async def test_forms_of_a_number_are_taken(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, tasks_url: str, form: str
    ) -> None:
        integration = await make_integration(session, project=project)
        body = f'{{"github_integration": {form.format(integration.id)}}}'
        response = await client.post(tasks_url, content=body, headers={"Content-Type": "application/json"})
        assert response.status_code == 201
        assert response.json()["github_integration"] == integration.id

    @pytest.mark.parametrize("value", ["", None], ids=repr)
    async def test_empty_text_counts_as_null(
        self, client: httpx.AsyncClient, task_url: str, value: str | None
    ) -> None:
        response = await client.patch(task_url, json={"github_integration": value})
        assert response.status_code == 200
        assert response.json()["github_integration"] is None

    @pytest.mark.parametrize(
        ("value", "received"),
        [("x", "str"), (True, "bool"), ([], "list"), ({}, "dict"), ("1.5", "str"), (" ", "str")],
        ids=repr,
    )
    async def test_what_is_no_number_is_of_the_wrong_type(
        self, client: httpx.AsyncClient, tasks_url: str, value: Any, received: str
    ) -> None:
        response = await client.post(tasks_url, json={"github_integration": value})
        detail = f"Incorrect type. Expected pk value, received {received}."
        assert_invalid(response, "github_integration", "incorrect_type", detail)

    async def test_unknown_number_does_not_exist(self, client: httpx.AsyncClient, tasks_url: str) -> None:
        response = await client.post(tasks_url, json={"github_integration": 999_999})
        detail = 'Invalid pk "999999" - object does not exist.'
        assert_invalid(response, "github_integration", "does_not_exist", detail)


def plain(value: UUID) -> str:
    return value.hex


def upper(value: UUID) -> str:
    return str(value).upper()


def urn(value: UUID) -> str:
    return value.urn


UUID_FORMS = [
    pytest.param(str, id="2.5-usual"),
    pytest.param(plain, id="2.5-no-hyphens"),
    pytest.param(upper, id="2.5-upper-case"),
    pytest.param(urn, id="2.5-urn"),
]
NO_UUIDS = [5, True, [], {}, "abc", "0" * 31, "0" * 33]


class TestUuidKeys:
    @pytest.fixture
    async def report(self, session: AsyncSession, project: Project) -> SignalReport:
        return await make_signal_report(session, project=project)

    @pytest.mark.parametrize("form", UUID_FORMS)
    async def test_forms_of_a_uuid_are_taken_and_shown_in_the_usual_one(
        self, client: httpx.AsyncClient, tasks_url: str, report: SignalReport, form: Any
    ) -> None:
        response = await client.post(tasks_url, json={"signal_report": form(report.id)})
        assert response.status_code == 201
        assert response.json()["signal_report"] == str(report.id)

    async def test_user_integration_is_taken_too(
        self, client: httpx.AsyncClient, session: AsyncSession, owner: User, tasks_url: str
    ) -> None:
        integration = await make_user_integration(session, user=owner)
        response = await client.post(tasks_url, json={"github_user_integration": integration.id.hex.upper()})
        assert response.status_code == 201
        assert response.json()["github_user_integration"] == str(integration.id)

    @pytest.mark.parametrize("field", ["github_user_integration", "signal_report"])
    @pytest.mark.parametrize("value", NO_UUIDS, ids=repr)
    async def test_what_is_no_uuid_is_refused(
        self, client: httpx.AsyncClient, tasks_url: str, field: str, value: Any
    ) -> None:
        response = await client.post(tasks_url, json={field: value})
        assert_invalid(response, field, "invalid_input", f"“{value}” is not a valid UUID.")

    @pytest.mark.parametrize("field", ["github_user_integration", "signal_report"])
    @pytest.mark.parametrize("value", ["", None], ids=repr)
    async def test_empty_text_counts_as_null(
        self, client: httpx.AsyncClient, tasks_url: str, field: str, value: str | None
    ) -> None:
        response = await client.post(tasks_url, json={field: value})
        assert response.status_code == 201
        assert response.json()[field] is None

    @pytest.mark.parametrize("field", ["github_user_integration", "signal_report"])
    async def test_unknown_uuid_does_not_exist(
        self, client: httpx.AsyncClient, tasks_url: str, field: str
    ) -> None:
        unknown = "11111111-1111-4111-8111-111111111111"
        response = await client.post(tasks_url, json={field: unknown})
        assert_invalid(response, field, "does_not_exist", f'Invalid pk "{unknown}" - object does not exist.')

    @pytest.mark.parametrize("form", UUID_FORMS)
    async def test_summaries_take_every_form(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        owner: User,
        tasks_url: str,
        form: Any,
    ) -> None:
        task = await make_task(session, project=project, created_by=owner)
        response = await client.post(f"{tasks_url}/summaries", json={"ids": [form(task.id)]})
        assert [row["id"] for row in assert_page(response, count=1)] == [str(task.id)]


class TestJson:
    @pytest.mark.parametrize(
        "value",
        [
            {"type": "object", "properties": {"a": {"type": "string"}}},
            [],
            {},
            "text",
            "",
            0,
            1.5,
            True,
            False,
            None,
            {"b": 1, "a": [1, "x", None, {"deep": [[]]}]},
            {"title": "  not trimmed "},
            {"ü": "🦔"},
        ],
        ids=repr,
    )
    async def test_any_value_is_kept_as_it_is(
        self, client: httpx.AsyncClient, tasks_url: str, value: Any
    ) -> None:
        """Contract 5.2: not validated as a schema here."""
        created = await client.post(tasks_url, json={"json_schema": value})
        assert created.status_code == 201
        assert created.json()["json_schema"] == value
        retrieved = await client.get(f"{tasks_url}/{created.json()['id']}")
        assert retrieved.json()["json_schema"] == value


NONSENSE: dict[str, Any] = {
    "id": "nonsense",
    "slug": 5,
    "task_number": "x",
    "created_at": [],
    "updated_at": False,
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


class TestIgnoredKeys:
    async def test_unknown_and_read_only_keys_are_ignored(
        self, client: httpx.AsyncClient, tasks_url: str, caller: Caller
    ) -> None:
        created = await client.post(tasks_url, json={"title": "kept", **NONSENSE})
        assert created.status_code == 201
        task = created.json()
        assert task["title"] == "kept"
        assert task["task_number"] == 0
        assert task["created_by"]["id"] == caller.user_id
        assert task["archived_at"] is None
        changed = await client.patch(f"{tasks_url}/{task['id']}", json=NONSENSE)
        assert changed.status_code == 200
        assert {**changed.json(), "updated_at": None} == {**task, "updated_at": None}


class TestSummaryIds:
    """The one list of this issue that has no default (contract 6.3)."""

    @pytest.mark.parametrize(
        ("ids", "attr", "code", "detail"),
        [
            pytest.param(None, "ids", "null", NULL, id="2.4-null"),
            pytest.param(
                "x", "ids", "not_a_list", 'Expected a list of items but got type "str".', id="2.4-text"
            ),
            pytest.param(
                {}, "ids", "not_a_list", 'Expected a list of items but got type "dict".', id="2.4-object"
            ),
            pytest.param([], "ids", "empty", "This list may not be empty.", id="6.3-empty"),
            pytest.param(["x"], "ids__0", "invalid_input", "Must be a valid UUID.", id="2.4-item"),
            pytest.param(
                [str(UUID(int=1)), 5], "ids__1", "invalid_input", "Must be a valid UUID.", id="2.5-int"
            ),
            pytest.param([None], "ids__0", "null", NULL, id="2.4-null-item"),
            pytest.param(
                [str(UUID(int=number)) for number in range(5001)],
                "ids",
                "max_length",
                "Ensure this field has no more than 5000 elements.",
                id="6.3-too-many",
            ),
        ],
    )
    async def test_wrong_lists_are_refused(
        self, client: httpx.AsyncClient, tasks_url: str, ids: Any, attr: str, code: str, detail: str
    ) -> None:
        response = await client.post(f"{tasks_url}/summaries", json={"ids": ids})
        assert_invalid(response, attr, code, detail)

    async def test_five_thousand_ids_are_taken(self, client: httpx.AsyncClient, tasks_url: str) -> None:
        ids = [str(UUID(int=number)) for number in range(5000)]
        assert_page(await client.post(f"{tasks_url}/summaries", json={"ids": ids}), count=0)
