"""Rules of the house that a reviewer should not have to look for (CONTRIBUTING.md).

A rule is a search in the syntax tree, and the files in which what it finds is allowed, each with its reason.
"""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.assertions import concerning

_ROOT = Path(__file__).parents[1]


def _sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((_ROOT / folder).rglob("*.py"))


@cache
def _module(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def _nodes(path: Path) -> tuple[ast.AST, ...]:
    """Return all of a module that rules look at; every rule does."""
    return tuple(_looked_at(_module(path)))


_KINDS = ast.Call | ast.Import | ast.ImportFrom | ast.Attribute | ast.ExceptHandler | ast.Raise
_KINDS |= ast.arg | ast.Assign | ast.AnnAssign | ast.NamedExpr


def _looked_at(module: ast.Module) -> Iterator[ast.AST]:
    """Yield what rules may be about, which is a small part of what a module is made of."""
    for node in ast.walk(module):
        if isinstance(node, _KINDS):
            yield node


def _called(node: ast.AST) -> str:
    """Return the dotted name of a call, "" for anything else."""
    return _dotted(node.func) if isinstance(node, ast.Call) else ""


def _dotted(node: ast.AST) -> str:
    """Return a name with those that lead to it; what is no name is left out. Writing it all out would take longer."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def _commits(node: ast.AST) -> bool:
    return _called(node).endswith(".commit")


def _imports_arq(node: ast.AST) -> bool:
    return any(name.partition(".")[0] == "arq" for name in _imported(node))


def _speaks_redis(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _is_redis(getattr(node.func, "value", node))


def _is_redis(node: ast.AST) -> bool:
    return _dotted(node).rpartition(".")[2] in {"redis", "_redis"}


def _renames_redis(node: ast.AST) -> bool:
    """Find a client of Redis that gets a name by which the rule above does not know it."""
    match node:
        case ast.arg(arg=name, annotation=ast.expr() as type_):
            return name != "redis" and _dotted(type_) == "RedisClient"
        case (
            ast.Assign(targets=[to], value=of)
            | ast.AnnAssign(target=to, value=ast.expr() as of)
            | ast.NamedExpr(target=to, value=of)
        ):
            return _is_redis(of) and not _is_redis(to)
        case _:
            return False


def _imports_a_statement(node: ast.AST) -> bool:
    return any(
        name.startswith("sqlalchemy.") and name.rpartition(".")[2] in {"select", "insert", "update", "delete"}
        for name in _imported(node)
    )


def _imports_status_changes(node: ast.AST) -> bool:
    return "app.services.runs.status_changes" in _imported(node)


# The columns of a run that services/runs/run_lifecycle.py alone writes.
_LIFE_CYCLE = {"status", "lease_owner", "lease_expires_at", "completed_at"}


def _changes_the_status_of_a_run(node: ast.AST) -> bool:
    """Find `_LIFE_CYCLE` in an UPDATE or INSERT of runs, in a `Run(...)`, or as an attribute that is set.

    An attribute of `self` does not count: no model sets a column of its own.
    """
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        return node.attr in _LIFE_CYCLE and _dotted(node.value) != "self"
    return (
        isinstance(node, ast.Call)
        and (_writes_runs(node) or _is_run(node.func))
        and bool(_LIFE_CYCLE & _columns(node))
    )


def _changes_columns_of_a_run_by_a_variable(node: ast.AST) -> bool:
    """Find an UPDATE or INSERT of runs by columns that are not written out, so that the rule above cannot see them."""
    return (
        isinstance(node, ast.Call)
        and _writes_runs(node)
        and (
            any(not isinstance(given, ast.Dict) or None in given.keys for given in node.args)
            or any(keyword.arg is None for keyword in node.keywords)
        )
    )


def _writes_runs(node: ast.Call) -> bool:
    """Return whether this is the `values(...)` of an `update(Run)` or `insert(Run)`."""
    return _called(node).rpartition(".")[2] == "values" and any(
        _called(part).rpartition(".")[2] in {"update", "insert"}
        and any(_is_run(given) for given in part.args)
        for part in ast.walk(node.func)
        if isinstance(part, ast.Call)
    )


def _is_run(node: ast.AST) -> bool:
    return _dotted(node).rpartition(".")[2] == "Run"


def _columns(node: ast.Call) -> set[str]:
    """Return the columns that a call names, as keywords or as keys of a dictionary."""
    keys = [key for given in node.args if isinstance(given, ast.Dict) for key in given.keys]
    texts = {str(key.value) for key in keys if isinstance(key, ast.Constant)}
    return (
        texts
        | {key.attr for key in keys if isinstance(key, ast.Attribute)}
        | {keyword.arg for keyword in node.keywords if keyword.arg}
    )


def _reads_the_clock(node: ast.AST) -> bool:
    return _called(node).endswith(
        ("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns")
    )


def _imports_the_clock(node: ast.AST) -> bool:
    return any(name.startswith("time.time") for name in _imported(node))


def _makes_an_id(node: ast.AST) -> bool:
    return _called(node).rpartition(".")[2] in {"uuid1", "uuid4", "uuid6", "uuid7"}


def _reads_the_environment(node: ast.AST) -> bool:
    return (isinstance(node, ast.Attribute) and _dotted(node) == "os.environ") or _called(node) == "os.getenv"


def _knows_http_exceptions(node: ast.AST) -> bool:
    return any(name.endswith(".HTTPException") for name in _imported(node))


def _swallows_everything(node: ast.AST) -> bool:
    return isinstance(node, ast.ExceptHandler) and node.type is None


def _raises_a_shared_error(node: ast.AST) -> bool:
    return isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name) and node.exc.id.isupper()


def _sleeps(node: ast.AST) -> bool:
    """Find a sleep, also one in disguise: a condition that becomes true at some time, and by nothing else."""
    clocks = {"utcnow", "now", "time", "monotonic", "perf_counter"}
    return _called(node) in {"time.sleep", "asyncio.sleep"} or (
        _called(node).rpartition(".")[2] in {"eventually", "wait_for"}
        and any(
            _called(side).rpartition(".")[2] in clocks
            for part in ast.walk(node)
            if isinstance(part, ast.Compare)
            for side in (part.left, *part.comparators)
        )
    )


def _makes_an_http_client(node: ast.AST) -> bool:
    return _called(node).rpartition(".")[2] in {"AsyncClient", "ClientSession"}


def _asks_what_a_session_is_bound_to(node: ast.AST) -> bool:
    bound_to = {"Engine", "Connection", "AsyncEngine", "AsyncConnection"}
    return _called(node) == "isinstance" and any(
        isinstance(name, ast.Name | ast.Attribute) and _dotted(name).rpartition(".")[2] in bound_to
        for name in ast.walk(node)
    )


def _reads_the_owner_of_a_row(node: ast.AST) -> bool:
    owners = {
        "CheckSet.project_id",
        "SandboxEnvironment.private",
        "SandboxEnvironment.created_by_id",
        "WebhookEndpoint.created_by_id",
    }
    return isinstance(node, ast.Attribute) and _dotted(node) in owners


def _reads_who_a_task_is_for(node: ast.AST) -> bool:
    reads_column = isinstance(node, ast.Attribute) and _dotted(node) in {
        "Task.audience",
        "TaskCount.audience",
    }
    return reads_column or "app.models.tasks.EVERYONE" in _imported(node)


def _reads_mappings(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in {"mappings", "_mapping"}


@dataclass(frozen=True)
class _Rule:
    finds: Callable[[ast.AST], bool]
    planted: str
    folder: str
    # Files or folders in which it is allowed, with the reason.
    allowed: Mapping[str, str]


RULES = {
    "only the unit of work commits": _Rule(
        _commits,
        "await session.commit()",
        "app",
        {"app/db/units_of_work.py": "the unit of work"},
    ),
    "SQL stays in services": _Rule(
        _imports_a_statement,
        "from sqlalchemy import select",
        "app",
        {
            "app/services": "the rules",
            "app/models": "conditions beside the columns",
            "app/db/sweeping.py": "deletes what meets a condition that services give",
            "app/cli/admin/inventory.py": "lists columns to operators, by no rule",
            "app/cli/try_command.py": "makes the rows of a database for development",
        },
    ),
    "rows have attributes": _Rule(
        _reads_mappings,
        "rows = (await session.execute(statement)).mappings().all()",
        "app",
        {},
    ),
    "one writer of the status of runs": _Rule(
        _imports_status_changes,
        "from app.services.runs import status_changes",
        "app",
        {"app/services/runs/run_lifecycle.py": "the writer"},
    ),
    "no other writer of the status of runs": _Rule(
        _changes_the_status_of_a_run,
        "await session.execute(update(Run).where(Run.id == run_id).values(status=RunStatus.FAILED))",
        "app",
        {
            "app/services/runs/run_lifecycle.py": "the writer",
            "app/services/runs/status_changes.py": "its statements",
        },
    ),
    "written columns of runs are seen": _Rule(
        _changes_columns_of_a_run_by_a_variable,
        "await session.execute(update(Run).where(Run.id == run_id).values(values))",
        "app",
        {
            "app/services/runs/run_lifecycle.py": "the writer of the status",
            "app/services/runs/status_changes.py": "its statements",
            "app/services/runs/run_authority.py": "writes who the run acts for",
            "app/services/runs/run_edits.py": "writes what a client may change, and leaves the status to run_lifecycle.py",
        },
    ),
    "tests run what is served": _Rule(
        _asks_what_a_session_is_bound_to,
        "if isinstance(session.bind, AsyncEngine): pass",
        "app",
        {},
    ),
    "arq stays in three files": _Rule(
        _imports_arq,
        "from arq.connections import ArqRedis",
        "app",
        {
            "app/clients/job_queue.py": "puts jobs",
            "app/worker/job_table.py": "performs jobs",
            "app/worker/resilient_worker.py": "looks for jobs",
        },
    ),
    "only clients speak Redis": _Rule(
        _speaks_redis,
        "found = await self._process.redis.get(key)",
        "app",
        {"app/clients": "the commands, by what they do"},
    ),
    "Redis has one name": _Rule(_renames_redis, "r = clients.redis", "app", {"app/clients": "speaks it"}),
    "one clock": _Rule(
        _reads_the_clock,
        "now = datetime.now(UTC)",
        "app",
        {
            "app/clock.py": "the clock",
            "app/ids.py": "begins ids with the time, in the order in which they are made",
        },
    ),
    "one clock, by its full name": _Rule(_imports_the_clock, "from time import time", "app", {}),
    "one maker of ids": _Rule(_makes_an_id, "key = uuid.uuid4()", "app", {"app/ids.py": "the maker"}),
    "one maker of HTTP clients": _Rule(
        _makes_an_http_client,
        "http = httpx.AsyncClient()",
        "app",
        {
            "app/clients/http/http_client.py": "the maker, whose clients keep no cookies",
            "app/clients/http/guarded_http.py": "the maker of those for addresses that others chose",
            "app/clients/expo/expo_client.py": "makes one of another library for Expo, which keeps none either",
            "app/cli/try_command.py": "asks the service as its users do, by their client",
            "app/devstack/demo.py": "does so too, and asks without a key",
        },
    ),
    "one reader of settings": _Rule(
        _reads_the_environment,
        "url = os.environ['DATABASE_URL']",
        "app",
        {
            "app/config/settings.py": "is that reader, and names the variables that no setting reads",
            "app/agents/runbook/steps.py": "a step inherits what the sandbox left of the environment",
            "app/cli/hidden_environment.py": "wipes what others could read of the environment",
            "app/cli/agents.py": "hands agents the variables that their adapter lists",
            "app/worker/main.py": "hands agents the variables that their adapter lists",
            "app/tracing/standard_variables.py": "reads variables that OpenTelemetry names, as its SDK does",
            "app/tracing/otlp.py": "names the process",
            "app/devstack": "passes the developer's environment through to what it starts",
        },
    ),
    "errors below web know no HTTP": _Rule(
        _knows_http_exceptions,
        "from fastapi import HTTPException",
        "app",
        {"app/web/errors.py": "answers what the router itself raises"},
    ),
    "one way to rows that have an owner": _Rule(
        _reads_the_owner_of_a_row,
        "own = WebhookEndpoint.created_by_id == caller.user_id",
        "app",
        {
            "app/services/access/visibility.py": "decides who sees them",
            "app/services/runs/run_authority.py": "reads whether a visible environment is private",
            "app/services/sandbox_environments.py": "shows the creator of what the caller can see",
            "app/services/webhook_endpoints/registration.py": "shows the creator of what the caller can see",
            "app/services/webhook_endpoints/relay.py": "sends each creator the events that they see",
            "app/services/webhook_endpoints/disabling.py": "disables the endpoints of those who leave",
        },
    ),
    "one rule of who a task is for": _Rule(
        _reads_who_a_task_is_for,
        "found = or_(Task.audience == 0, Task.audience == user_id)",
        "app",
        {
            "app/models/tasks.py": "the column and its indexes",
            "app/services/access/visibility.py": "the rule",
            "app/services/tasks/filters.py": "reads the audiences that the rule names one by one, and sums their counts",
            "app/services/webhook_endpoints/relay.py": "selects the audience that it passes to the rule",
        },
    ),
    # Each raise adds to the trace of the one error, whose frames and all that they hold stay.
    "an error is made where it is raised": _Rule(_raises_a_shared_error, "raise _DENIED", "app", {}),
    "no bare except": _Rule(_swallows_everything, "try: pass\nexcept: pass", "app", {}),
    "tests wait for conditions": _Rule(
        _sleeps,
        "await asyncio.sleep(1)",
        "tests",
        {
            "tests/devstack/launchers.py": "polls for a condition, with a deadline",
            "tests/support/stand_ins/push.py": "a push service that answers as late as it is told to",
        },
    ),
}


def _offences(rule: _Rule) -> Iterator[str]:
    for path in _sources(rule.folder):
        name = path.relative_to(_ROOT).as_posix()
        if any(name == allowed or name.startswith(f"{allowed}/") for allowed in rule.allowed):
            continue
        for node in _nodes(path):
            if rule.finds(node):
                yield f"{name}:{getattr(node, 'lineno', 0)}: {ast.unparse(node).splitlines()[0]}"


def test_rules_are_kept_and_find_what_is_planted() -> None:
    for name, rule in RULES.items():
        with concerning(name):
            assert list(_offences(rule)) == []
            assert any(rule.finds(node) for node in _looked_at(ast.parse(rule.planted)))
            assert [file for file in rule.allowed if not (_ROOT / file).exists()] == [], (
                "exceptions of no file"
            )


def test_write_of_a_status_is_found() -> None:
    cases = (
        ("update(Run).values(status='failed', updated_at=now)", True),
        ("update(Run).where(Run.id == id_).values({'lease_owner': None}).returning(Run.id)", True),
        ("sqlalchemy.update(models.Run).values({models.Run.completed_at: now})", True),
        ("insert(Run).values(status='queued')", True),
        ("session.add(Run(status='queued'))", True),
        ("run.status = RunStatus.FAILED", True),
        ("update(Run).values(facts=facts, updated_at=now)", False),
        ("update(Question).where(Question.run_id == Run.id).values(status='withdrawn')", False),
        ("select(Run.id).where(Run.status == status)", False),
        ("self.status = 'A'", False),
    )
    for planted, is_found in cases:
        found = [node for node in _looked_at(ast.parse(planted)) if _changes_the_status_of_a_run(node)]
        assert bool(found) is is_found, planted


def test_sleep_in_disguise_is_found() -> None:
    cases = (
        ("await eventually(lambda: utcnow() > over_at)", True),
        ("await waiting.eventually(lambda: loop.time() > end and is_there())", True),
        ("wait_for(lambda: time.monotonic() > end, seconds=1, what='the end')", True),
        ("await eventually(lambda: letters.fetched == 1)", False),
        ("await eventually(is_lost)", False),
        ("await eventually(lambda: abs(utcnow() - datetime.now(UTC)) < CLOSE)", False),
    )
    for planted, is_found in cases:
        assert any(_sleeps(node) for node in _looked_at(ast.parse(planted))) is is_found, planted


def test_rows_and_statements_have_types() -> None:
    """An attribute of SQLAlchemy's rows may have any name, and Any passes everywhere (app/db/statements.py)."""
    of_any_columns = {
        "app/cli/admin/inventory.py",
        "app/services/webhook_endpoints/webhook_administration.py",
    }
    for path in _sources("app/services", "app/models", "app/cli/admin"):
        name = path.relative_to(_ROOT).as_posix()
        found = [] if name in of_any_columns else list(_untyped(_module(path)))
        assert not found, f"{name}: use rows_of or session.scalar, and say what a function returns: {found}"
    cases = {
        "await session.execute(statement)": False,
        "row = (await session.execute(statement)).one()": True,
        "rows = [row.id for row in await session.execute(statement)]": True,
        "def _select() -> Any: ...": True,
        "def _select() -> Select[Any]: ...": False,
    }
    for planted, is_found in cases.items():
        assert any(_untyped(ast.parse(planted))) is is_found, planted


def _untyped(module: ast.Module) -> Iterator[int]:
    performed: set[ast.AST] = set()
    # From the outside inwards.
    for node in ast.walk(module):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Await):
            performed.add(node.value.value)
        if isinstance(node, ast.Call) and _called(node).endswith("session.execute") and node not in performed:
            yield node.lineno
        if isinstance(node, ast.FunctionDef) and _dotted(node.returns or node) == "Any":
            yield node.lineno


