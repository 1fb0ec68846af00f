"""Sandbox environments: kept with their secrets, seen by those they are for, named by runs (contract 5.8, 9.2)."""

from typing import Any

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.network.domains import TRUSTED_DOMAINS
from app.config import Settings
from app.models import Project, Run, SandboxEnvironment, User
from app.security import Cipher
from tests.support.assertions import assert_invalid, assert_not_found, assert_page
from tests.support.callers import CallerKind
from tests.support.factories import make_project, make_sandbox_environment, make_user

SECRET = "v3ry-s3cret-value"


@pytest.fixture
def environments_url(project: Project) -> str:
    return f"/api/projects/{project.id}/sandbox_environments"


@pytest.fixture
async def other_member(session: AsyncSession, project: Project) -> User:
    return await make_user(session, projects=[project])


def described(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in answer.items()
        if name not in {"id", "created_by", "created_at", "updated_at", "effective_domains"}
    }


class TestCreate:
    async def test_name_is_enough(
        self, client: httpx.AsyncClient, environments_url: str, owner: User
    ) -> None:
        response = await client.post(environments_url, json={"name": " Web app "})
        assert response.status_code == 201
        body = response.json()
        assert described(body) == {
            "name": "Web app",
            "network_access_level": "trusted",
            "allowed_domains": [],
            "include_default_domains": False,
            "repositories": [],
            "has_environment_variables": False,
            "environment_variable_keys": [],
            "private": True,
            "internal": False,
        }
        assert body["created_by"]["id"] == owner.id
        assert body["effective_domains"] == list(TRUSTED_DOMAINS)
        assert (await client.get(f"{environments_url}/{body['id']}")).json() == body

    async def test_values_of_variables_are_kept_encrypted_and_never_shown(
        self, client: httpx.AsyncClient, session: AsyncSession, environments_url: str, settings: Settings
    ) -> None:
        response = await client.post(
            environments_url, json={"name": "x", "environment_variables": {"TOKEN": SECRET, "A": ""}}
        )
        listed = await client.get(environments_url)
        changed = await client.patch(f"{environments_url}/{response.json()['id']}", json={"name": "y"})
        for answer in (response, listed, changed):
            assert SECRET not in answer.text
            assert "environment_variables" not in answer.text.replace("has_environment_variables", "")
        assert response.json()["environment_variable_keys"] == ["A", "TOKEN"]
        assert response.json()["has_environment_variables"] is True
        [kept] = await session.scalars(select(SandboxEnvironment.encrypted_variables))
        assert SECRET not in str(kept)
        cipher = Cipher(settings.secret_keys)
        assert {name: cipher.decrypt(value) for name, value in kept.items()} == {"TOKEN": SECRET, "A": ""}

    async def test_host_names_are_normalised(self, client: httpx.AsyncClient, environments_url: str) -> None:
        given = ["API.Example.com.", "*.Example.org", "bücher.example", "_acme.example.com"]
        response = await client.post(
            environments_url,
            json={"name": "x", "network_access_level": "custom", "allowed_domains": given},
        )
        expected = ["api.example.com", "*.example.org", "xn--bcher-kva.example", "_acme.example.com"]
        assert response.json()["allowed_domains"] == expected
        assert response.json()["effective_domains"] == expected

    @pytest.mark.parametrize(
        "domain",
        [
            "localhost",
            "127.0.0.1",
            "2130706433",
            "0x7f.0.0.1",
            "[::1]",
            "::1",
            "*",
            "*.com",
            "*.*.example.com",
            "a.*.example.com",
            "https://example.com",
            "example.com:443",
            "example.com/x",
            "user@example.com",
            "exa mple.com",
            "example..com",
            "-a.example.com",
            "a" * 64 + ".example.com",
            "example.com\nevil.com",
            "example.1",
            "",
        ],
    )
    async def test_what_is_no_host_name_is_refused(
        self, client: httpx.AsyncClient, environments_url: str, domain: str
    ) -> None:
        response = await client.post(
            environments_url, json={"name": "x", "allowed_domains": ["a.de", domain]}
        )
        assert_invalid(response, "allowed_domains__1", "invalid_input" if domain else "blank")

    @pytest.mark.parametrize(
        ("field", "value", "code"),
        [
            ("name", None, "null"),
            ("name", " ", "blank"),
            ("name", "x" * 256, "max_length"),
            ("network_access_level", "everything", "invalid_choice"),
            ("allowed_domains", "example.com", "not_a_list"),
            ("allowed_domains", ["a.example"] * 201, "max_length"),
            ("include_default_domains", "maybe", "invalid_input"),
            ("repositories", ["nothing"], "invalid_input"),
            ("repositories", ["a/b"] * 101, "max_length"),
            ("environment_variables", ["A"], "not_a_dict"),
            ("environment_variables", None, "null"),
            ("environment_variables", {"1A": "x"}, "invalid_input"),
            ("environment_variables", {"": "x"}, "invalid_input"),
            ("environment_variables", {"A=B": "x"}, "invalid_input"),
            ("environment_variables", {"É": "x"}, "invalid_input"),
            ("environment_variables", {"A\n": "x"}, "invalid_input"),
            ("environment_variables", {"A" * 129: "x"}, "invalid_input"),
            ("environment_variables", {"A": 5}, "invalid_input"),
            ("environment_variables", {"A": "a\x00b"}, "null_characters_not_allowed"),
            ("environment_variables", {"A": "é" * 16385}, "max_length"),
            ("environment_variables", {f"A{n}": "x" * 32768 for n in range(9)}, "max_length"),
            ("environment_variables", {f"A{n}": "" for n in range(101)}, "max_length"),
            ("private", "perhaps", "invalid_input"),
        ],
    )
    async def test_field_that_breaks_a_rule_is_named(
        self, client: httpx.AsyncClient, environments_url: str, field: str, value: Any, code: str
    ) -> None:
        response = await client.post(environments_url, json={"name": "x", field: value})
        attr = f"{field}__0" if value == ["nothing"] else field
        assert_invalid(response, attr, code)
        assert_page(await client.get(environments_url), count=0)

    async def test_name_is_required(self, client: httpx.AsyncClient, environments_url: str) -> None:
        assert_invalid(await client.post(environments_url, json={}), "name", "required")

    async def test_refused_value_is_not_repeated(
        self, client: httpx.AsyncClient, environments_url: str
    ) -> None:
        for variables in ({"A": SECRET * 4000}, {"A": [SECRET]}, {"bad name": SECRET}):
            response = await client.post(
                environments_url, json={"name": "x", "environment_variables": variables}
            )
            assert response.status_code == 400
            assert SECRET not in response.text


