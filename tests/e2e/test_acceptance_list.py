"""What verification was accepted by, number for number: asked through the API, performed by a worker process.

The agent is the runbook, or one that plays a part of tests/agents/remembering_agent.py.
"""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from app.clients.redis import RedisClient
from app.clock import utcnow
from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.db.statements import count_changed
from app.ids import new_hex_id
from app.models import Integration, Project, Run, Verification
from app.security.secrets import Cipher
from app.services.accounts.integrations import NewIntegration, create_integration
from tests.concurrency.races import count_waiting
from tests.contract.globals.test_shapes import RUN_KEYS
from tests.e2e.conftest import Service
from tests.e2e.desk import FINISHED, JSON, Desk, do, put
from tests.fixtures.worker import Repositories
from tests.support.stand_ins.github import CodeHostService, github_application
from tests.support.stand_ins.outage import interruptible
from tests.support.waiting import eventually
from tests.support.web.serving import serving
from tests.web.github_webhook.conftest import SECRET, check_run, signed
from tests.worker.private_host import app_installation

pytestmark = pytest.mark.usefixtures("worker")

# Runs each test and reports it as a case: exit code 77 skips it.
SUITE = """\
status=0
{
    echo '<testsuite name="parts">'
    for test in tests/*.sh; do
        name=$(basename "$test" .sh)
        sh "$test"
        case $? in
            0) echo "<testcase name='$name'/>" ;;
            77) echo "<testcase name='$name'><skipped/></testcase>" ;;
            *) echo "<testcase name='$name'><failure/></testcase>"; status=1 ;;
        esac
    done
    echo '</testsuite>'
} >report.xml
exit $status
"""
SUITE_RUN = {"id": "tests", "run": ["sh", "suite.sh"]}
TESTS: JSON = {**SUITE_RUN, "reports": ["report.xml"]}


def program(wrong: str = "") -> dict[str, str]:
    """Return a program of four parts with a test for each; the tests of the parts in `wrong` fail."""
    parts = {f"src/{part}": "wrong\n" if part in wrong else "right\n" for part in "abcd"}
    return (
        {"suite.sh": SUITE} | parts | {f"tests/{part}.sh": f"grep -q right src/{part}\n" for part in "abcd"}
    )


def cases(names: str) -> list[JSON]:
    return [{"suite": "parts", "class": "", "name": name} for name in names]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    work: str
    verdict: str
    # Code and check of each.
    reasons: Sequence[tuple[str, str | None]] = ()
    # What each check shows, in part.
    shows: Mapping[str, JSON]
    files: Mapping[str, str] = field(default_factory=program)
    checks: Sequence[JSON] = (TESTS,)
    pushed: str


FAILS, INCONCLUSIVE, VERIFIED = "1 check fails", "checks inconclusive", "verified (1 check)"
LIMITS: dict[str, JSON] = {
    "memory": {"run": ["python3", "-c", "x = b'x' * (700 << 20); import time; time.sleep(60)"]},
    "disk": {"shell": "for i in 1 2 3; do head -c 40M /dev/zero >$i; done; sleep 60"},
    "forks": {"shell": "for i in $(seq 200); do sleep 60 & done; wait"},
    "sleeps": {"shell": "sleep 60", "timeout_seconds": 1},
}
OWN_CHECKS = '[[check]]\nid = "own"\nrun = ["grep", "right", "src/a"]\n'

