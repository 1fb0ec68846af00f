"""Webhook endpoints over the wire: made, seen by their creator alone, changed, tested, looked into (contract 14)."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import SessionFactory
from app.models import Project, Task, User, WebhookEndpoint
from app.services.accounts.secret_rotation import encrypted_columns
from tests.support.assertions import (
    assert_error,
    assert_invalid,
    assert_not_found,
    assert_page,
    assert_permission_denied,
    concerning,
)
from tests.support.callers import bearer
from tests.support.clock import MovableClock
from tests.support.factories import make_key, make_project, make_user
from tests.support.stand_ins.receiver import Receiver, Reply
from tests.support.web.clients import in_process_client
from tests.support.webhooks import Deliveries, make_endpoint, record_event

ANY_ID = "11111111-1111-4111-8111-111111111111"
URL = "https://hooks.example.com/taskbeacon"
BODY = {"url": URL, "event_types": ["run.*", "task.created"]}
_DENIED = "API key missing required scope 'task:read'"


class TestCreate:
    async def test_url_and_types_are_enough(
        self, client: httpx.AsyncClient, endpoints_url: str, owner: User, endpoint: dict[str, Any]
    ) -> None:
        secret = endpoint.pop("secret")
        assert secret.startswith("whsec_")
        shown = {
            name: value for name, value in endpoint.items() if name not in {"id", "created_at", "created_by"}
        }
        assert shown == {
            "url": URL,
            "event_types": ["run.*", "task.created"],
            "description": "",
            "payload": "thin",
            "task_filter": None,
            "enabled": True,
            "disabled_reason": None,
            "last_success_at": None,
            "last_failure_at": None,
            "consecutive_failures": 0,
            "secret_hint": secret[-4:],
        }
        assert endpoint["created_by"]["id"] == owner.id
        assert (await client.get(f"{endpoints_url}/{endpoint['id']}/")).json() == endpoint
        assert assert_page(await client.get(endpoints_url), count=1) == [endpoint]

    async def test_create_stores_and_shows_every_field(
        self, client: httpx.AsyncClient, endpoints_url: str
    ) -> None:
        body = {
            "url": "https://hooks.example.com:443/a?b=c",
            "event_types": ["*", "*", "question.*"],
            "description": "  Ours ",
            "payload": "full",
            "task_filter": {"created_by": "me", "repository": "Acme/Shop", "origin_product": "slack"},
            "enabled": False,
        }
        made = (await client.post(endpoints_url, json=body)).json()
        assert made["event_types"] == ["*", "question.*"]
        assert made["description"] == "Ours"
        assert made["payload"] == "full"
        assert made["task_filter"] == {
            "created_by": "me",
            "repository": "acme/shop",
            "origin_product": "slack",
        }
        assert (made["enabled"], made["disabled_reason"]) == (False, "user")

    async def test_secret_is_kept_encrypted_where_a_rotation_of_keys_finds_it(
        self, session: AsyncSession, endpoint: dict[str, Any]
    ) -> None:
        row = (await session.scalars(select(WebhookEndpoint))).one()
        assert endpoint["secret"] not in row.encrypted_secret
        assert {"webhook_endpoints.encrypted_secret", "webhook_endpoints.encrypted_old_secrets"} <= {
            str(column) for column in encrypted_columns()
        }

    @pytest.mark.parametrize(
        "url",
        [
            "http://hooks.example.com/",
            "https://hooks.example.com:8443/",
            "https://hooks.example.com:0/",
            "https://hooks.example.com:99999/",
            "https://[::1/x",
            "https://[::1]/",
            "https://93.184.216.34/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://127.1/",
            "https://localhost/",
            "https://printer.local/",
            "https://intranet/",
            "https://user@hooks.example.com/",
            "https://user:password@hooks.example.com/",
            "http://good@evil.example.com/",
            "https://hooks.example.com/#fragment",
            "https://hooks.example.com/#",
            "https://hooks.example.com\\@evil.example.com/",
            "https://höoks.example.com/",
            "https://hooks.example.com/ä",
            "https://hooks.example.com/a b",
            "https://hooks.example.com./",
            "https://-a.example.com/",
            "https:///nothing",
            "https:hooks.example.com",
            "ftp://hooks.example.com/",
            "file:///etc/passwd",
            "hooks.example.com",
            "javascript:alert(1)",
        ],
    )
    async def test_url_that_is_refused(
        self, client: httpx.AsyncClient, endpoints_url: str, session: AsyncSession, url: str
    ) -> None:
        assert_invalid(await client.post(endpoints_url, json={**BODY, "url": url}), "url", "invalid_input")
        assert await session.scalar(select(func.count()).select_from(WebhookEndpoint)) == 0

    @pytest.mark.parametrize(
        ("change", "attr", "code"),
        [
            ({"url": None}, "url", "null"),
            ({"url": ""}, "url", "blank"),
            ({"url": 7}, "url", "invalid_input"),
            ({"url": "https://hooks.example.com/" + "a" * 2048}, "url", "max_length"),
            ({"url": "https://hooks.example.com/\x00"}, "url", "null_characters_not_allowed"),
            ({"event_types": []}, "event_types", "empty"),
            ({"event_types": None}, "event_types", "null"),
            ({"event_types": "run.*"}, "event_types", "not_a_list"),
            ({"event_types": ["run.*", "run.done"]}, "event_types__1", "invalid_choice"),
            ({"event_types": ["run.*.x"]}, "event_types__0", "invalid_choice"),
            ({"event_types": ["*.completed"]}, "event_types__0", "invalid_choice"),
            ({"event_types": ["r*"]}, "event_types__0", "invalid_choice"),
            ({"event_types": ["ping"]}, "event_types__0", "invalid_choice"),
            ({"event_types": [None]}, "event_types__0", "null"),
            ({"event_types": [{}]}, "event_types__0", "invalid_input"),
            ({"event_types": ["run.*"] * 101}, "event_types", "max_length"),
            ({"payload": "fat"}, "payload", "invalid_choice"),
            ({"payload": None}, "payload", "null"),
            ({"enabled": "maybe"}, "enabled", "invalid_input"),
            ({"description": "a" * 1001}, "description", "max_length"),
            ({"task_filter": "me"}, "task_filter", "invalid_input"),
            ({"task_filter": {"created_by": "you"}}, "task_filter__created_by", "invalid_input"),
            ({"task_filter": {"created_by": 2**63}}, "task_filter__created_by", "invalid_input"),
            ({"task_filter": {"repository": "shop"}}, "task_filter__repository", "invalid_input"),
            ({"task_filter": {"origin_product": "x"}}, "task_filter__origin_product", "invalid_choice"),
        ],
        ids=str,
    )
    async def test_field_that_is_refused(
        self,
        client: httpx.AsyncClient,
        endpoints_url: str,
        session: AsyncSession,
        change: dict[str, Any],
        attr: str,
        code: str,
    ) -> None:
        assert_invalid(await client.post(endpoints_url, json={**BODY, **change}), attr, code)
        assert await session.scalar(select(func.count()).select_from(WebhookEndpoint)) == 0

    async def test_refusal_of_a_choice_names_the_choices(
        self, client: httpx.AsyncClient, endpoints_url: str
    ) -> None:
        for change, attr, start in (
            (
                {"event_types": ["runs.*"]},
                "event_types__0",
                '"runs.*" is not a valid choice; choose from *, question.*, run.*, ',
            ),
            ({"payload": "fat"}, "payload", '"fat" is not a valid choice; choose from thin, full.'),
        ):
            refused = await client.post(endpoints_url, json={**BODY, **change})
            assert_invalid(refused, attr, "invalid_choice")
            assert refused.json()["detail"].startswith(start)

    @pytest.mark.parametrize("missing", ["url", "event_types"])
    async def test_field_that_is_required(
        self, client: httpx.AsyncClient, endpoints_url: str, missing: str
    ) -> None:
        body = {name: value for name, value in BODY.items() if name != missing}
        assert_invalid(await client.post(endpoints_url, json=body), missing, "required")

    async def test_member_has_at_most_five_and_project_twenty(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        application: FastAPI,
        endpoints_url: str,
    ) -> None:
        """Regression: one member took all places of a project, and the others did not learn whose they were."""
        for _ in range(5):
            assert (await client.post(endpoints_url, json={**BODY, "enabled": False})).status_code == 201
        detail = "You have 5 webhook endpoints in this project; a member has at most 5."
        assert_invalid(await client.post(endpoints_url, json=BODY), None, "max_length", detail)
        former = await make_user(session)
        for user in [former, *[await make_user(session, projects=[project]) for _ in range(3)]]:
            for _ in range(5):
                await make_endpoint(session, project=project, created_by=user, url=URL)
        user = await make_user(session, projects=[project])
        last = in_process_client(application, headers=bearer(await make_key(session, user=user)))
        detail = "The members of this project have 20 webhook endpoints together, the most that a project can have."
        assert_invalid(await last.post(endpoints_url, json=BODY), None, "max_length", detail)

    @pytest.mark.usefixtures("deliveries")
    async def test_networks_that_the_operator_opened_may_be_named(
        self, client: httpx.AsyncClient, endpoints_url: str
    ) -> None:
        for url in (
            "http://127.0.0.1:8123/",
            "http://localhost:8123/",
            "http://[::1]:1/",
            "https://printer.local/",
            "http://receiver.lan:8123/",
        ):
            response = await client.post(endpoints_url, json={**BODY, "url": url})
            assert response.status_code == 201, url
        for url in (
            "http://10.0.0.1/",
            "https://93.184.216.34/",
            "http://169.254.169.254/",
            "https://2130706433/",
        ):
            assert_invalid(
                await client.post(endpoints_url, json={**BODY, "url": url}), "url", "invalid_input"
            )

    @pytest.mark.usefixtures("deliveries")
    async def test_public_name_needs_https_also_where_a_network_is_open(
        self, client: httpx.AsyncClient, endpoints_url: str
    ) -> None:
        """Regression: it was taken, and each message to it then failed with `blocked_address`."""
        detail = "A URL with a public name must use https on port 443."
        for url in ("http://hooks.example.com/", "https://hooks.example.com:8443/"):
            response = await client.post(endpoints_url, json={**BODY, "url": url})
            assert_invalid(response, "url", "invalid_input", detail)


class TestScopes:
    """`webhook:*` alone shows no words of tasks and runs (contract 14.4, 14.7)."""

    @pytest.fixture
    async def limited(self, session: AsyncSession, owner: User, application: FastAPI) -> httpx.AsyncClient:
        """A key of the same user with `webhook:write` alone."""
        key = await make_key(session, user=owner, scopes=["webhook:write"])
        return in_process_client(application, headers=bearer(key))

    async def test_full_payload_needs_task_read(
        self, client: httpx.AsyncClient, limited: httpx.AsyncClient, endpoints_url: str
    ) -> None:
        assert_permission_denied(await limited.post(endpoints_url, json={**BODY, "payload": "full"}), _DENIED)
        thin = (await limited.post(endpoints_url, json=BODY)).json()
        url = f"{endpoints_url}/{thin['id']}"
        assert_permission_denied(await limited.patch(url, json={"payload": "full"}), _DENIED)
        assert (await limited.patch(url, json={"url": URL + "/b", "event_types": ["*"]})).status_code == 200
        assert (await client.patch(url, json={"payload": "full"})).status_code == 200

    async def test_full_endpoint_is_not_redirected_without_task_read(
        self, client: httpx.AsyncClient, limited: httpx.AsyncClient, endpoints_url: str
    ) -> None:
        full = (await client.post(endpoints_url, json={**BODY, "payload": "full"})).json()
        del full["secret"]
        url = f"{endpoints_url}/{full['id']}"
        for change in (
            {"url": "https://other.example.com/"},
            {"url": "https://other.example.com/", "payload": "thin"},
            {"payload": "thin"},
            {"event_types": ["*"]},
            {"task_filter": None},
        ):
            with concerning(change):
                assert_permission_denied(await limited.patch(url, json=change), _DENIED)
        assert (await client.get(url)).json() == full
        assert (await limited.patch(url, json={"description": "x", "enabled": False})).status_code == 200
        assert (await limited.post(f"{url}/enable")).status_code == 200

    async def test_stored_full_bodies_are_not_redirected_either(
        self,
        client: httpx.AsyncClient,
        limited: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        owner: User,
        endpoints_url: str,
        deliveries: Deliveries,
    ) -> None:
        endpoint, _ = await make_endpoint(session, project=project, created_by=owner, url=URL, payload="full")
        created = await client.post(f"/api/projects/{project.id}/tasks", json={"title": "Confidential"})
        assert created.status_code == 201
        await deliveries.relay()
        url = f"{endpoints_url}/{endpoint.id}"
        assert (await client.patch(url, json={"payload": "thin"})).status_code == 200
        assert_permission_denied(
            await limited.patch(url, json={"url": "https://other.example.com/"}), _DENIED
        )
        (row,) = await deliveries.rows()
        assert "Confidential" in row.body

    async def test_log_of_deliveries_shows_no_body_without_task_read(
        self,
        client: httpx.AsyncClient,
        anonymous: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        owner: User,
        endpoints_url: str,
        deliveries: Deliveries,
        receiver: Receiver,
    ) -> None:
        made = {**BODY, "event_types": ["*"], "url": receiver.url(), "payload": "full"}
        url = f"{endpoints_url}/{(await client.post(endpoints_url, json=made)).json()['id']}/deliveries"
        # A receiver may repeat what it was sent.
        receiver.replies.append(Reply(404, body=b"Confidential"))
        await client.post(f"/api/projects/{project.id}/tasks", json={"title": "Confidential"})
        await deliveries.deliver()
        (row,) = assert_page(await client.get(url), count=1)

        reader = bearer(await make_key(session, user=owner, scopes=["webhook:read"]))
        shown = await anonymous.get(f"{url}/{row['id']}", headers=reader)

        assert shown.status_code == 200
        assert "Confidential" not in shown.text
        assert shown.json()["request"]["body"] is None
        (attempt,) = shown.json()["attempts"]
        assert (attempt["status_code"], attempt["response_excerpt"]) == (404, None)
        (attempt,) = (await client.get(f"{url}/{row['id']}")).json()["attempts"]
        assert attempt["response_excerpt"] == "Confidential"


class TestOthers:
    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("GET", "", None),
            ("PATCH", "", {"payload": "nonsense"}),
            ("DELETE", "", None),
            ("POST", "/rotate_secret", {}),
            ("POST", "/ping", None),
            ("POST", "/enable", None),
            ("POST", "/recover", {"since": "2026-11-01T00:00:00Z"}),
            ("GET", "/deliveries", None),
            ("GET", f"/deliveries/{ANY_ID}", None),
            ("POST", f"/deliveries/{ANY_ID}/redeliver", None),
        ],
    )
    async def test_endpoint_of_another_member_is_not_found(
        self,
        client: httpx.AsyncClient,
        other_member: httpx.AsyncClient,
        endpoints_url: str,
        endpoint: dict[str, Any],
        method: str,
        path: str,
        body: Any,
    ) -> None:
        if body and "since" in body:
            body = {"since": (utcnow() - timedelta(days=1)).isoformat()}
        url = f"{endpoints_url}/{endpoint['id']}{path}"
        assert_not_found(await other_member.request(method, url, json=body))
        unknown = f"{endpoints_url}/{ANY_ID}{path}"
        assert_not_found(await client.request(method, unknown, json=body))
        malformed = f"{endpoints_url}/nonsense{path}"
        assert_not_found(await client.request(method, malformed, json=body))

    async def test_endpoint_is_not_found_below_another_project(
        self, client: httpx.AsyncClient, session: AsyncSession, endpoint: dict[str, Any]
    ) -> None:
        elsewhere = await make_project(session)
        user = await make_user(session, projects=[elsewhere])
        key = await make_key(session, user=user)
        url = f"/api/projects/{elsewhere.id}/webhook_endpoints"
        assert_not_found(await client.get(f"{url}/{endpoint['id']}", headers=bearer(key)))
        assert_page(await client.get(url, headers=bearer(key)), count=0)

    async def test_list_holds_the_callers_own(
        self,
        client: httpx.AsyncClient,
        other_member: httpx.AsyncClient,
        endpoints_url: str,
        endpoint: dict[str, Any],
    ) -> None:
        own = (await other_member.post(endpoints_url, json=BODY)).json()
        assert [row["id"] for row in assert_page(await other_member.get(endpoints_url), count=1)] == [
            own["id"]
        ]
        assert [row["id"] for row in assert_page(await client.get(endpoints_url), count=1)] == [
            endpoint["id"]
        ]


class TestUpdate:
    async def test_given_fields_change_and_no_others(
        self, client: httpx.AsyncClient, endpoints_url: str, endpoint: dict[str, Any]
    ) -> None:
        endpoint.pop("secret")
        url = f"{endpoints_url}/{endpoint['id']}"
        changed = (await client.patch(url, json={"event_types": ["*"], "task_filter": {}})).json()
        assert changed == {**endpoint, "event_types": ["*"], "task_filter": {}}
        assert (await client.patch(url, json={})).json() == changed
        changed = (await client.patch(url, json={"task_filter": None, "url": URL + "/b"})).json()
        assert changed == {**endpoint, "event_types": ["*"], "url": URL + "/b"}

    @pytest.mark.parametrize(
        ("change", "attr"),
        [
            ({"url": "http://a.example.com"}, "url"),
            ({"event_types": ["x"]}, "event_types__0"),
            ({"url": ""}, "url"),
        ],
    )
    async def test_refused_change_changes_nothing(
        self, client: httpx.AsyncClient, endpoints_url: str, endpoint: dict[str, Any], change: Any, attr: str
    ) -> None:
        endpoint.pop("secret")
        url = f"{endpoints_url}/{endpoint['id']}"
        response = await client.patch(url, json={"description": "new", **change})
        assert (response.status_code, response.json()["attr"]) == (400, attr)
        assert (await client.get(url)).json() == endpoint

    async def test_disabling_cancels_what_is_pending_and_enabling_forgives(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        sessions: SessionFactory,
        endpoints_url: str,
        endpoint: dict[str, Any],
        task: Task,
        deliveries: Deliveries,
    ) -> None:
        url = f"{endpoints_url}/{endpoint['id']}"
        assert (await client.post(f"{url}/ping")).status_code == 202
        await session.execute(
            update(WebhookEndpoint).values(consecutive_failures=7, failing_since=utcnow(), has_exhausted=True)
        )

        disabled = (await client.patch(url, json={"enabled": False})).json()

        assert (disabled["enabled"], disabled["disabled_reason"]) == (False, "user")
        (row,) = await deliveries.rows()
        assert row.status == "cancelled"
        await record_event(sessions, task)
        await deliveries.deliver()
        assert len(await deliveries.rows()) == 1
        enabled = (await client.post(f"{url}/enable")).json()
        assert (enabled["enabled"], enabled["disabled_reason"]) == (True, None)
        assert enabled["consecutive_failures"] == 0
        assert (await client.post(f"{url}/enable/")).json() == enabled

    async def test_deleted_endpoint_is_gone_with_its_log(
        self, client: httpx.AsyncClient, endpoints_url: str, endpoint: dict[str, Any], deliveries: Deliveries
    ) -> None:
        url = f"{endpoints_url}/{endpoint['id']}"
        await client.post(f"{url}/ping")
        response = await client.delete(url)
        assert (response.status_code, response.content) == (204, b"")
        assert_not_found(await client.delete(url))
        assert await deliveries.rows() == []


class TestRotation:
    async def test_new_secret_is_shown_once_and_the_old_one_signs_for_a_day(
        self,
        client: httpx.AsyncClient,
        endpoints_url: str,
        deliveries: Deliveries,
        receiver: Receiver,
    ) -> None:
        made = (await client.post(endpoints_url, json={**BODY, "url": receiver.url()})).json()
        url = f"{endpoints_url}/{made['id']}"

        answer = await client.post(f"{url}/rotate_secret")

        assert answer.headers["cache-control"] == "no-store"
        rotated = answer.json()
        assert set(rotated) == {"secret", "old_secret_valid_until"}
        assert rotated["secret"] != made["secret"]
        assert (await client.get(url)).json()["secret_hint"] == rotated["secret"][-4:]
        await client.post(f"{url}/ping")
        await deliveries.deliver()
        (message,) = receiver.messages
        assert message.is_signed_by(made["secret"])
        assert message.is_signed_by(rotated["secret"])

    async def test_old_secret_may_end_at_once(
        self, client: httpx.AsyncClient, endpoints_url: str, deliveries: Deliveries, receiver: Receiver
    ) -> None:
        made = (await client.post(endpoints_url, json={**BODY, "url": receiver.url()})).json()
        url = f"{endpoints_url}/{made['id']}"
        rotated = (await client.post(f"{url}/rotate_secret/", json={"expire_old_after_seconds": 0})).json()
        await client.post(f"{url}/ping")
        await deliveries.deliver()
        (message,) = receiver.messages
        assert not message.is_signed_by(made["secret"])
        assert message.is_signed_by(rotated["secret"])

    @pytest.mark.parametrize(
        ("seconds", "code"), [(-1, "min_value"), (604_801, "max_value"), ("x", "invalid_input")]
    )
    async def test_overlap_of_secrets_outside_of_its_bounds_is_refused(
        self, client: httpx.AsyncClient, endpoints_url: str, endpoint: dict[str, Any], seconds: Any, code: str
    ) -> None:
        url = f"{endpoints_url}/{endpoint['id']}/rotate_secret"
        response = await client.post(url, json={"expire_old_after_seconds": seconds})
        assert_invalid(response, "expire_old_after_seconds", code)

    async def test_ten_secrets_sign_at_a_time_at_most(
        self, client: httpx.AsyncClient, endpoints_url: str, endpoint: dict[str, Any]
    ) -> None:
        url = f"{endpoints_url}/{endpoint['id']}/rotate_secret"
        for _ in range(9):
            assert (await client.post(url)).status_code == 200
        assert_invalid(await client.post(url), "expire_old_after_seconds", "invalid_input")


class TestPing:
    async def test_ping_is_one_message_outside_the_ledger(
        self,
        client: httpx.AsyncClient,
        project: Project,
        endpoints_url: str,
        deliveries: Deliveries,
        receiver: Receiver,
    ) -> None:
        made = (
            await client.post(endpoints_url, json={**BODY, "url": receiver.url(), "enabled": False})
        ).json()
        url = f"{endpoints_url}/{made['id']}"
        receiver.replies.append(Reply(500))

        response = await client.post(f"{url}/ping")

        assert response.status_code == 202
        await deliveries.deliver()
        (message,) = receiver.messages
        assert message.content["type"] == "ping"
        assert message.data == {"project_id": project.id, "endpoint_id": made["id"]}
        delivery = (await client.get(f"{url}/deliveries/{response.json()['delivery_id']}")).json()
        assert delivery["status"] == "failed"
        assert [attempt["error"] for attempt in delivery["attempts"]] == ["http_5xx"]
        events = (await client.get(f"/api/projects/{project.id}/events")).json()
        assert events["results"] == []

    async def test_pings_are_a_second_apart(
        self, client: httpx.AsyncClient, endpoints_url: str, endpoint: dict[str, Any], clock: MovableClock
    ) -> None:
        url = f"{endpoints_url}/{endpoint['id']}/ping"
        assert (await client.post(url)).status_code == 202
        response = await client.post(url)
        assert_error(response, 429, type="throttled_error", code="throttled", detail=None)
        assert response.headers["retry-after"] == "1"
        clock.advance(seconds=1)
        assert (await client.post(url)).status_code == 202