@pytest.mark.parametrize(
    ("level", "include", "expected"),
    [
        ("none", True, []),
        ("model-only", True, []),
        ("trusted", False, ["api.example.com", *TRUSTED_DOMAINS]),
        ("custom", False, ["api.example.com"]),
        ("custom", True, ["api.example.com", *TRUSTED_DOMAINS]),
        ("full", True, []),
    ],
)
async def test_effective_domains_follow_from_the_level(
    client: httpx.AsyncClient, environments_url: str, level: str, include: bool, expected: list[str]
) -> None:
    body = {
        "name": "x",
        "network_access_level": level,
        "allowed_domains": ["api.example.com"],
        "include_default_domains": include,
    }
    assert (await client.post(environments_url, json=body)).json()["effective_domains"] == expected


class TestVisibility:
    """A private one is its creator's alone; a shared one the project's; nobody else learns of it."""

    @pytest.mark.parametrize("kind", ["foreign private", "foreign shared elsewhere", "nobody's private"])
    async def test_what_the_caller_does_not_see_is_not_found(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        other_member: User,
        environments_url: str,
        kind: str,
    ) -> None:
        if kind == "foreign shared elsewhere":
            elsewhere = await make_project(session)
            environment = await make_sandbox_environment(
                session, project=elsewhere, created_by=other_member, private=False
            )
        else:
            creator = other_member if kind == "foreign private" else None
            environment = await make_sandbox_environment(session, project=project, created_by=creator)
        url = f"{environments_url}/{environment.id}"
        assert_page(await client.get(environments_url), count=0)
        assert_not_found(await client.get(url))
        assert_not_found(await client.patch(url, json={"name": "mine"}))
        # Not visible comes before not valid, or an error would tell that it exists.
        assert_not_found(await client.patch(url, json={"name": ""}))
        assert_not_found(await client.delete(url))
        assert await session.scalar(select(SandboxEnvironment.name)) == "An environment"

    async def test_shared_one_is_everybodys_to_use_and_change(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        other_member: User,
        environments_url: str,
    ) -> None:
        environment = await make_sandbox_environment(
            session, project=project, created_by=other_member, private=False
        )
        url = f"{environments_url}/{environment.id}"
        [row] = assert_page(await client.get(environments_url), count=1)
        assert row["created_by"]["id"] == other_member.id
        assert (await client.patch(url, json={"name": "Ours"})).json()["name"] == "Ours"
        refused = await client.patch(url, json={"private": True})
        assert_invalid(
            refused, "private", "invalid_input", "Only the creator can make this environment private."
        )
        assert (await client.delete(url)).status_code == 204
        assert_not_found(await client.get(url))

    @pytest.mark.parametrize("name", ["abc", "%00", "00000000-0000-4000-8000-000000000000"])
    async def test_id_that_names_nothing_is_not_found(
        self, client: httpx.AsyncClient, environments_url: str, name: str
    ) -> None:
        assert_not_found(await client.get(f"{environments_url}/{name}"))


