"""What is seen of a commit in fresh clones: why checks fail, what they are given, and what they leave behind."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.agents.check_execution.check_context import PATH
from app.agents.network.network_access import NetworkRules
from app.agents.network.proxy import Service
from app.enums import AgentNetwork, BaseStatus, CheckCause, CheckStatus, Verdict, VerdictReason
from tests.agents.check_execution.checking import MIB, Checking
from tests.support.deployment.small_disk import small_disk
from tests.support.stand_ins.packages import serving_mirror

_REPORT = '<testsuite name="s">%s</testsuite>'
_PASSED = '<testcase name="%s"/>'
_FAILED = '<testcase name="%s"><failure/></testcase>'


def report(**cases: bool) -> str:
    """Return a report in which cases with True passed."""
    return _REPORT % "".join((_PASSED if passed else _FAILED) % name for name, passed in cases.items())


async def test_each_limit_and_lack_has_its_own_cause_and_the_next_check_is_executed(
    checking: Checking,
) -> None:
    checking.write({"good.xml": report(a=True)})
    checking.limit(
        memory_bytes=256 * MIB,
        processes=60,
        disk_bytes=48 * MIB,
        file_bytes=24 * MIB,
        pause_seconds=0.05,
        disk_pause_seconds=0.1,
    )
    eats = "x = b'x' * (400 << 20); import time; time.sleep(60)"
    seen = await checking.check(
        retries=0,
        checks={
            "memory": {"run": ["python3", "-c", eats]},
            # Its report is read after the sandbox before it was ended.
            "after": {"shell": "cp good.xml report.xml", "reports": ["report.xml"]},
            "forks": {"shell": "for i in $(seq 200); do sleep 60 & done; wait"},
            "sleeps": {"shell": "echo begun; sleep 60", "timeout_seconds": 1},
            # By the kernel, where the machine has no memory left.
            "killed": "kill -KILL $$",
            "child-killed": "sh -c 'kill -KILL $$'; ls",
            "missing": {"run": ["no-such-tool"]},
            "not-found": {"shell": "no-such-tool"},
            "no-program": {"shell": "./good.xml"},
            "file": {"shell": "head -c 40M /dev/zero >large"},
            "after-file": {"shell": "test ! -e large"},
            "disk": {"shell": "for i in 1 2 3 4; do head -c 20M /dev/zero >$i; done; sleep 60"},
            # Regression: what had filled the disk stood in its way too.
            "after-disk": {"shell": "test ! -e 1"},
        },
    )

    causes = {each.check.id: seen[each.check.id].cause for each in seen.checked.checks}
    assert causes == {
        "memory": CheckCause.OUT_OF_MEMORY,
        "after": None,
        "forks": CheckCause.SPAWN_FAILED,
        "sleeps": None,
        "killed": CheckCause.OUT_OF_MEMORY,
        "child-killed": CheckCause.OUT_OF_MEMORY,
        "missing": CheckCause.MISSING_TOOL,
        "not-found": CheckCause.MISSING_TOOL,
        "no-program": CheckCause.MISSING_TOOL,
        "file": CheckCause.DISK_FULL,
        "after-file": None,
        "disk": CheckCause.DISK_FULL,
        "after-disk": None,
    }
    assert {seen[each].status for each in ("after", "after-file", "after-disk")} == {CheckStatus.PASSED}
    assert seen["sleeps"].status is CheckStatus.TIMEOUT
    assert seen.output("sleeps") == "begun\n"
    assert "no-such-tool: command not found" in seen.output("not-found")
    reasons = {reason.check: reason.detail for reason in seen.judgement.reasons}
    why = "cannot be started: No such file or directory"
    assert reasons["missing"] == f"missing_tool: no-such-tool {why}"


async def test_full_disk_of_the_worker_refutes_nothing(checking: Checking) -> None:
    """Regression: the failure for want of room was the work's, if a check is strict or its base had room."""
    checking.write({"a": ""})
    with small_disk(checking.folder / "workspaces", megabytes=24):
        seen = await checking.check(
            checks={
                "fills": {"shell": "head -c 60M /dev/zero >large", "gate": "strict"},
                "passes": "test ! -e large",
            }
        )

    assert seen["fills"].cause is CheckCause.DISK_FULL
    assert seen["passes"].status is CheckStatus.PASSED
    assert seen.verdict is Verdict.INCONCLUSIVE


