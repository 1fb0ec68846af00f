"""The checks of `make check` find what they are for."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from checks import assigned_by_tests, budget, markdown, mutants, structure


@pytest.fixture
def app(tmp_path: Path) -> Path:
    app = tmp_path / "app"
    for package in ("", "services", "services/tasks", "routers", "agents"):
        (app / package).mkdir(exist_ok=True)
        (app / package / "__init__.py").touch()
    return app


def found(app: Path, **exceptions: str) -> list[tuple[str, str]]:
    return list(structure.find(app.parent, exceptions=exceptions))


PLANTED = {
    "services/long.py": ("pass\n" * 601, "has 601 lines"),
    "services/many.py": ("def act(a, b, c, d, *, e, f, g): ...", "takes 7 parameters"),
    "agents/many.py": ("class A:\n    def act(self, a, b, c, d, *, e, f, g, h): ...", "takes 8 parameters"),
    "services/told.py": ('async def _act():\n    """Act."""\n', "is private and has a docstring"),
    "routers/busy.py": ("async def act():\n" + "    pass\n" * 13, "has 13 lines"),
    "routers/branching.py": (
        '@router.get("")\nasync def act():\n    c = [a if b else None for a in d]\n',
        "has `if`, `try`, `with`",
    ),
    "routers/trying.py": (
        '@own_router.post("/a", status_code=201)\nasync def act():\n    try:\n        b()\n    finally:\n        c()\n',
        "has `if`, `try`, `with`",
    ),
    "routers/asserting.py": ('@router.get("")\nasync def act():\n    assert b\n', "has `if`, `try`, `with`"),
    "routers/raising.py": ('@router.get("")\nasync def act():\n    raise b\n', "has `if`, `try`, `with`"),
    "routers/reading.py": ("class Reader:\n    pass\n", "is a class"),
    "routers/catching.py": (
        '@router.get("")\nasync def act():\n    async with a:\n        b()\n',
        "has `if`, `try`, `with`",
    ),
    "agents/spec.py": (
        "@dataclass(frozen=True)\nclass Spec:\n" + "".join(f"    f{n}: int\n" for n in range(11)),
        "has 11 fields",
    ),
    "process.py": (
        "@dataclass\nclass Base:\n"
        + "".join(f"    f{n}: int\n" for n in range(9))
        + "@dataclass\nclass Process(Base):\n    a: int\n    b: int\n",
        "has 11 fields",
    ),
}


def test_what_exceeds_a_limit_is_named(app: Path) -> None:
    for file, (text, finding) in PLANTED.items():
        (app / file).write_text(text)

        [(where, what)] = found(app)

        assert where.startswith(f"app/{file}"), file
        assert finding in what, file
        assert found(app, **{where: "a reason"}) == [], file
        (app / file).unlink()


def test_folders_with_too_many_modules_are_named(app: Path, tmp_path: Path) -> None:
    tests = tmp_path / "tests/runs"
    tests.mkdir(parents=True)
    (tests / "__init__.py").touch()
    for number in range(structure.MAX_MODULES + 1):
        (app / "services" / f"m{number}.py").touch()
        (tests / f"test_m{number}.py").touch()

    assert found(app) == [
        ("app/services", "has 18 modules; 17 are allowed"),
        ("tests/runs", "has 18 modules; 17 are allowed"),
    ]


def test_module_with_the_name_of_its_folder_is_named(app: Path) -> None:
    (app / "services/tasks/tasks.py").touch()

    assert found(app) == [("app/services/tasks/tasks.py", "has the name of its folder")]


@pytest.mark.parametrize(
    ("importing", "is_found"),
    [
        ({"services/tasks/a.py": "from app.services.tasks import small"}, True),
        ({"services/tasks/a.py": "def act():\n    from app.services.tasks.small import act"}, True),
        ({"services/tasks/a.py": "import app.services.tasks.small"}, True),
        ({}, False),
        ({f"services/tasks/{name}.py": "from app.services.tasks import small" for name in "ab"}, False),
        ({"services/tasks/a.py": "from app.services.tasks import small_too"}, False),
    ],
)
def test_small_module_that_one_other_imports_is_named(
    importing: dict[str, str], app: Path, *, is_found: bool
) -> None:
    (app / "services/tasks/small.py").write_text("pass\n" * 99)
    for name, text in importing.items():
        (app / name).write_text(text)

    assert bool(found(app)) is is_found
    (app / "services/tasks/small.py").write_text("pass\n" * 100)
    assert found(app) == []


def test_small_module_may_be_one_of_a_list(app: Path) -> None:
    (app / "routers/users.py").touch()
    (app / "main.py").write_text("from app.routers import users")
    assert found(app) == []

    (app / "main.py").rename(app / "other.py")

    assert found(app) == [
        ("app/routers/users.py", "has 0 lines and is imported by app.other only: join them")
    ]


def test_module_of_a_room_with_the_name_of_another_is_named(app: Path) -> None:
    for name in ("agents/queue.py", "routers/queue.py", "services/queue.py"):
        (app / name).touch()
    (app / "services/views").mkdir()
    (app / "services/views/queue.py").touch()

    assert found(app) == [("app/services/queue.py", "has the name of app/agents/queue.py")]


def test_what_is_within_the_limits_passes(app: Path) -> None:
    (app / "services/ok.py").write_text(
        'def act(self, a, b, c, d, e, f):\n    """Act."""\n\ndef __call__(self):\n    """Act."""\n'
    )
    # A dependency may decide.
    (app / "routers/ok.py").write_text("async def read(request):\n    if a:\n        return\n")

    assert found(app) == []


def test_unused_exception_is_named(app: Path) -> None:
    assert found(app, **{"app/gone.py": "a reason"}) == [
        ("app/gone.py", "is an exception that nothing needs")
    ]


def test_lines_docstrings_of_functions_and_uses_of_any_are_counted() -> None:
    function = 'def act(a: Any):\n    """Act.\n\n    Twice.\n    """\n'
    files = {
        "app/a.py": f'"""Anything."""\n\n{function}',
        "app/page.html": "\n",
        "console/src/a.ts": "\n\n",
        "tests/test_a.py": function,
        "client/taskbeacon/a.py": "\n\n\n",
        "client/taskbeacon/client/types.py": function,
        "client/README.md": "\n",
    }

    assert budget.count(files) == {
        "app_lines": 7,
        "app_function_docstring_lines": 4,
        "app_any_lines": 1,
        "console_source_lines": 2,
        "client_lines": 3,
    }


def test_large_file_is_named_unless_it_is_a_lock() -> None:
    files = dict.fromkeys(("docs/a.json", "requirements.lock", "console/package-lock.json"), "\n" * 1501)

    assert budget.find_large({**files, "docs/b.json": "\n" * 1500}) == {"docs/a.json": 1501}


def test_checkout_over_its_budget_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    allowed = dict.fromkeys(budget.count({}), 2)
    lines = [f"{name} = {number}" for name, number in allowed.items()]
    (tmp_path / "pyproject.toml").write_text("\n".join(["[tool.taskbeacon.budget]", *lines]))
    (tmp_path / "app").mkdir()

    for number in (2, 3):
        (tmp_path / "app/a.py").write_text("pass\n" * number)
        assert budget.main(tmp_path) == (number > 2)
        assert f"app_lines: {number} of 2" in capsys.readouterr().out


def test_long_lines_of_prose_are_found_outside_tables_and_code() -> None:
    long = "word " * 26
    text = (
        f"{long}\n| {long}\n# {long}\n  <img {long}\n```\n{long}\n```\n- {long}\n{'x' * 200}\n{'x' * 128}\n"
    )

    assert list(markdown.find_long_lines(text)) == [(1, 130), (8, 132)]


def test_long_lines_are_printed_except_those_of_the_contract(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("contract.md", "page.md"):
        (tmp_path / name).write_text("word " * 26)

    assert markdown.main([str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"{tmp_path}/page.md:1: has 130 characters; 128 are allowed\n"


def test_changes_that_no_test_noticed_are_reported() -> None:
    def record(outcome: str | None, line: str) -> str:
        diff = f"--- mutation diff ---\n--- a/app/a.py\n+++ b/app/a.py\n@@ -1 +1 @@\n-{line}\n+changed"
        result = None if outcome is None else {"test_outcome": outcome, "diff": diff}
        return json.dumps([{"job_id": line, "mutations": []}, result])

    dump = "\n".join(
        [
            record("killed", "if noticed:"),
            record("survived", "if unnoticed:"),
            record("survived", "@dataclass(frozen=True)"),
            record(None, "if pending:"),
        ]
    )

    assert list(mutants.find_survivors(dump)) == ["+++ b/app/a.py\n@@ -1 +1 @@\n-if unnoticed:\n+changed"]


def test_tests_of_a_mutated_file_have_its_name_and_its_folder_if_others_have_the_name(tmp_path: Path) -> None:
    def touch(*names: str) -> None:
        for path in (tmp_path / name for name in names):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    tests = ["tests/contract/runs/test_rules.py", "tests/services/runs/test_rules.py", "tests/test_rules.py"]
    touch("app/services/runs/rules.py", "app/routers/rules.py", *tests)
    assert mutants.find_tests("app/services/runs/rules.py", root=tmp_path) == tests

    touch("app/web/rules.py")
    assert mutants.find_tests("app/services/runs/rules.py", root=tmp_path) == tests[:2]
    assert mutants.find_tests("app/web/rules.py", root=tmp_path) == []


def test_assignment_of_tests_to_an_attribute_of_the_service_is_named(tmp_path: Path) -> None:
    planted = {
        "pyproject.toml": f"[tool.mypy]\nplugins = ['{assigned_by_tests.__file__}']\n",
        "app/__init__.py": "",
        "app/loop.py": "class Loop:\n    most = 2\n    def __init__(self) -> None:\n        self.seconds = 2.0\n",
        "app/models.py": "class Row:\n    name = ''\n",
        "tests/__init__.py": "",
        "tests/test_loop.py": "from app.loop import Loop\nfrom app.models import Row\n"
        "loop, row = Loop(), Row()\nrow.name = str(loop.seconds)\n"
        "loop.seconds = 3\nloop.seconds += 1\nLoop.most = 3\nrow.name, loop.most = 'b', 4\n",
    }
    for name, text in planted.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "mypy", "--cache-dir", os.devnull, "-p", "app", "-p", "tests"]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    refused = "error: Tests assign no attribute of app: make it an argument  [misc]"
    assert checked.stdout.splitlines()[:-1] == [
        f"tests/test_loop.py:{line}: {refused}" for line in (5, 6, 7, 8)
    ]
