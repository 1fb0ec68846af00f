"""Which deliveries of GitHub are believed, and which are read."""

import json
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from app.models import Project
from app.runtime import ProcessContext
from app.services.accounts import integrations
from app.services.code_hosts.github_webhook import read_ci_report
from tests.support.assertions import assert_error, assert_permission_denied
from tests.support.stand_ins.fakes import RecordingQueue
from tests.web.github_webhook.conftest import BRANCH, SECRET, Hook, payload, signed


@pytest.mark.walls
@pytest.mark.parametrize(
    ("event", "content"),
    [
        ("ping", {"zen": "Design for failure."}),
        ("push", payload()),
        *(
            ("workflow_run", payload(conclusion=conclusion))
            for conclusion in ("success", ["failure"], {"failure": 1}, 1, None)
        ),
        ("workflow_run", payload() | {"action": "requested"}),
        ("workflow_run", payload(head_branch="main")),
        ("workflow_run", payload(head_repository={"full_name": "mallory/app"})),
        ("workflow_run", payload() | {"repository": {"full_name": "acme/other"}}),
        ("workflow_run", payload(head_sha="b" * 40)),
        ("workflow_run", payload(head_branch=7)),
        ("workflow_run", payload(head_sha="\x00")),
        ("workflow_run", {"action": "completed", "workflow_run": []}),
        ("workflow_run", []),
    ],
)
async def test_everything_else_is_ignored(
    hook: Hook, queue: RecordingQueue, event: str, content: Any
) -> None:
    answer = await hook.send(content, event=event)

    assert (answer.status_code, answer.json()["status"], answer.json()["run"]) == (200, "ignored", None)
    assert queue.jobs == []


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["failure", BRANCH]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = [
    ("action",),
    ("check_suite",),
    ("repository",),
    ("repository", "full_name"),
    *(
        ("check_suite", name)
        for name in ("conclusion", "head_branch", "head_sha", "name", "app", "head_repository")
    ),
]


@pytest.mark.walls
@given(replaced=st.dictionaries(st.sampled_from(FIELDS), ANYTHING, min_size=1, max_size=4))
@example(replaced={("check_suite", "conclusion"): ["failure"]})
@example(replaced={("check_suite", "conclusion"): {"a": 1}})
@settings(max_examples=300)
def test_every_field_may_be_anything(replaced: dict[tuple[str, ...], Any]) -> None:
    """A list or an object as the conclusion was a server error."""
    content = payload("check_suite")
    for (*parents, name), value in replaced.items():
        parent = content
        for each in parents:
            parent = parent[each] if isinstance(parent.get(each), dict) else {}
        parent[name] = value
    report = read_ci_report("check_suite", content)
    assert report is None or report.branch.startswith("taskbeacon/")


async def test_delivery_that_comes_twice_counts_once(hook: Hook, queue: RecordingQueue) -> None:
    await hook.follow_up(await hook.send(payload(), delivery="one"))

    again = await hook.send(payload(), delivery="one")

    assert (again.json()["status"], len(queue.jobs)) == ("ignored", 1)


@pytest.mark.parametrize(
    "signature", ["", "sha256=", "sha256=" + "0" * 64, signed(b"{}"), signed(b"x", "other")]
)
async def test_wrong_signature_is_refused(hook: Hook, queue: RecordingQueue, signature: str) -> None:
    answer = await hook.send(payload(), signature=signature)

    assert_permission_denied(answer, "The signature does not fit.")
    assert queue.jobs == []


@pytest.mark.usefixtures("clock")
async def test_address_has_a_limit_of_wrong_signatures_only(hook: Hook) -> None:
    refused = [await hook.send(payload(), signature="sha256=") for _ in range(61)]

    assert [answer.status_code for answer in refused] == [403] * 60 + [429]
    assert int(refused[-1].headers["retry-after"]) > 0
    assert (await hook.send(payload("ping"), event="ping")).status_code == 200


async def test_integration_without_a_secret_is_refused(hook: Hook) -> None:
    hook.integration.encrypted_webhook_secret = None
    await hook.session.flush()

    answer = await hook.send(payload(), signature=signed(json.dumps(payload()).encode(), ""))

    assert_permission_denied(answer, "The signature does not fit.")


async def test_other_integration_cannot_speak_of_this_branch(
    hook: Hook, process: ProcessContext, project: Project
) -> None:
    hook.integration = await integrations.create_integration(
        hook.session,
        process.cipher,
        project_id=project.id,
        new=integrations.NewIntegration(kind="github", webhook_secret=SECRET),
    )

    assert (await hook.send(payload())).json()["status"] == "ignored"


async def test_secret_of_the_service_signs_where_no_integration_is_named(
    hook: Hook, application: FastAPI, process: ProcessContext
) -> None:
    body = json.dumps(payload()).encode()
    headers = {
        "X-GitHub-Event": "workflow_run",
        "X-GitHub-Delivery": "d",
        "X-Hub-Signature-256": signed(body, "of the service"),
    }
    refused = await hook.client.post("/api/webhooks/github", content=body, headers=headers)
    settings = process.settings.model_copy(update={"github_webhook_secret": SecretStr("of the service")})
    application.state.process = replace(process, settings=settings)
    taken = await hook.client.post("/api/webhooks/github", content=body, headers=headers)

    assert_permission_denied(refused, "The signature does not fit.")
    await hook.follow_up(taken)


async def test_body_that_is_too_large_or_no_json_is_refused(hook: Hook) -> None:
    large = await hook.send(b" " * (5 * 2**20 + 1))
    broken = await hook.send(b"{")

    assert (large.status_code, large.json()["code"]) == (413, "request_too_large")
    assert (broken.status_code, broken.json()["code"]) == (400, "parse_error")


async def test_delivery_without_an_id_is_refused(hook: Hook) -> None:
    body = json.dumps(payload()).encode()
    answer = await hook.client.post(
        f"/api/webhooks/github?integration={hook.integration.id}",
        content=body,
        headers={"X-GitHub-Event": "workflow_run", "X-Hub-Signature-256": signed(body)},
    )

    assert_error(
        answer,
        400,
        type="validation_error",
        code="required",
        detail="This header is required.",
        attr="X-GitHub-Delivery",
    )