async def test_refused_hosts_are_named_of_the_check_that_asked_for_them(checking: Checking) -> None:
    checking.write({"a": ""})
    seen = await checking.check(
        checks_network="run",
        network=AgentNetwork.TRUSTED,
        checks={
            "refused": "curl --fail --silent --max-time 5 https://pypi.test/simple/",
            "silent": "test -f missing",
        },
    )

    assert seen["refused"].cause is CheckCause.NETWORK_BLOCKED
    assert list(seen.runs("refused")[0].blocked_hosts) == ["pypi.test"]
    assert seen["silent"].status is CheckStatus.FAILED


async def test_set_up_that_fails_says_which_hosts_were_refused(checking: Checking) -> None:
    """Regression: a member saw that an installation fails, and not that its registry is not allowed."""
    checking.write({"a": ""})
    asks = "curl --fail --silent --max-time 5 https://%s.test/ || %s"
    seen = await checking.check(
        setup=[asks % ("optional", "true"), asks % ("pypi", "exit 2")], checks={"one": "touch x"}
    )

    [reason] = seen.judgement.reasons
    assert reason.detail.endswith("|| exit 2: it ended with exit code 2; refused hosts: pypi.test")


async def test_set_up_reaches_a_server_of_the_operator_on_the_loopback_of_the_worker(
    checking: Checking, tmp_path: Path
) -> None:
    """Regression: only agents reached it."""
    checking.write({"a": ""})
    with serving_mirror(tmp_path / "mirror") as mirror:
        rules = NetworkRules(level=AgentNetwork.TRUSTED, services=[Service("127.0.0.1", mirror.port)])
        checking.preparation = replace(checking.preparation, setup_network=rules)
        asks = f"curl --fail --silent --output got {mirror.url}"
        seen = await checking.check(setup=[asks], checks={"is-cut-off": f"test -s got; ! {asks}"})

    assert seen.steps == ["ok"]
    assert seen["is-cut-off"].status is CheckStatus.PASSED


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"shell": "echo almost; exit 3"}, "it ended with exit code 3"),
        ({"run": ["no-such-tool"]}, "it cannot be started: No such file or directory"),
        ({"shell": "sleep 60", "timeout_seconds": 1}, "it took longer than 1 s"),
        (
            {"shell": "sleep 60", "background": True, "ready": ["false"], "timeout_seconds": 1},
            "it was not ready within 1 s",
        ),
        ({"shell": "exit 4", "background": True, "ready": ["false"]}, "it ended with exit code 4"),
    ],
)
async def test_without_set_up_no_check_is_executed_and_the_log_says_why(
    checking: Checking, step: dict[str, object], said: str
) -> None:
    checking.write({"a": ""})
    seen = await checking.check(setup=["true", step, "true"], checks={"one": "touch x", "two": "touch y"})

    assert seen.steps == ["ok", "failed"]
    assert {seen["one"].cause, seen["two"].cause} == {CheckCause.SETUP_FAILED}
    [failed] = [entry for entry in seen.log if entry.get("status") == "failed"]
    assert failed["message"].endswith(f": {said}")
    [reason] = seen.judgement.reasons
    assert (reason.code, f"Set-up: {reason.detail}") == (VerdictReason.SETUP_FAILED, failed["message"])


async def test_checks_are_given_what_set_up_and_its_services_made_and_nothing_else(
    checking: Checking,
) -> None:
    checking.write({"server.py": SERVER})
    seen = await checking.check(
        setup=[
            "echo installed >~/tool; echo made >made",
            {"run": ["python3", "server.py"], "background": True, "ready": ["python3", "server.py", "ask"]},
        ],
        checks={
            "files": "cat ~/tool made; test ! -e .git/hooks",
            "service": "python3 server.py ask",
            "environment": "env | cut -d= -f1 | sort | tr '\\n' ' '; echo $TASKBEACON_CHECK $TOKEN",
        },
    )

    assert seen.statuses == dict.fromkeys(("files", "service", "environment"), CheckStatus.PASSED)
    assert seen.output("files") == "installed\nmade\n"
    assert seen.output("service") == "served\n"
    names, values = seen.output("environment").rsplit(" ", 2)[0], seen.output("environment").split()[-2:]
    assert values == ["environment", "***"]
    proxies = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
    own = {"CI", "HOME", "LANG", "PATH", "PWD", "SHLVL", "TASKBEACON_CHECK", "TMPDIR", "TOKEN", "TZ", "USER"}
    own |= {"NODE_USE_ENV_PROXY", "OLDPWD", "_"}
    assert set(names.split()) <= own | proxies | {name.lower() for name in proxies} | {"environment"}


SERVER = """\
import socket, sys
if sys.argv[1:]:
    print(socket.create_connection(("127.0.0.1", 7001)).recv(9).decode())
else:
    with socket.create_server(("127.0.0.1", 7001)) as server:
        while True:
            server.accept()[0].send(b"served")
"""