def test_events_that_a_module_records_by_statement_are_published_by_it() -> None:
    """Otherwise readers would wait for their poll, and receivers of full bodies get none."""
    called = {
        path.relative_to(_ROOT).as_posix(): {_called(node) for node in _nodes(path)}
        for path in _sources("app")
    }
    recording = {name for name, names in called.items() if "insert_event_cte" in names}

    assert {name for name, names in called.items() if "publish_recorded" in names} >= recording
    assert len(recording) > 1


def test_tests_replace_nothing_of_the_service() -> None:
    """Tests plant faults in servers and move clocks, but do not replace the code under test or its limits."""
    replaced = {
        f"{path.relative_to(_ROOT).as_posix()}:{line}": name
        for path in _sources("tests")
        for line, name in _replaced_code(_module(path))
    }

    assert replaced == {}


def test_replaced_code_is_found() -> None:
    cases = (
        ("from app.services import enqueueing\npatch.setattr(enqueueing, 'enqueue_run', fail)", True),
        ("from app.services import enqueueing as j\nsetattr(j.inner, 'name', fail)", True),
        ("from app.web.responses import Json\npatch.setattr(Json, 'encode', fail)", True),
        ("import app.clock\npatch.setattr(app.clock, 'datetime', Behind)", True),
        ("patch.setattr('app.clock.utcnow', fail)", True),
        ("from app.agents.workspace import work_bundle as g\npatch.setattr(g, 'GATHER', 'true')", True),
        ("patch.setattr('app.agents.workspace.work_bundle.GATHER', 'true')", True),
        ("from app.services.run_log import writing as w\npatch.setattr(w, '_WAIT_SECONDS', 1)", True),
        ("from migrations.indexes import LIMITS\npatch.setitem(LIMITS, 'lock_timeout', '1s')", True),
        ("from app.clock import utcnow\npatch.delattr(utcnow, '__doc__')", True),
        ("application.state.console = path", False),
        ("patch.setattr('sys.stdout', None)", False),
        ("import shutil\npatch.setattr(shutil, 'which', fail)", False),
    )
    for planted, is_found in cases:
        assert bool(list(_replaced_code(ast.parse(planted)))) is is_found, planted


