"""`make console`: what is built, when, and what stays if a build fails."""

import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from app.devstack.console import SKIP, Console, main
from app.devstack.errors import DevstackError
from app.devstack.terminal import TerminalOutput
from tests.devstack.test_agent_installer import lay_program

ROOT = Path(__file__).parents[2]
# As npm does, `ci` begins with an empty folder.
_NPM = """\
echo "$@" >> "$ASKED"
if [ "$1" = ci ]; then rm -rf node_modules; mkdir node_modules; exit; fi
mkdir -p dist
cp index.html dist/index.html
"""
TOOLS = "ci --ignore-scripts --no-audit --no-fund --fetch-retries=1 --fetch-timeout=60000"
INSTALL = f"{TOOLS} --omit=dev"
BUILD = "run build"
CHECK = "run --silent check"


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Console:
    """Sources of a console, and an npm that notes what it is asked for and builds it."""
    source, place, programs = (tmp_path / name for name in ("console", "place", "programs"))
    (source / "src").mkdir(parents=True)
    place.mkdir()
    (source / "package-lock.json").write_text("{}")
    (source / "index.html").write_text("first")
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    monkeypatch.delenv(SKIP, raising=False)
    lay_program(programs / "node", "echo v20.19.0")
    lay_program(programs / "npm", _NPM)
    return Console(source, place)


def test_console_is_built_once_for_its_sources(console: Console, tmp_path: Path) -> None:
    home, asked, dist = tmp_path / "home", tmp_path / "asked", tmp_path / "place" / "dist"
    assert not console.is_built()
    assert console.is_wanted()
    console.build(home, TerminalOutput())
    assert console.is_built()
    assert not console.is_wanted()
    # What the build leaves beside its sources is none of them, nor are scenes and generated types.
    (console.source / "node_modules" / "a.js").touch()
    (console.source / "src" / "schema.d.ts").touch()
    (console.source / "e2e").mkdir()
    (console.source / "e2e" / "scene.mjs").touch()
    console.build(home, TerminalOutput())
    assert asked.read_text().splitlines() == [INSTALL, BUILD]

    (console.source / "index.html").write_text("second")
    console.build(home, TerminalOutput())
    assert (dist / "index.html").read_text() == "second"
    assert asked.read_text().splitlines() == [INSTALL, BUILD, BUILD]
    assert not [path for path in (*dist.parent.iterdir(), *home.iterdir()) if path.is_dir() and path != dist]


def test_build_prints_its_steps(console: Console, tmp_path: Path) -> None:
    shown = io.StringIO()
    console.build(tmp_path / "home", TerminalOutput(shown))

    steps = [line.partition(" …")[0].strip() for line in shown.getvalue().splitlines()]
    assert steps == ["Packages of the console", "Build of the console"]


def test_packages_are_installed_once_for_their_lock(
    console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, asked = tmp_path / "home", tmp_path / "asked"
    monkeypatch.setenv("TASKBEACON_HOME", str(home))
    console.build(home, TerminalOutput())
    assert main(["check"], console) == 0
    (console.source / "index.html").write_text("second")
    # What checks need is more than a build does.
    console.build(home, TerminalOutput())
    assert main(["check"], console) == 0
    assert asked.read_text().splitlines() == [INSTALL, BUILD, TOOLS, CHECK, BUILD, CHECK]

    asked.unlink()
    (console.source / "package-lock.json").write_text('{"another": 1}')
    console.build(home, TerminalOutput())
    assert asked.read_text().splitlines() == [INSTALL, BUILD]


def test_packages_that_a_person_installed_are_not_replaced_by_fewer(console: Console, tmp_path: Path) -> None:
    """`make run` removed the packages of the checks."""
    (console.source / "node_modules" / "vitest").mkdir(parents=True)

    console.build(tmp_path / "home", TerminalOutput())

    assert (tmp_path / "asked").read_text().splitlines() == [TOOLS, BUILD]


@pytest.mark.parametrize(("is_ci", "status"), [("", 0), ("true", 1)])
def test_checks_without_packages_are_left_out_except_in_ci(
    console: Console,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    is_ci: str,
    status: int,
) -> None:
    monkeypatch.setenv("TASKBEACON_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CI", is_ci)
    lay_program(tmp_path / "programs" / "npm", "echo no network; exit 1")
    assert main(["check", "test"], console) == status
    said = capsys.readouterr()
    assert "no network" in said.err
    assert ("The console was left out (check, test)" in said.out) == (not is_ci)
    assert not (console.source / "node_modules").exists()


def test_check_that_fails_is_a_failure(
    console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKBEACON_HOME", str(tmp_path / "home"))
    lay_program(tmp_path / "programs" / "npm", 'echo "$@" >> "$ASKED"; [ "$3" != check ]')
    assert main(["check", "test"], console) == 1
    assert (tmp_path / "asked").read_text().splitlines() == [TOOLS, CHECK]
    assert console.source.exists()


def test_build_of_the_checks_is_that_of_the_scenes(
    console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKBEACON_HOME", str(tmp_path / "home"))
    assert main(["check", "build"], console) == 0
    console.build(tmp_path / "home", TerminalOutput())
    assert (tmp_path / "asked").read_text().splitlines() == [TOOLS, CHECK, BUILD]

    (console.source / "index.html").write_text("second")
    lay_program(tmp_path / "programs" / "npm", "echo over the budget; exit 1")
    assert main(["build"], console) == 1


def test_console_that_is_there_outlasts_a_build_that_fails(console: Console, tmp_path: Path) -> None:
    home, dist = tmp_path / "home", tmp_path / "place" / "dist"
    console.build(home, TerminalOutput())
    (console.source / "index.html").write_text("second")
    lay_program(tmp_path / "programs" / "npm", "echo no network; exit 1")
    with pytest.raises(DevstackError, match="no network"):
        console.build(home, TerminalOutput())
    assert (dist / "index.html").read_text() == "first"
    assert console.is_wanted()


def test_build_can_be_left_out(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SKIP, "1")
    assert not console.is_wanted()
    monkeypatch.setenv(SKIP, "0")
    assert console.is_wanted()
    # As where the service is installed from a wheel.
    shutil.rmtree(console.source)
    assert not console.is_wanted()


def test_old_node_is_not_taken(console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_program(tmp_path / "programs" / "node", "echo v20.18.9")
    (tmp_path / "home").mkdir()
    # Nothing can be fetched.
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    with pytest.raises(DevstackError, match="pip"):
        console.build(tmp_path / "home", TerminalOutput())
    assert console.source.exists()


@pytest.mark.parametrize(
    ("is_built", "skip", "is_in"), [(True, "0", True), (True, "1", False), (False, "0", False)]
)
def test_wheel_has_the_console_that_was_built(
    tmp_path: Path, *, is_built: bool, skip: str, is_in: bool
) -> None:
    """In a checkout with little in it: git ignores the build, and hatch what git does."""
    files = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore", "app/__init__.py")
    for name in (*files, "client/taskbeacon/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    (tmp_path / "migrations").mkdir()
    (tmp_path / ".git").mkdir()
    if is_built:
        dist = tmp_path / "app/web/console/dist"
        (dist / "assets").mkdir(parents=True)
        (dist / "index.html").touch()
        (dist / "assets" / "index-h4sh.js").touch()
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "out"],
        cwd=tmp_path,
        env={**os.environ, "SKIP_CONSOLE_BUILD": skip},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = (tmp_path / "out").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "app/__init__.py" in names
    assert ("app/web/console/dist/assets/index-h4sh.js" in names) == is_in