async def test_readiness_probe_that_hangs_is_ended_with_its_children_and_followed_by_another(
    checking: Checking,
) -> None:
    """Regression: the first probe had all the time of the step, and its children lived on."""
    checking.write({"server.py": SERVER})
    probe = "test ! -e asked || exec python3 server.py ask; touch asked; sleep 3519; true"
    service = {"run": ["python3", "server.py"], "background": True, "ready": ["sh", "-c", probe]}
    seen = await checking.check(
        setup=[service | {"timeout_seconds": 30}],
        checks={"is-gone": "! grep -l '^sleep' /proc/[0-9]*/cmdline"},
    )

    assert seen.steps == ["ok"]
    assert seen["is-gone"].status is CheckStatus.PASSED, seen.output("is-gone")


async def test_service_that_hangs_is_lost_after_the_time_of_one_probe(checking: Checking) -> None:
    """Regression: after each check that failed, it was asked for as long as its start may take."""
    checking.write({"server.py": SERVER})
    probe = "test ! -e hung || sleep 3521; exec python3 server.py ask"
    service = {"run": ["python3", "server.py"], "background": True, "ready": ["sh", "-c", probe]}
    seen = await checking.check(
        setup=[service | {"timeout_seconds": 30}],
        checks={"hangs": {"shell": "touch hung; exit 1", "gate": "strict", "retries": 0}},
    )

    assert seen["hangs"].cause is CheckCause.SETUP_FAILED
    assert seen.runs("hangs")[-1].duration_ms < 20_000


async def test_services_are_there_again_after_a_check_was_ended(checking: Checking) -> None:
    checking.write({"server.py": SERVER})
    checking.limit(memory_bytes=256 * MIB, pause_seconds=0.05)
    seen = await checking.check(
        setup=[
            {"run": ["python3", "server.py"], "background": True, "ready": ["python3", "server.py", "ask"]}
        ],
        checks={
            "memory": {
                "run": ["python3", "-c", "x = b'x' * (400 << 20); import time; time.sleep(60)"],
                "retries": 0,
            },
            "service": "python3 server.py ask",
        },
    )

    assert seen["memory"].cause is CheckCause.OUT_OF_MEMORY
    assert seen["service"].status is CheckStatus.PASSED


async def test_check_that_fails_without_its_service_refutes_nothing_and_the_next_one_has_it_again(
    checking: Checking,
) -> None:
    """Regression: the work was refuted for a database that the machine had killed."""
    checking.write({"server.py": SERVER})
    seen = await checking.check(
        setup=[
            {"run": ["python3", "server.py"], "background": True, "ready": ["python3", "server.py", "ask"]}
        ],
        checks={
            "without": {"shell": "pkill --full server.py; python3 server.py ask", "gate": "strict"},
            "with": "python3 server.py ask",
        },
    )

    assert seen["without"].cause is CheckCause.SETUP_FAILED
    assert seen["with"].status is CheckStatus.PASSED
    assert seen.verdict is Verdict.INCONCLUSIVE


async def test_what_a_check_leaves_running_is_killed_and_services_are_not(checking: Checking) -> None:
    checking.write({"server.py": SERVER})
    leaves = "(setsid sleep 3517 &) ; setsid sh -c 'trap \"\" TERM HUP; sleep 3518' & echo left"
    seen = await checking.check(
        setup=[
            {"run": ["python3", "server.py"], "background": True, "ready": ["python3", "server.py", "ask"]}
        ],
        checks={
            "leaves": leaves,
            "is-gone": "python3 server.py ask; ! grep -l '^sleep' /proc/[0-9]*/cmdline",
        },
    )

    assert seen.statuses == dict.fromkeys(("leaves", "is-gone"), CheckStatus.PASSED)


KEEPER = """\
import os, socket, sys
if sys.argv[1:]:
    with socket.socket(socket.AF_UNIX) as service:
        service.connect("keeper")
        socket.send_fds(service, [b"x"], [1])
        service.recv(1)
    print("given")
else:
    kept = []
    with socket.create_server("keeper", family=socket.AF_UNIX) as server:
        open("ready", "w").close()
        while True:
            client, _ = server.accept()
            kept += socket.recv_fds(client, 1, 1)[1]
            client.send(b"x")
"""