CASES = {
    "1-lie": Case(
        work=put("src/a", "wrong") + "```say\nAll tests pass.\n```",
        verdict="refuted",
        reasons=[("new_failures", "tests")],
        shows={"tests": {"status": "failed", "base": "passed", "new_failures": cases("a")}},
        pushed=FAILS,
    ),
    "3-as-red-as-before": Case(
        files=program("abc"),
        work=put("src/e", "new"),
        verdict="verified",
        shows={"tests": {"status": "failed_before", "base": "failed", "new_failures": []}},
        pushed=VERIFIED,
    ),
    "3-as-red-as-before-strict": Case(
        files=program("abc"),
        checks=({**TESTS, "gate": "strict"},),
        work=put("src/e", "new"),
        verdict="refuted",
        reasons=[("check_failed", "tests")],
        shows={"tests": {"status": "failed", "new_failures": []}},
        pushed=FAILS,
    ),
    "4-one-more-is-red": Case(
        files=program("abc"),
        work=put("src/d", "wrong"),
        verdict="refuted",
        reasons=[("new_failures", "tests")],
        shows={"tests": {"status": "failed", "base": "failed", "new_failures": cases("d")}},
        pushed=FAILS,
    ),
    "5-both-red-without-a-report": Case(
        files=program("a"),
        checks=(SUITE_RUN,),
        work=put("src/b", "wrong"),
        verdict="inconclusive",
        reasons=[("base_failed_too", "tests")],
        shows={"tests": {"status": "failed", "base": "failed", "counts": None}},
        pushed=INCONCLUSIVE,
    ),
    "6-failing-test-is-deleted": Case(
        files=program("ab"),
        work=do("rm tests/a.sh") + put("src/b", "right"),
        verdict="inconclusive",
        reasons=[("cases_removed", "tests")],
        shows={
            "tests": {
                "status": "passed",
                "removed_cases": cases("a"),
                "counts": {"passed": 3, "failed": 0, "skipped": 0, "new": 0, "fixed": 1, "removed": 1},
            }
        },
        pushed=INCONCLUSIVE,
    ),
    "7-failing-test-is-skipped": Case(
        files=program("a"),
        work=put("tests/a.sh", "exit 77"),
        verdict="inconclusive",
        reasons=[("cases_removed", "tests")],
        shows={"tests": {"status": "passed", "removed_cases": cases("a")}},
        pushed=INCONCLUSIVE,
    ),
    "9-checks-file-is-edited": Case(
        files=program() | {".taskbeacon/checks.toml": OWN_CHECKS},
        checks=(),
        work=put("src/e", "new") + put(".taskbeacon/checks.toml", OWN_CHECKS.replace("right", ".")),
        verdict="inconclusive",
        reasons=[("protected_path_changed", None)],
        # The command is that of the base.
        shows={"own": {"status": "tampered", "source": "file", "command": "grep right src/a"}},
        pushed=INCONCLUSIVE,
    ),
    "10-no-tests": Case(
        checks=({"id": "tests", "run": ["test", "-d", "src"], "reports": ["report.xml"]},),
        work=put("src/a", "new"),
        verdict="inconclusive",
        reasons=[("no_tests", "tests")],
        shows={"tests": {"status": "no_tests"}},
        pushed=INCONCLUSIVE,
    ),
    "11-flaky": Case(
        checks=({"id": "tests", "shell": "echo run; test -e ~/again || { touch ~/again; exit 1; }"},),
        work=put("src/a", "new"),
        verdict="inconclusive",
        reasons=[("flaky", "tests")],
        shows={"tests": {"status": "flaky"}},
        pushed=INCONCLUSIVE,
    ),
    "12-blocked-host": Case(
        checks=({"id": "net", "shell": "curl --fail --silent --max-time 5 https://pypi.test/"},),
        work=put("src/a", "new"),
        verdict="inconclusive",
        reasons=[("check_error", "net")],
        shows={"net": {"status": "error", "cause": "network_blocked", "blocked_hosts": ["pypi.test"]}},
        pushed=INCONCLUSIVE,
    ),
    "13-limits": Case(
        checks=[{"id": name, "retries": 0, **check} for name, check in LIMITS.items()]
        + [{"id": "after", "run": ["grep", "new", "src/a"]}],
        work=put("src/a", "new"),
        verdict="inconclusive",
        reasons=[
            *(("check_error", name) for name in ("memory", "disk", "forks")),
            ("check_timeout", "sleeps"),
        ],
        shows={
            "memory": {"status": "error", "cause": "out_of_memory"},
            "disk": {"status": "error", "cause": "disk_full"},
            "forks": {"status": "error", "cause": "spawn_failed"},
            "sleeps": {"status": "timeout", "cause": None},
            "after": {"status": "passed"},
        },
        pushed=INCONCLUSIVE,
    ),
    "14-bug-was-there": Case(
        files=program("a"),
        checks=({"id": "bug", "run": ["sh", "tests/a.sh"], "expect_base": "failed"},),
        work=put("src/a", "right"),
        verdict="verified",
        shows={"bug": {"status": "passed", "base": "failed"}},
        pushed=VERIFIED,
    ),
    "14-bug-was-not-there": Case(
        checks=({"id": "bug", "run": ["sh", "tests/a.sh"], "expect_base": "failed"},),
        work=put("src/a", "right again"),
        verdict="inconclusive",
        reasons=[("expect_base_unmet", "bug")],
        shows={"bug": {"status": "passed", "base": "passed"}},
        pushed=INCONCLUSIVE,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_verdict_is_of_what_the_checks_show(desk: Desk, case: Case) -> None:
    run = await desk.perform(case.work, case.files, acceptance={"checks": list(case.checks)})

    assert (run["status"], run["error_message"]) == ("completed", None)
    shown = run["verification"]
    assert (shown["verdict"], [(each["code"], each["check"]) for each in shown["reasons"]]) == (
        case.verdict,
        list(case.reasons),
    )
    checks = {check["id"]: check for check in shown["checks"]}
    seen = {id_: {key: checks[id_][key] for key in wanted} for id_, wanted in case.shows.items()}
    assert (seen, set(checks)) == (case.shows, set(case.shows))
    for check in checks.values():
        logs = [await desk.file(run, execution["log_artifact_id"]) for execution in check["runs"]]
        assert check["status"] != "flaky" or logs == ["run\n"] * 2
    assert run["output"]["verification"] == {"verdict": case.verdict, "reasons": shown["reasons"]}
    assert await desk.ends(run) == [(FINISHED, case.verdict), ("run.completed", case.verdict)]
    assert await desk.pushes(run) == [f'"Change it" finished, {case.pushed}']


async def test_2_and_24_run_without_checks_is_as_before_and_lists_what_may_check_it(desk: Desk) -> None:
    package = json.dumps({"scripts": {"test": "vitest"}})
    run = await desk.perform(put("src/a", "new"), program() | {"package.json": package})

    shown = run["verification"]
    assert (shown["verdict"], [each["code"] for each in shown["reasons"]]) == ("claimed", ["no_checks"])
    assert (shown["attempts"], shown["checks"]) == (0, [])
    [found] = shown["found"]
    assert found["origin"] == {"path": "package.json", "key": "scripts.test"}
    taken = await desk.client.post(f"{desk.project}/check_sets", json={"checks": [found["check"]]})
    assert taken.status_code == 201, taken.text
    assert (set(run), run["stage"], run["status"]) == (RUN_KEYS, None, "completed")
    assert set(run["output"]) == {"head_branch", "head_sha", "summary", "files_changed"}
    assert [artifact["name"] for artifact in run["artifacts"]] == ["changes.patch"]
    assert await desk.ends(run) == [("run.completed", "claimed")]
    assert await desk.pushes(run) == ['"Change it" finished']
    assert await desk.events(run, "verification.*") == []


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    agent: str
    needs: str
    stopped: str | None
    verdicts: Sequence[str]
    delivers: str
    pushed: str


REPAIRS = {
    "15-second-attempt-is-right": Repair(
        agent="work",
        needs="2",
        stopped=None,
        verdicts=["refuted", "verified"],
        delivers="2",
        pushed=VERIFIED,
    ),
    "15-same-failures-twice": Repair(
        agent="work",
        needs="never",
        stopped="repeated",
        verdicts=["refuted", "refuted"],
        delivers="2",
        pushed=FAILS,
    ),
    "16-budget-ends": Repair(
        agent="spend",
        needs="2",
        stopped="budget",
        # Said once more, as the last.
        verdicts=["refuted", "refuted"],
        delivers="1",
        pushed=FAILS,
    ),
}


@pytest.mark.parametrize("case", REPAIRS.values(), ids=REPAIRS)
async def test_agent_corrects_its_work_until_the_loop_ends(desk: Desk, case: Repair) -> None:
    checks = [{"id": "turns", "run": ["grep", case.needs, "turns.txt"], "gate": "strict", "retries": 0}]
    asked = {"runtime_adapter": case.agent, "model": "m", "token_budget": 500}
    run = await desk.perform("Begin.", program(), asked, acceptance={"checks": checks})

    assert (run["status"], run["error_message"]) == ("completed", None)
    assert (run["verification"]["stopped"], run["verification"]["verdict"]) == (
        case.stopped,
        case.verdicts[-1],
    )
    assert await desk.delivered(run, "turns.txt") == f"{case.delivers}\n"
    ends = [*((FINISHED, verdict) for verdict in case.verdicts), ("run.completed", case.verdicts[-1])]
    assert await desk.ends(run) == ends
    finished = await desk.events(run, FINISHED)
    assert [data["final"] for _, data in finished] == [False, True]
    assert await desk.pushes(run) == [f'"Change it" finished, {case.pushed}']


# Where each run holds its worker: on which side of the comparison, and in which command.
STEPS = {
    "set-up": "result-set-up",
    "first check": "result-first",
    "second check": "result-second",
    "base": "base-first",
    "set-up of old tests": "old-set-up",
    "old tests": "old-second",
    "concluding": "old-second",
    "storing": "",
}
# Of a command: where it is to hold the worker, it says so by a file, and waits for another.
HOLD = """\
side=base
if grep -q new a; then grep -q new tests/test_a.sh && side=result || side=old; fi
if [ $side-{command} = "{held}" ]; then
    touch {place}/is-held
    while [ ! -e {place}/go-on ]; do sleep 0.5; done
fi
"""


async def test_17_worker_that_is_killed_at_any_step_changes_neither_verdict_nor_events(
    desk: Desk,
    service: Service,
    settings: Settings,
    sessions: SessionFactory,
    redis: RedisClient,
    tmp_path: Path,
) -> None:
    """It is killed while it checks a run at each of these steps."""
    await service.stop_worker()
    service.repositories.create("acme/killed", {"tests/test_a.sh": "grep -q old a\n", "a": "old\n"})
    slots = str(len(STEPS))
    places = {step: tmp_path / step.replace(" ", "-") for step in STEPS}
    variables = {
        # Confinement would only cost time, and hide the files that hold the worker.
        "TASKBEACON_AGENT_SANDBOX": "none",
        "TASKBEACON_WORKER_CONCURRENCY": slots,
        "TASKBEACON_CHECK_SLOTS": slots,
    }
    async with interruptible(settings.s3_endpoint_url or "") as between:
        worker = service.worker(**variables, TASKBEACON_S3_ENDPOINT_URL=between.url)
        between.hold(b"stored-attempt-1-")
        runs: dict[str, JSON] = {}
        for step, held in STEPS.items():
            places[step].mkdir()

            def hold(command: str, held: str = held, place: Path = places[step]) -> str:
                return HOLD.format(command=command, held=held, place=place)

            ids = ("first", "second" if held else "stored")
            checks = [{"id": id_, "shell": f"{hold(id_)}sh tests/test_a.sh"} for id_ in ids]
            acceptance = {"checks": checks, "setup": [{"shell": hold("set-up")}], "base": "always"}
            work = do("echo new >a; echo 'grep -q new a' >tests/test_a.sh")
            runs[step] = await desk.start(work, "acme/killed", acceptance=acceptance)
        await eventually(
            lambda: between.has_held and len([*tmp_path.glob("*/is-held")]) == len(STEPS) - 1,
            within_seconds=120,
        )
        async with unit_of_work(sessions) as session:
            concluding = select(Run.id).where(Run.id == UUID(runs["concluding"]["id"]))
            await session.execute(concluding.with_for_update())
            (places["concluding"] / "go-on").touch()
            await eventually(lambda: count_waiting(sessions), within_seconds=60)
            worker.kill()
    for place in places.values():
        (place / "go-on").touch()
    # As a minute later: its leases have lapsed, and so has its hold on the jobs.
    async with unit_of_work(sessions) as session:
        held_ones = update(Verification).where(Verification.lease_owner.is_not(None))
        long_ago = utcnow() - timedelta(minutes=1)
        lapsed = held_ones.values(lease_expires_at=utcnow(), created_at=long_ago)
        assert await count_changed(session, lapsed) == len(STEPS)
    await redis.delete(*await redis.keys("arq:in-progress:*"))
    worker = service.worker(**variables)

    for step, started in runs.items():
        run = await desk.ended(started)
        shown = run["verification"]
        assert (run["status"], shown["verdict"], shown["attempts"]) == ("completed", "verified", 1), step
        seen = [(check["status"], check["base"], check["old_tests"]) for check in shown["checks"]]
        assert seen == [("passed", "passed", "failed")] * 2, step
        assert await desk.ends(run) == [(FINISHED, "verified"), ("run.completed", "verified")], step
        assert len(await desk.events(run, "verification.started")) == 1, step
        assert await desk.pushes(run) == ['"Change it" finished, verified (2 checks)'], step
    await worker.stop()


async def test_23_checks_see_only_the_variables_that_are_marked_for_them(desk: Desk) -> None:
    secrets = {"MARKED": f"canary-{new_hex_id()}", "UNMARKED": f"canary-{new_hex_id()}"}
    environment = {"name": "Tests", "environment_variables": secrets, "for_checks": ["MARKED"]}
    made = await desk.client.post(f"{desk.project}/sandbox_environments", json=environment)
    assert made.status_code == 201, made.text
    sees = {"id": "sees", "shell": 'env; test -n "$MARKED" -a -z "${UNMARKED-}"'}
    run = await desk.perform(
        put("src/a", "new"),
        program(),
        {"sandbox_environment_id": made.json()["id"]},
        acceptance={"setup": [{"shell": "env"}], "checks": [sees]},
    )

    assert run["verification"]["verdict"] == "verified"
    outputs = [await desk.file(run, artifact["id"]) for artifact in run["artifacts"]]
    log = await desk.client.get(f"/{run['task']}/runs/{run['id']}/logs")
    said = json.dumps([run, outputs, log.text, await desk.attempts(run), await desk.events(run)])
    assert "MARKED=***" in said
    assert "canary" not in said


@dataclass(frozen=True, slots=True)
class Host:
    """A code host with an App that a project uses, and its webhooks."""

    service: CodeHostService
    integration: Integration
    desk: Desk

    async def report(self, run: JSON, name: str, conclusion: str | None, **given: Any) -> JSON:
        """Report a check of the host's own CI of the delivered commit; return what the run shows of its CI."""
        output = run["output"]
        given = {"branch": output["head_branch"], "sha": output["head_sha"], **given}
        body = json.dumps(check_run(name, conclusion, **given)).encode()
        answer = await self.desk.client.post(
            f"{self.desk.project.partition('/api/')[0]}/api/webhooks/github?integration={self.integration.id}",
            content=body,
            headers={
                "X-GitHub-Event": "check_run",
                "X-GitHub-Delivery": new_hex_id(),
                "X-Hub-Signature-256": signed(body),
            },
        )
        assert answer.status_code == 200, answer.text
        ci: JSON = (await self.desk.ended(run))["verification"]["ci"]
        return ci


@pytest.fixture
async def host(
    desk: Desk, settings: Settings, sessions: SessionFactory, tmp_path: Path
) -> AsyncGenerator[Host, None]:
    service = CodeHostService(tmp_path / "host")
    Repositories(tmp_path / "host").create("acme/app", program())
    async with serving(github_application(service)) as url:
        async with unit_of_work(sessions) as session:
            [project] = await session.scalars(select(Project))
            new = NewIntegration(
                kind="github", installation=app_installation(service), webhook_secret=SECRET, git_url=url
            )
            integration = await create_integration(
                session, Cipher(settings.secret_keys), project_id=project.id, new=new
            )
        yield Host(service, integration, desk)


async def test_8_18_and_19_code_host_shows_one_verdict_and_its_ci_changes_none(
    desk: Desk, host: Host
) -> None:
    """The agent changes what a test asserts: verified, and shown beside what the test was."""
    run = await desk.start(
        put("src/a", "left") + put("tests/a.sh", "grep -q left src/a"),
        "acme/app",
        github_integration=host.integration.id,
        acceptance={"checks": [TESTS]},
    )
    run = await desk.ended(run)

    [check] = run["verification"]["checks"]
    assert run["verification"]["verdict"] == "verified"
    assert (check["status"], check["old_tests"]) == ("passed", "failed")
    assert run["verification"]["changed_tests"] == ["tests/a.sh"]
    await eventually(lambda: host.service.check_runs)
    [pull] = host.service.pulls
    assert "| `tests` | regression | passed | passed | 0 | 0 | failed |" in pull["body"]
    for name, conclusion, number, state in (
        ("build", None, 1, "pending"),
        ("build", "failure", 1, "failure"),
        ("build", "success", 2, "success"),
    ):
        assert (await host.report(run, name, conclusion, number=number))["state"] == state
    assert (await host.report(run, "build", "failure", number=3, sha="f" * 40))["state"] == "success"

    again = await desk.client.post(f"/{run['task']}/runs/{run['id']}/verify")
    assert (again.status_code, again.json()) == (202, {"attempt": 2})
    await eventually(lambda: host.service.asked("PATCH", "/check-runs/"))
    [check_of_host] = host.service.check_runs
    assert (check_of_host["conclusion"], check_of_host["external_id"]) == ("success", run["id"])
    assert pull["body"].count("<!-- taskbeacon:verification -->") == 1
    updates = [data["cause"] for _, data in await desk.events(run, "verification.updated")]
    assert updates == ["ci", "ci", "ci", "rerun"]
    assert await desk.ends(run) == [(FINISHED, "verified"), ("run.completed", "verified")]
    assert await desk.pushes(run) == [f'"Change it" finished, {VERIFIED}']
