"""Sandbox environments: kept with their secrets, seen by those they are for, named by runs (contract 5.8, 9.2)."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.network.domains import TRUSTED_DOMAINS
from app.config import Settings
from app.models import Project, Run, SandboxEnvironment, User
from app.security.secrets import Cipher
from tests.support.assertions import assert_invalid, assert_not_found, assert_page, concerning
from tests.support.factories import make_project, make_sandbox_environment
from tests.support.runs import UNKNOWN

Make = Callable[..., Awaitable[SandboxEnvironment]]

SECRET = "v3ry-s3cret-value"


@pytest.fixture
def environments_url(project: Project) -> str:
    return f"/api/projects/{project.id}/sandbox_environments"


@pytest.fixture
def make(session: AsyncSession, project: Project, owner: User) -> Make:
    """Make an environment of the project, the owner's private one unless a test says otherwise."""

    async def make(created_by: User | None = owner, **overrides: Any) -> SandboxEnvironment:
        given = {"project": project, "created_by": created_by} | overrides
        return await make_sandbox_environment(session, **given)

    return make


def described(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in answer.items()
        if name not in {"id", "created_by", "created_at", "updated_at", "effective_domains"}
    }


class TestCreate:
    async def test_name_is_enough_for_an_environment(
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
            "for_checks": [],
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

    async def test_variables_for_checks_are_named(
        self, client: httpx.AsyncClient, environments_url: str
    ) -> None:
        """Contract 18.3: names without a variable have no effect."""
        given = {"name": "x", "environment_variables": {"A": "1"}, "for_checks": ["A", "LATER"]}
        made = (await client.post(environments_url, json=given)).json()
        assert made["for_checks"] == ["A", "LATER"]
        url = f"{environments_url}/{made['id']}"
        assert (await client.patch(url, json={"name": "y"})).json()["for_checks"] == ["A", "LATER"]
        assert (await client.patch(url, json={"for_checks": []})).json()["for_checks"] == []
        for wrong, attr, code in (
            (["A"] * 101, "for_checks", "max_length"),
            ("A", "for_checks", "not_a_list"),
            (["A", ""], "for_checks__1", "blank"),
            (["A" * 129], "for_checks__0", "max_length"),
        ):
            with concerning(wrong):
                assert_invalid(await client.patch(url, json={"for_checks": wrong}), attr, code)

    async def test_host_names_are_normalised(self, client: httpx.AsyncClient, environments_url: str) -> None:
        given = ["API.Example.com.", "*.Example.org", "bücher.example", "_acme.example.com"]
        response = await client.post(
            environments_url,
            json={"name": "x", "network_access_level": "custom", "allowed_domains": given},
        )
        expected = ["api.example.com", "*.example.org", "xn--bcher-kva.example", "_acme.example.com"]
        assert response.json()["allowed_domains"] == expected
        assert response.json()["effective_domains"] == expected

    async def test_invalid_host_name_is_refused(
        self, client: httpx.AsyncClient, environments_url: str
    ) -> None:
        for domain in (
            *("localhost", "127.0.0.1", "2130706433", "0x7f.0.0.1", "[::1]", "::1"),
            *("*", "*.com", "*.*.example.com", "a.*.example.com"),
            *("https://example.com", "example.com:443", "example.com/x", "user@example.com"),
            *("exa mple.com", "example..com", "-a.example.com", "a" * 64 + ".example.com"),
            *("example.com\nevil.com", "example.1", ""),
        ):
            body = {"name": "x", "allowed_domains": ["a.de", domain]}
            with concerning(repr(domain)):
                response = await client.post(environments_url, json=body)
                assert_invalid(response, "allowed_domains__1", "invalid_input" if domain else "blank")

    async def test_field_that_breaks_a_rule_is_named(
        self, client: httpx.AsyncClient, environments_url: str
    ) -> None:
        variables: list[tuple[Any, str]] = [
            (["A"], "not_a_dict"),
            (None, "null"),
            *(({name: "x"}, "invalid_input") for name in ("1A", "", "A=B", "É", "A\n", "A" * 129)),
            ({"A": 5}, "invalid_input"),
            ({"A": "a\x00b"}, "null_characters_not_allowed"),
            ({"A": "é" * 16385}, "max_length"),
            ({f"A{n}": "x" * 32768 for n in range(9)}, "max_length"),
            ({f"A{n}": "" for n in range(101)}, "max_length"),
        ]
        fields: list[tuple[str, Any, str]] = [
            ("name", None, "null"),
            ("name", " ", "blank"),
            ("name", "x" * 256, "max_length"),
            ("network_access_level", "everything", "invalid_choice"),
            ("allowed_domains", "example.com", "not_a_list"),
            ("allowed_domains", ["a.example"] * 201, "max_length"),
            ("include_default_domains", "maybe", "invalid_input"),
            ("repositories", ["nothing"], "invalid_input"),
            ("repositories", ["a/b"] * 101, "max_length"),
            ("private", "perhaps", "invalid_input"),
            *(("environment_variables", value, code) for value, code in variables),
        ]
        for field, value, code in fields:
            with concerning(f"{field}: {value!r}"[:99]):
                response = await client.post(environments_url, json={"name": "x", field: value})
                assert_invalid(response, f"{field}__0" if value == ["nothing"] else field, code)
        assert_invalid(await client.post(environments_url, json={}), "name", "required")
        assert_page(await client.get(environments_url), count=0)

    async def test_variable_that_a_loader_obeys_is_refused_and_named(
        self, client: httpx.AsyncClient, make: Make, owner: User, environments_url: str
    ) -> None:
        """Contract 13.19; stored ones keep working, and neighbours of their names stay allowed."""
        stored = await make(owner, encrypted_variables={"LD_PRELOAD": "x"})
        url = f"{environments_url}/{stored.id}"
        refused = ("LD_PRELOAD", "dyld_x", "Taskbeacon_URL", "BASH_FUNC_x", "Node_Options", "BASH_ENV", "ENV")
        more = ("PYTHONSTARTUP", "PYTHONHOME", "PERL5OPT", "RUBYOPT", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS")
        for name in (*refused, *more, "JDK_JAVA_OPTIONS"):
            variables = {"environment_variables": {"A": "1", name: SECRET}}
            for response in (
                await client.post(environments_url, json={"name": "x", **variables}),
                await client.patch(url, json=variables),
            ):
                assert_invalid(response, "environment_variables", "invalid_input")
                assert name in response.json()["detail"]
                assert SECRET not in response.text
        assert (await client.patch(url, json={"name": "y"})).json()["environment_variable_keys"] == [
            "LD_PRELOAD"
        ]
        allowed = {"PYTHONPATH": "", "PATH": "", "NODE_ENV": "", "ENVIRONMENT": "", "OLD_PRELOAD": ""}
        response = await client.patch(url, json={"environment_variables": allowed})
        assert response.json()["environment_variable_keys"] == sorted(allowed)

    async def test_refused_value_is_not_repeated(
        self, client: httpx.AsyncClient, environments_url: str
    ) -> None:
        for variables in ({"A": SECRET * 4000}, {"A": [SECRET]}, {"bad name": SECRET}):
            response = await client.post(
                environments_url, json={"name": "x", "environment_variables": variables}
            )
            assert response.status_code == 400
            assert SECRET not in response.text


async def test_effective_domains_follow_from_the_level(
    client: httpx.AsyncClient, environments_url: str
) -> None:
    own = ["api.example.com"]
    for level, include, expected in (
        ("none", True, []),
        ("model-only", True, []),
        ("trusted", False, [*own, *TRUSTED_DOMAINS]),
        ("custom", False, own),
        ("custom", True, [*own, *TRUSTED_DOMAINS]),
        ("full", True, []),
    ):
        body = {"network_access_level": level, "allowed_domains": own, "include_default_domains": include}
        response = await client.post(environments_url, json={"name": "x", **body})
        with concerning(body):
            assert response.json()["effective_domains"] == expected


class TestVisibility:
    """A private one is its creator's alone; a shared one the project's; others do not learn of it."""

    async def test_what_the_caller_does_not_see_is_not_found(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        make: Make,
        colleague: User,
        environments_url: str,
    ) -> None:
        shared_elsewhere = await make(colleague, project=await make_project(session), private=False)
        for environment in (await make(colleague), await make(None), shared_elsewhere):
            url = f"{environments_url}/{environment.id}"
            assert_not_found(await client.get(url))
            assert_not_found(await client.patch(url, json={"name": "mine"}))
            # Not visible comes before not valid, or an error would show that it exists.
            assert_not_found(await client.patch(url, json={"name": ""}))
            assert_not_found(await client.delete(url))
        assert_page(await client.get(environments_url), count=0)
        assert set(await session.scalars(select(SandboxEnvironment.name))) == {"An environment"}
        for name in ("abc", "%00", UNKNOWN):
            assert_not_found(await client.get(f"{environments_url}/{name}"))

    async def test_shared_one_may_be_used_and_changed_by_every_member(
        self, client: httpx.AsyncClient, make: Make, colleague: User, environments_url: str
    ) -> None:
        url = f"{environments_url}/{(await make(colleague, private=False)).id}"
        [row] = assert_page(await client.get(environments_url), count=1)
        assert row["created_by"]["id"] == colleague.id
        assert (await client.patch(url, json={"name": "Ours"})).json()["name"] == "Ours"
        detail = "Only the creator can make this environment private."
        assert_invalid(await client.patch(url, json={"private": True}), "private", "invalid_input", detail)
        assert (await client.delete(url)).status_code == 204
        assert_not_found(await client.get(url))


class TestUpdate:
    async def test_only_what_is_given_changes(
        self, client: httpx.AsyncClient, session: AsyncSession, environments_url: str, settings: Settings
    ) -> None:
        variables = {"A": "1", "B": "2"}
        body = {"name": "x", "allowed_domains": ["a.example"], "environment_variables": variables}
        made = (await client.post(environments_url, json=body)).json()
        url = f"{environments_url}/{made['id']}"
        changed = (await client.patch(url, json={"network_access_level": "none", "private": False})).json()
        assert described(changed) == described(made) | {"network_access_level": "none", "private": False}
        assert changed["updated_at"] > made["updated_at"]
        replaced = (await client.patch(url, json={"environment_variables": {"C": "3"}})).json()
        assert replaced["environment_variable_keys"] == ["C"]
        [kept] = await session.scalars(select(SandboxEnvironment.encrypted_variables))
        assert Cipher(settings.secret_keys).decrypt(kept["C"]) == "3"

    async def test_name_must_stay_one_and_put_is_not_allowed(
        self, client: httpx.AsyncClient, make: Make, environments_url: str
    ) -> None:
        url = f"{environments_url}/{(await make()).id}"
        assert_invalid(await client.patch(url, json={"name": " "}), "name", "blank")
        assert_invalid(await client.patch(url, json={"name": None}), "name", "null")
        assert (await client.put(url, json={})).status_code == 405


class TestRuns:
    """A run names an environment that its caller may use (contract 5.8 step 7, 9.2)."""

    async def run_of(self, session: AsyncSession, answer: httpx.Response) -> Run:
        assert answer.status_code == 200, answer.text
        run_id = answer.json()["latest_run"]["id"]
        return (await session.scalars(select(Run).where(Run.id == run_id))).one()

    @pytest.mark.parametrize("still", [True, False])
    async def test_environment_is_kept_and_taken_over_while_it_is_accessible(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        make: Make,
        colleague: User,
        run_url: str,
        still: bool,
    ) -> None:
        environment = await make()
        named = str(environment.id)
        first = await client.post(run_url, json={"sandbox_environment_id": named})
        assert (await self.run_of(session, first)).sandbox_environment_id == environment.id
        assert first.json()["latest_run"]["state"]["sandbox_environment_id"] == named
        if not still:
            await session.execute(update(SandboxEnvironment).values(created_by_id=colleague.id))
        resumed = await client.post(run_url, json={"resume_from_run_id": first.json()["latest_run"]["id"]})
        run = await self.run_of(session, resumed)
        assert run.sandbox_environment_id == (environment.id if still else None)
        assert ("sandbox_environment_id" in run.state) is still

    async def test_foreign_private_one_is_invalid_and_not_given_by_a_state_that_a_client_writes(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        make: Make,
        colleague: User,
        run: Run,
        task_url: str,
        run_url: str,
    ) -> None:
        """Any client that knows its id could otherwise have its variables printed."""
        state = {"sandbox_environment_id": str((await make(colleague)).id)}
        response = await client.post(run_url, json=state)
        assert (response.status_code, response.json()) == (400, {"detail": "Invalid sandbox_environment_id"})
        response = await client.patch(f"{task_url}/runs/{run.id}", json={"state": state})
        assert response.status_code == 200
        assert await session.scalar(select(Run.sandbox_environment_id)) is None
        resumed = await client.post(run_url, json={"resume_from_run_id": str(run.id)})
        assert (await self.run_of(session, resumed)).sandbox_environment_id is None