class TestUpdate:
    async def test_only_what_is_given_changes(
        self, client: httpx.AsyncClient, session: AsyncSession, environments_url: str, settings: Settings
    ) -> None:
        made = (
            await client.post(
                environments_url,
                json={
                    "name": "x",
                    "allowed_domains": ["a.example"],
                    "environment_variables": {"A": "1", "B": "2"},
                },
            )
        ).json()
        url = f"{environments_url}/{made['id']}"
        changed = (await client.patch(url, json={"network_access_level": "none", "private": False})).json()
        assert described(changed) == described(made) | {"network_access_level": "none", "private": False}
        assert changed["updated_at"] > made["updated_at"]
        replaced = (await client.patch(url, json={"environment_variables": {"C": "3"}})).json()
        assert replaced["environment_variable_keys"] == ["C"]
        [kept] = await session.scalars(select(SandboxEnvironment.encrypted_variables))
        assert Cipher(settings.secret_keys).decrypt(kept["C"]) == "3"

    async def test_name_that_is_given_must_be_one(
        self, client: httpx.AsyncClient, environments_url: str
    ) -> None:
        made = (await client.post(environments_url, json={"name": "x"})).json()
        url = f"{environments_url}/{made['id']}"
        assert_invalid(await client.patch(url, json={"name": " "}), "name", "blank")
        assert_invalid(await client.patch(url, json={"name": None}), "name", "null")

    async def test_put_is_not_allowed(self, client: httpx.AsyncClient, environments_url: str) -> None:
        made = (await client.post(environments_url, json={"name": "x"})).json()
        assert (await client.put(f"{environments_url}/{made['id']}", json={})).status_code == 405


class TestRuns:
    """A run names an environment that its caller may use (contract 5.8 step 7, 9.2)."""

    @pytest.fixture
    async def environment(self, session: AsyncSession, project: Project, owner: User) -> SandboxEnvironment:
        return await make_sandbox_environment(session, project=project, created_by=owner)

    async def run_of(self, session: AsyncSession, answer: httpx.Response) -> Run:
        assert answer.status_code == 200, answer.text
        run_id = answer.json()["latest_run"]["id"]
        return (await session.scalars(select(Run).where(Run.id == run_id))).one()

    async def test_environment_is_kept_on_the_run_and_in_its_state(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        task_url: str,
        environment: SandboxEnvironment,
    ) -> None:
        response = await client.post(f"{task_url}/run", json={"sandbox_environment_id": str(environment.id)})
        run = await self.run_of(session, response)
        assert run.sandbox_environment_id == environment.id
        assert response.json()["latest_run"]["state"]["sandbox_environment_id"] == str(environment.id)

    async def test_foreign_private_one_is_invalid(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        other_member: User,
        task_url: str,
    ) -> None:
        foreign = await make_sandbox_environment(session, project=project, created_by=other_member)
        response = await client.post(f"{task_url}/run", json={"sandbox_environment_id": str(foreign.id)})
        assert response.status_code == 400
        assert response.json() == {"detail": "Invalid sandbox_environment_id"}

    @pytest.mark.parametrize("still", [True, False])
    async def test_resume_takes_it_over_while_it_is_accessible(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        other_member: User,
        task_url: str,
        environment: SandboxEnvironment,
        still: bool,
    ) -> None:
        first = await client.post(f"{task_url}/run", json={"sandbox_environment_id": str(environment.id)})
        if not still:
            await session.execute(update(SandboxEnvironment).values(created_by_id=other_member.id))
        resumed = await client.post(
            f"{task_url}/run", json={"resume_from_run_id": first.json()["latest_run"]["id"]}
        )
        run = await self.run_of(session, resumed)
        assert run.sandbox_environment_id == (environment.id if still else None)
        assert ("sandbox_environment_id" in run.state) is still

    async def test_state_that_a_client_writes_gives_no_environment(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        other_member: User,
        run: Run,
        task_url: str,
    ) -> None:
        """Whoever knows the id of a foreign environment could otherwise have its variables printed."""
        foreign = await make_sandbox_environment(session, project=project, created_by=other_member)
        state = {"sandbox_environment_id": str(foreign.id)}
        response = await client.patch(f"{task_url}/runs/{run.id}", json={"state": state})
        assert response.status_code == 200
        assert await session.scalar(select(Run.sandbox_environment_id)) is None
        resumed = await client.post(f"{task_url}/run", json={"resume_from_run_id": str(run.id)})
        assert (await self.run_of(session, resumed)).sandbox_environment_id is None


@pytest.mark.caller(CallerKind.READ_ONLY)
async def test_read_only_key_may_look_and_no_more(
    client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User, environments_url: str
) -> None:
    environment = await make_sandbox_environment(session, project=project, created_by=owner)
    url = f"{environments_url}/{environment.id}"
    assert (await client.get(url)).status_code == 200
    assert (await client.patch(url, json={"name": "x"})).status_code == 403
    assert (await client.delete(url)).status_code == 403