_REPLACING = {"setattr", "delattr", "setitem", "delitem"}
# Plants a program that fails, which is none of ours.
_PLANTS_PROGRAMS = "PLAIN_ENVIRONMENT.'PATH'"


def _replaced_code(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield what a module replaces of the code under test; mypy finds assignments (checks/assigned_by_tests.py)."""
    ours = {
        alias.asname or alias.name.partition(".")[0]
        for node in ast.walk(module)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if (getattr(node, "module", None) or alias.name).partition(".")[0] in {"app", "migrations"}
    }
    for node in ast.walk(module):
        if not isinstance(node, ast.Call) or _called(node).rpartition(".")[2] not in _REPLACING:
            continue
        if isinstance(node.args[0], ast.Constant):
            replaced = str(node.args[0].value)
            is_ours = replaced.startswith(("app.", "migrations."))
        else:
            replaced = f"{_dotted(node.args[0])}.{ast.unparse(node.args[1])}"
            is_ours = replaced.partition(".")[0] in ours
        if is_ours and replaced != _PLANTS_PROGRAMS:
            yield node.lineno, replaced


def test_imports_of_app_point_downwards() -> None:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"

    checked = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"],
        check=False,
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=110,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "0 broken" in checked.stdout


def test_files_of_tests_stay_readable() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in _sources("tests")}

    assert [f"{path.relative_to(_ROOT)}: {length}" for path, length in lengths.items() if length > 600] == []


def test_modules_are_named_for_an_idea() -> None:
    homeless = {"utils", "util", "helpers", "helper", "common", "misc"}

    assert [path for path in _sources("app", "tests") if path.stem in homeless] == []


def test_logger_of_a_module_is_named_log() -> None:
    others = [
        f"{path.relative_to(_ROOT)}: {ast.unparse(node)}"
        for path in _sources("app", "bench")
        for node in ast.walk(_module(path))
        if isinstance(node, ast.Assign) and _called(node.value) == "structlog.get_logger"
        if ast.unparse(node) != "log = structlog.get_logger(__name__)"
    ]

    assert others == []