async def test_check_whose_output_a_service_holds_open_ends_all_the_same(checking: Checking) -> None:
    """Regression: the end of its output was waited for, to the end of the attempt."""
    checking.write({"keeper.py": KEEPER})
    seen = await checking.check(
        setup=[{"run": ["python3", "keeper.py"], "background": True, "ready": ["test", "-e", "ready"]}],
        checks={
            "gives": {"shell": "python3 keeper.py give", "timeout_seconds": 5},
            "after": "test -e ready && echo after",
        },
    )

    assert seen.statuses == dict.fromkeys(("gives", "after"), CheckStatus.PASSED)
    assert (seen.output("gives"), seen.output("after")) == ("given\n", "after\n")


async def test_protected_files_are_those_of_the_base_and_passing_is_tampered(checking: Checking) -> None:
    base = {".github/rules": "strict\n", "a": "1\n"}
    # The base is deeper than the clone.
    checking.write(base, {".github/rules": "loose\n", ".github/added": "x\n", "a": "2\n"}, between=3)
    seen = await checking.check(
        checks={"rules": "grep strict .github/rules; test ! -e .github/added; grep 2 a"}
    )

    assert seen["rules"].status is CheckStatus.TAMPERED, seen.output("rules")
    assert sorted(seen.checked.protected_changed) == [".github/added", ".github/rules"]


async def test_old_tests_are_executed_in_a_clone_of_their_own_and_do_not_decide(checking: Checking) -> None:
    checking.write(
        {"tests/test_a.sh": "test -e made; grep 1 a\n", "a": "1\n"},
        {"tests/test_a.sh": "test -e made; grep 2 a\n", "tests/test_b.sh": "true\n", "a": "2\n"},
    )
    seen = await checking.check(
        setup=["touch made"], checks={"tests": "for each in tests/*.sh; do bash -e $each; done"}
    )

    assert seen["tests"].status is CheckStatus.PASSED
    assert seen.checked.changed_tests == ["tests/test_a.sh"]
    [check] = seen.checked.checks
    assert check.old_tests is not None
    assert check.old_tests.exit_code == 1


async def test_output_with_the_old_tests_is_stored_beside_that_of_the_work(checking: Checking) -> None:
    checking.write(
        {"tests/a.sh": "grep one a", "a": "one\n"}, {"tests/a.sh": "grep two a; echo seen", "a": "two\n"}
    )
    seen = await checking.check(checks={"tests": "bash -e tests/a.sh || { echo broken; exit 1; }"})

    [check] = seen.checked.checks
    assert check.old_tests is not None
    assert check.old_tests.log == "tests-old-tests"
    assert checking.outputs == {"tests-execution-1": b"two\nseen\n", "tests-old-tests": b"broken\n"}


async def test_failed_check_is_repeated_in_the_same_clone_as_often_as_it_says(checking: Checking) -> None:
    checking.write({"a": ""})
    at_third = "echo x >>~/runs; test $(wc -l <~/runs) -ge 3"
    seen = await checking.check(
        checks={
            "flaky": {"shell": at_third, "retries": 2},
            "failing": {"shell": "rm -f ~/runs; test -e no", "retries": 2},
            "once": {"shell": "test -e no", "retries": 0},
            "passing": {"shell": "test -e a", "retries": 2},
        },
    )

    assert [run.exit_code for run in seen.runs("flaky")] == [1, 1, 0]
    assert seen["flaky"].status is CheckStatus.FLAKY
    assert [len(seen.runs(each)) for each in ("failing", "once", "passing")] == [3, 1, 1]


async def test_failures_are_compared_with_the_base_which_is_kept(checking: Checking) -> None:
    checking.write({"report.xml.in": report(a=False, b=True, c=True)})
    writes = {"shell": "cp report.xml.in report.xml; ! grep -q failure report.xml", "reports": ["*.xml"]}
    first = await checking.check(checks={"tests": writes})
    assert first["tests"].status is CheckStatus.FAILED_BEFORE
    assert not first.checked.checks[0].is_base_kept

    again = await checking.check(checks={"tests": writes})
    assert again.checked.checks[0].is_base_kept
    assert again["tests"].status is CheckStatus.FAILED_BEFORE
    assert not [entry for entry in again.log if entry.get("side") == "base"]


async def test_base_finds_what_the_checks_before_leave_as_the_result_does(checking: Checking) -> None:
    """Regression: the base executed only the check that failed, and passed: honest work was refuted."""
    checking.write({"a": ""})
    leaves = "touch coverage.txt && test -e a"
    is_clean = {"shell": 'test -z "$(git status --porcelain)"', "retries": 0}
    seen = await checking.check(checks={"tests": leaves, "generated": is_clean})
    assert seen["generated"].base is BaseStatus.FAILED
    assert seen.verdict is Verdict.INCONCLUSIVE
    assert seen["tests"].base is BaseStatus.NOT_RUN

    # What is kept of a base is kept with the checks before it.
    other = await checking.check(checks={"tests": "test -e a", "generated": is_clean}, base="always")
    assert other["generated"].base is BaseStatus.PASSED


