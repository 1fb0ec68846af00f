"""The distribution `taskbeacon` alone: it is small, and works where the server is not installed."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import app
import taskbeacon
from taskbeacon.client import parts as client_parts

ROOT = Path(__file__).parents[2]
PYRIGHT = ROOT / "console/node_modules/pyright/index.js"
MOST_DISTRIBUTIONS, MOST_BYTES = 10, 4 * 1024 * 1024


def project_of(folder: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return project


def needed(project: dict[str, Any]) -> dict[str, metadata.Distribution]:
    """Return the distributions that a project needs, with what these need."""
    waiting = [Requirement(line) for line in project["dependencies"]]
    found: dict[str, metadata.Distribution] = {}
    while waiting:
        wanted = waiting.pop()
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        name = wanted.name.lower().replace("_", "-")
        if name not in found:
            found[name] = metadata.distribution(wanted.name)
            waiting += [Requirement(line) for line in found[name].requires or ()]
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT / "client", check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_it_is_small(wheel: Path) -> None:
    others = needed(project_of(ROOT / "client"))
    files = [
        distribution.locate_file(file)
        for distribution in others.values()
        for file in distribution.files or ()
    ]
    size = sum(
        Path(str(file)).stat().st_size
        for file in files
        if ".pyc" not in str(file) and Path(str(file)).exists()
    )
    size += sum(file.file_size for file in zipfile.ZipFile(wheel).infolist())
    assert len(others) + 1 <= MOST_DISTRIBUTIONS, sorted(others)
    assert size <= MOST_BYTES, size


def test_it_brings_one_package_and_the_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"taskbeacon"}
    assert [name for name in names if name.endswith("licenses/LICENSE")]
    assert "taskbeacon/py.typed" in names


def test_it_works_without_the_server(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    for distribution in needed(project_of(ROOT / "client")).values():
        for file in distribution.files or ():
            top = file.parts[0]
            if top != ".." and not (tmp_path / top).exists():
                (tmp_path / top).symlink_to(Path(str(distribution.locate_file(top))))
    program = "import sys; sys.path.insert(0, sys.argv.pop(1)); from taskbeacon.cli import run; run()"

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-I", "-S", "-c", program, str(tmp_path), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    shown = run("--help")
    assert (shown.returncode, "Operate this server" in shown.stdout) == (0, False), shown.stderr
    asked = run("inbox", "--url", "https://a.example")
    assert (asked.returncode, "taskbeacon login" in asked.stderr) == (4, True), asked.stderr
    refused = run("serve")
    assert (refused.returncode, "taskbeacon[server]" in refused.stderr) == (2, True), refused.stderr


def test_both_distributions_have_one_version() -> None:
    versions = [metadata.version(name) for name in ("taskbeacon", "taskbeacon-server")]
    server, client = project_of(ROOT), project_of(ROOT / "client")
    (pinned,) = [line for line in server["dependencies"] if line.startswith("taskbeacon=")]
    assert pinned == f"taskbeacon=={versions[0]}"
    assert client["optional-dependencies"] == {"server": ["taskbeacon-server"]}
    assert versions == [app.__version__, taskbeacon.__version__]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The programs of the guide, as in a project of somebody else, where `py.typed` counts."""
    guide = (ROOT / "docs/guide/command-line.md").read_text(encoding="utf-8")
    found = re.findall(r"^```python\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    assert len(found) == 2
    for number, program in enumerate(found):
        (tmp_path / f"program_{number}.py").write_text(program, encoding="utf-8")
    return tmp_path


def test_programs_of_the_guide_are_strictly_typed(programs: Path) -> None:
    (programs / "mypy.ini").write_text("[mypy]\nstrict = true\n")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--python-executable", sys.executable, "."],
        cwd=programs, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout


@pytest.mark.skipif(
    not PYRIGHT.exists(), reason="`make check` installs pyright, with the tools of the console"
)
def test_pyright_knows_all_types_too(programs: Path) -> None:
    """In its strict mode: those of the guide's programs, and of each method of both clients."""
    methods = [
        f"{part.__name__.lower()}.{name}"
        for part in client_parts.Part.__subclasses__()
        for name, value in vars(part).items()
        if isinstance(value, client_parts.Call | client_parts.Each)
    ]
    assert len(methods) > 20
    program = ["from taskbeacon.client import AsyncClient, Client", "one, other = Client(), AsyncClient()"]
    program += [f"print(one.{method}, other.{method})" for method in (*methods, "request")]
    (programs / "every.py").write_text("\n".join([*program, ""]))
    (programs / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    checked = subprocess.run(
        ["node", str(PYRIGHT), "--pythonpath", sys.executable], cwd=programs, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout


def test_the_server_asks_by_the_client_in_its_tools_alone() -> None:
    """The sandbox of an agent, and an image of sources, have the package `app` by itself."""
    for path in sorted((ROOT / "app").rglob("*.py")):
        imported = {
            name.partition(".")[0]
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        is_tool = path.is_relative_to(ROOT / "app/devstack") or path.name == "try_command.py"
        assert is_tool or "taskbeacon" not in imported, path
