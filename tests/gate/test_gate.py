"""Only work that is right is verified, and a failing machine refutes none: small repositories, real checks."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from _pytest.mark import ParameterSet

from app.agents.network.network_access import NetworkRules
from app.agents.network.proxy import Service
from app.enums import AgentNetwork, CheckCause, CheckStatus, Verdict
from tests.agents.check_execution.checking import MIB, Checking, Seen, needs
from tests.gate.conftest import FOUND
from tests.gate.repositories import QUICK, REPOSITORIES, Repository
from tests.support.stand_ins.packages import serving_mirror

pytestmark = pytest.mark.timeout(900)

_FAILURES = {
    "tool": "no-such-tool",
    "memory": """python3 -c 'x = b"x" * (400 << 20); import time; time.sleep(60)'""",
    "disk": "head -c 40M /dev/zero >large",
    "time": "sleep 60",
    "network": "curl --fail --silent http://packages.test/",
}
_CAUSES = {
    "tool": CheckCause.MISSING_TOOL,
    "memory": CheckCause.OUT_OF_MEMORY,
    "disk": CheckCause.DISK_FULL,
    "time": None,
    "network": CheckCause.NETWORK_BLOCKED,
}


@pytest.fixture
def mirror(checking: Checking) -> Iterator[None]:
    """A mirror with pytest, from which set-up installs."""
    with serving_mirror(checking.folder / "mirror") as mirror:
        mirror.add_wheels("pytest")
        rules = NetworkRules(level=AgentNetwork.TRUSTED, services=[Service("127.0.0.1", mirror.port)])
        checking.preparation = replace(checking.preparation, setup_network=rules, variables=mirror.variables)
        yield


def _each(*, is_quick: bool) -> list[ParameterSet]:
    """Return the repositories; only the quick ones for `make test`, all for `make gate`."""
    return [
        pytest.param(
            each,
            id=each.name,
            marks=[needs(*each.language.programs), *([] if is_quick else [pytest.mark.gate])],
        )
        for each in REPOSITORIES
        if each.name in QUICK or not is_quick
    ]


@pytest.mark.parametrize("repository", _each(is_quick=True))
async def test_right_work_is_verified_and_wrong_work_that_hides_is_not(
    checking: Checking, repository: Repository
) -> None:
    found = await judge(checking, repository, *QUICK[repository.name])

    assert_worth(found)


@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize("repository", _each(is_quick=False))
async def test_each_verdict_is_what_the_work_is_worth(
    checking: Checking, repository: Repository, request: pytest.FixtureRequest
) -> None:
    found = await judge(checking, repository, *repository.sabotages)
    checking.change({})
    found["nothing"] = (await checking.check()).verdict
    checking.change(repository.reference)
    failed = await check_on_failing_machine(checking, repository.language.command)
    found["machine"] = failed.verdict
    request.node.user_properties.append(
        (FOUND, {"repository": repository.name, **{name: str(verdict) for name, verdict in found.items()}})
    )

    assert_worth(found)
    assert (found["nothing"], found["machine"]) == (Verdict.CLAIMED, Verdict.INCONCLUSIVE)
    assert {name: failed[name].cause for name in _FAILURES} == _CAUSES
    assert failed["time"].status is CheckStatus.TIMEOUT
    assert failed["tests"].status is CheckStatus.PASSED


async def judge(checking: Checking, repository: Repository, *sabotages: str) -> dict[str, Verdict]:
    """Return the verdicts of the reference and of these sabotages."""
    checking.write(repository.base, repository.reference)
    found = {"reference": (await checking.check()).verdict}
    for name in sabotages:
        checking.change(repository.sabotages[name])
        found[name] = (await checking.check()).verdict
    return found


async def check_on_failing_machine(checking: Checking, command: str) -> Seen:
    """Check on a machine that fails in every way, each before the command."""
    checking.limit(memory_bytes=256 * MIB, file_bytes=24 * MIB, pause_seconds=0.05)
    checks = [
        {
            "id": name,
            "shell": f"{failure}; {command}",
            "gate": "strict",
            "timeout_seconds": 1 if name == "time" else 60,
        }
        for name, failure in _FAILURES.items()
    ]
    return await checking.check(checks=checks, checks_network="run", network=AgentNetwork.TRUSTED)


def assert_worth(found: Mapping[str, Verdict]) -> None:
    assert [name for name, verdict in found.items() if verdict is Verdict.VERIFIED] == ["reference"]
    assert found.get("claims", Verdict.REFUTED) is Verdict.REFUTED
