"""The checks of `make check` find what they are for."""

import json
from pathlib import Path

import pytest

from checks import ignores, markdown, mutants, naming, structure


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    app = tmp_path / "app"
    for package in ("", "services", "services/tasks", "routers", "agents"):
        (app / package).mkdir(exist_ok=True)
        (app / package / "__init__.py").touch()
    monkeypatch.setattr(structure, "APP", app)
    monkeypatch.setattr(structure, "TESTS", tmp_path / "tests")
    monkeypatch.setattr(structure, "EXCEPTIONS", {})
    return app


PLANTED = {
    "services/tasks/task_pages.py": ("", "repeats the name of its folder"),
    "services/long.py": ("pass\n" * 401, "has 401 lines"),
    "services/many.py": ("def act(a, b, c, d, *, e, f, g): ...", "takes 7 parameters"),
    "agents/many.py": ("class A:\n    def act(self, a, b, c, d, *, e, f, g, h): ...", "takes 8 parameters"),
    "routers/busy.py": ("async def act():\n" + "    pass\n" * 13, "has 13 lines"),
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


@pytest.mark.parametrize("file", PLANTED)
def test_what_exceeds_a_limit_is_named(file: str, app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, finding = PLANTED[file]
    (app / file).write_text(text)

    assert structure.main() == 1

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"app/{file}")
    assert finding in line


def test_folder_with_too_many_modules_is_named(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(structure.MAX_MODULES + 1):
        (app / "services" / f"m{number}.py").touch()
    for name in ("log", "log_a", "log_b", "log_c"):
        (app / "agents" / f"{name}.py").touch()

    assert structure.main() == 1

    assert capsys.readouterr().err.splitlines() == [
        "app/agents: has 4 modules that begin with 'log': make it a folder",
        "app/services: has 18 modules; 17 are allowed",
    ]


@pytest.mark.usefixtures("app")
def test_folders_of_tests_have_the_limits_of_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "tests/runs"
    folder.mkdir(parents=True)
    for name in ("__init__", "test_run_start", *(f"test_{n}" for n in range(structure.MAX_MODULES))):
        (folder / f"{name}.py").touch()

    assert structure.main() == 1

    assert capsys.readouterr().err.splitlines() == [
        "tests/runs: has 18 modules; 17 are allowed",
        "tests/runs/test_run_start.py: repeats the name of its folder 'runs'",
    ]


def test_what_is_within_the_limits_passes(app: Path) -> None:
    (app / "services/ok.py").write_text("def act(self, a, b, c, d, e, f): ...\n")

    assert structure.main() == 0


@pytest.mark.usefixtures("app")
def test_unused_exception_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(structure, "EXCEPTIONS", {"app/gone.py": "a reason"})

    assert structure.main() == 1
    assert "app/gone.py" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "is_bare"),
    [
        ("import a  # noqa: PLC0415", True),
        ("import a  # noqa", True),
        ("act(1, 2)  # noqa: S603, S607", True),
        ("x = y  # type: ignore[arg-type]", True),
        ("x = y  # type: ignore[arg-type]  # noqa: S108", True),
        ("# type: ignore[misc]\nx = y  # noqa: S108", True),
        ("x = y  # noqa: S108 - inside", False),
        ("x = y  # type: ignore[arg-type] # as above", False),
        ("# Loaded late.\nimport a  # noqa: PLC0415", False),
        ('x = "# noqa"', False),
    ],
)
def test_ignore_without_a_reason_is_named(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, is_bare: bool
) -> None:
    module = tmp_path / "module.py"
    module.write_text(f"pass\n{line}\n")

    assert ignores.main([str(tmp_path)]) == is_bare
    assert capsys.readouterr().err.startswith(f"{module}:") == is_bare


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


def test_names_of_tests_with_too_few_words_are_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("test_it", "test_filters_are_applied", "test_filters_are_applied_together", "make_it")
    (tmp_path / "test_filters.py").write_text("".join(f"def {name}(): ...\n" for name in names))
    (tmp_path / "filters.py").write_text("def test_it(): ...\n")

    assert naming.main([str(tmp_path)]) == 1
    assert [line.split()[:2] for line in capsys.readouterr().err.splitlines()] == [
        [f"{tmp_path}/test_filters.py:{number}:", name] for number, name in enumerate(names[:2], start=1)
    ]


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


def test_tests_of_a_mutated_file_have_its_name_and_folder(tmp_path: Path) -> None:
    for name in ("services/runs/test_rules.py", "contract/runs/test_rules.py", "services/test_rules.py"):
        path = tmp_path / "tests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    assert mutants.find_tests("app/services/runs/rules.py", root=tmp_path) == [
        "tests/contract/runs/test_rules.py",
        "tests/services/runs/test_rules.py",
    ]
