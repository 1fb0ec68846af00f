"""Checks that the files of a repository suggest."""

import json
from dataclasses import asdict

import pytest

from app.schemas.checks.check_sets import CheckIn
from app.verdicts.definitions import FoundCheck
from app.verdicts.suggested_checks import find_checks


def found(files: dict[str, str]) -> list[FoundCheck]:
    return find_checks(files, files.get)


def shown(files: dict[str, str]) -> list[tuple[str, str, str | None]]:
    """The id, the file and the key of each check."""
    return [(one.check.id, one.path, one.key) for one in found(files)]


@pytest.mark.parametrize(
    ("files", "id_", "run", "key"),
    [
        ({"package.json": '{"scripts": {"test": "jest"}}'}, "npm-test", "npm run test", "scripts.test"),
        ({"package.json": '{"scripts": {"lint": "x"}}'}, "npm-lint", "npm run lint", "scripts.lint"),
        (
            {"package.json": '{"scripts": {"typecheck": "x"}}', "pnpm-lock.yaml": ""},
            "npm-typecheck",
            "pnpm run typecheck",
            "scripts.typecheck",
        ),
        (
            {"package.json": '{"scripts": {"build": "x"}}', "yarn.lock": ""},
            "npm-build",
            "yarn run build",
            "scripts.build",
        ),
        ({"pytest.ini": ""}, "pytest", "pytest -q --junitxml=report.xml", None),
        (
            {"pyproject.toml": "[project]\n[tool.pytest.ini_options]\n"},
            "pytest",
            "pytest -q --junitxml=report.xml",
            "tool.pytest.ini_options",
        ),
        ({"setup.cfg": "[tool:pytest]"}, "pytest", "pytest -q --junitxml=report.xml", "tool:pytest"),
        ({"tox.ini": "[tox]"}, "tox", "tox", None),
        ({"noxfile.py": ""}, "nox", "nox", None),
        ({"Makefile": ".PHONY: x\n\tcheck:\ntest lint: all\nbuild := x\n"}, "make-test", "make test", "test"),
        ({"Cargo.toml": ""}, "cargo-test", "cargo test", None),
        ({"go.mod": ""}, "go-test", "go test ./...", None),
        ({"pom.xml": ""}, "mvn-test", "mvn --batch-mode test", None),
        ({"build.gradle.kts": ""}, "gradle-test", "gradle test", None),
        (
            {"composer.json": '{"scripts": {"test": ["phpunit"], "lint": "x"}}'},
            "composer-test",
            "composer run test",
            "scripts.test",
        ),
        ({"A.sln": ""}, "dotnet-test", "dotnet test A.sln", None),
        ({"A.csproj": ""}, "dotnet-test", "dotnet test A.csproj", None),
    ],
)
def test_file_suggests_a_check(files: dict[str, str], id_: str, run: str, key: str | None) -> None:
    one = found(files)[0]

    assert (one.check.id, " ".join(one.check.run or ()), one.key) == (id_, run, key)
    assert one.path == next(iter(files))
    assert CheckIn.model_validate(json.loads(json.dumps(asdict(one.check))))


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"README.md": "", "src/test.py": ""},
        {"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'},
        {"package.json": '{"scripts": ["test"]}'},
        {"package.json": "[]"},
        {"package.json": "{"},
        {"package.json": "[" * 100_000},
        {"pyproject.toml": "[tool.ruff]\n# [tool.pytest.ini_options]"},
        {"setup.cfg": "[pytest]"},
        {"Makefile": "test = x\ntest := x\n# test: x\n\ttest: x\ntests: x"},
        {"node_modules/a/package.json": '{"scripts": {"test": "x"}}', "x/vendor/y/go.mod": ""},
        {"a" * 501 + "/go.mod": ""},
    ],
)
def test_nothing_is_suggested(files: dict[str, str]) -> None:
    assert found(files) == []


def test_all_targets_of_a_makefile_in_their_order() -> None:
    rules = "build check: x\nlint:\n\nall: x\ntest:: x\n"

    assert [one.check.id for one in found({"Makefile": rules})] == [
        "make-test",
        "make-lint",
        "make-check",
        "make-build",
    ]


def test_root_comes_first_and_ids_are_unique() -> None:
    files = {"b/c/go.mod": "", "a/go.mod": "", "go.mod": "", "a/tox.ini": "[pytest]"}

    assert shown(files) == [
        ("go-test", "go.mod", None),
        ("go-test-2", "a/go.mod", None),
        ("tox", "a/tox.ini", None),
        ("pytest", "a/tox.ini", "pytest"),
        ("go-test-3", "b/c/go.mod", None),
    ]
    assert [one.check.cwd for one in found(files)] == ["", "a", "a", "a", "b/c"]


def test_folder_suggests_a_kind_once() -> None:
    files = {
        "pytest.ini": "",
        "pyproject.toml": "[tool.pytest]",
        "A.sln": "",
        "A.csproj": "",
        "build.gradle": "",
    }

    assert [path for _, path, _ in shown(files)] == ["A.csproj", "build.gradle", "pyproject.toml"]


def test_lock_of_the_root_decides_for_all_packages() -> None:
    files = {"packages/a/package.json": '{"scripts": {"test": "x"}}', "bun.lock": ""}

    assert found(files)[0].check.run == ("bun", "run", "test")


def test_at_most_twenty_are_found_and_no_more_files_are_read() -> None:
    files = {f"p{number:02}/package.json": '{"scripts": {"test": "x", "lint": "x"}}' for number in range(30)}
    read: list[str] = []

    def reading(path: str) -> str | None:
        read.append(path)
        return files.get(path)

    assert len(find_checks(files, reading)) == 20
    assert len(read) == 10


def test_folder_whose_name_is_not_utf8_suggests_nothing() -> None:
    """Regression: its scan could not be kept, so it was made again for ever."""
    folder = b"caf\xe9".decode(errors="surrogateescape")
    scripts = '{"scripts": {"test": "node --test"}}'

    assert found({f"{folder}/package.json": scripts, f"{folder}/A.sln": ""}) == []
    assert len(found({"café/package.json": scripts})) == 1


def test_file_that_cannot_be_read_suggests_nothing() -> None:
    assert find_checks(["package.json", "pyproject.toml", "Makefile"], lambda _: None) == []