async def test_base_is_executed_again_for_another_network_of_the_check_or_other_tools(
    checking: Checking, tmp_path: Path
) -> None:
    """Regression: what a base showed without its network, or with other tools, counted."""
    checking.write({"a": ""})

    async def is_kept(**given: Any) -> bool:
        seen = await checking.check(checks={"a": "test -e a"}, base="always", **given)
        return seen.checked.checks[0].is_base_kept

    assert [await is_kept(checks_network="run") for _ in range(2)] == [False, True]
    assert not await is_kept(checks_network="run", network=AgentNetwork.TRUSTED)
    assert not await is_kept()
    assert await is_kept(network=AgentNetwork.TRUSTED), "it has no network"

    path = {"PATH": f"{PATH}:/missing:{tmp_path}"}
    checking.preparation = replace(checking.preparation, variables=path)
    assert [await is_kept() for _ in range(2)] == [False, True]
    (tmp_path / "tool").touch()
    assert not await is_kept()


async def test_base_that_failed_when_hosts_were_refused_excuses_nothing_and_is_not_kept(
    checking: Checking,
) -> None:
    """Regression: it counted as failed, and the same failure of the work as an old one."""
    checking.write({"in.xml": report(a=False)}, {"offline": ""})
    asks = "test -e offline || curl --fail --silent --max-time 5 https://pypi.test/simple/"
    seen = await checking.check(
        checks_network="run",
        network=AgentNetwork.TRUSTED,
        checks={"tests": {"shell": f"cp in.xml out.xml; {asks}; false", "reports": ["out.xml"]}},
    )

    assert (seen["tests"].status, seen["tests"].base) == (CheckStatus.FAILED, BaseStatus.ERROR)
    assert [reason.code for reason in seen.judgement.reasons] == [VerdictReason.BASE_UNKNOWN]
    assert checking.kept == {}


async def test_report_that_stands_in_the_repository_is_no_report(checking: Checking) -> None:
    checking.write({"report.xml": report(a=True), "kept.xml": ""}, {"sub/report.xml": report(b=True)})
    seen = await checking.check(
        checks={
            "tests": {"shell": "ls kept.xml", "reports": ["report.xml", "sub/*.xml"]},
            "bad": {
                "shell": "printf '<!DOCTYPE x><x/>' >report.xml; test -e report.xml",
                "reports": ["report.xml"],
            },
        }
    )

    assert seen["tests"].status is CheckStatus.NO_TESTS
    missing, _ = seen.judgement.reasons
    assert missing.detail == "no report: report.xml, sub/*.xml"
    assert seen["bad"].cause is CheckCause.REPORT_INVALID


async def test_report_that_cannot_be_deleted_is_not_read_as_a_new_one(checking: Checking) -> None:
    """Regression: it counted; and where deleting took too long, the whole attempt was over its deadline."""
    checking.write({"old/report.xml": report(a=True)})
    seen = await checking.check(
        setup=["chmod 500 old"],
        checks={"tests": {"shell": "true && test -d old", "reports": ["old/*.xml"]}, "after": "test -d old"},
    )

    assert seen["tests"].cause is CheckCause.REPORT_INVALID
    assert seen.runs("tests")[0].exit_code is None
    assert seen["after"].status is CheckStatus.PASSED


async def test_clone_is_not_set_up_for_checks_that_are_all_skipped(checking: Checking) -> None:
    """Regression: the steps of set-up were executed for none."""
    checking.write({"a": "1"})
    seen = await checking.check(setup=["true"], checks={"b": {"shell": "test -e b", "paths": ["b/**"]}})

    assert seen.statuses == {"b": CheckStatus.SKIPPED}
    assert (seen.steps, seen.log) == ([], [])


async def test_check_without_a_changed_file_of_its_paths_is_skipped(checking: Checking) -> None:
    checking.write({"a/x": "1", "b/x": "1"}, {"a/x": "2"})
    seen = await checking.check(
        checks={
            "a": {"shell": "grep 2 x", "cwd": "a", "paths": ["a/**"]},
            "b": {"shell": "grep 2 x", "cwd": "b", "paths": ["b/**"]},
        }
    )

    assert seen.statuses == {"a": CheckStatus.PASSED, "b": CheckStatus.SKIPPED}
    assert seen.runs("b") == []
