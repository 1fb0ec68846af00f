"""Write the types of the client from the description of the API, or check that they are up to date.

`python -m checks.client_types --write` writes `client/taskbeacon/client/types.py`; without the option it only compares,
and ends with status 1 if there is a difference.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
TYPES: Final = ROOT / "client/taskbeacon/client/types.py"

_USED: Final = re.compile(r"\btypes\.(\w+)")
_REFERRED: Final = re.compile(r'"#/components/schemas/(\w+)"')
_HEAD: Final = '''"""The JSON of the API, for type checkers. Generated: `make client-types` writes it (checks/client_types.py)."""'''
# Of a schema, for types: what it says beside these is for people and validators.
_KEPT: Final = frozenset(
    {
        "$ref",
        "additionalProperties",
        "anyOf",
        "allOf",
        "const",
        "enum",
        "items",
        "oneOf",
        "properties",
        "required",
        "type",
    }
)
_GENERATOR: Final = (
    *("--input-file-type", "openapi", "--output-model-type", "typing.TypedDict"),
    *("--target-python-version", "3.11", "--enum-field-as-literal", "all", "--disable-timestamp"),
    *("--use-standard-collections", "--use-union-operator", "--no-formatters"),
)


def main(*, write: bool) -> int:
    """Write the types, or print whether they differ from the description; return an exit status."""
    types = generate(describe())
    if write:
        TYPES.write_text(types, encoding="utf-8")
        return 0
    if TYPES.exists() and TYPES.read_text(encoding="utf-8") == types:
        return 0
    print("The types of the client differ from the API: run `make client-types`.", file=sys.stderr)
    return 1


def describe() -> Any:  # Any: JSON
    """Return the description of the API of this checkout."""
    command = [sys.executable, "-m", "app.cli", "openapi"]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)


def generate(document: Any) -> str:  # Any: JSON
    """Return a module with the types that the client names, and theirs; those of answers lose the `Out` of a name."""
    schemas = document["components"]["schemas"]
    names = {name: name.removesuffix("Out") for name in schemas}
    assert len(set(names.values())) == len(names), "two schemas would have one name"
    every = {names[name]: _bare(schema, names) for name, schema in schemas.items()}
    bare: dict[str, Any] = {}
    wanted = {
        name for file in TYPES.parent.glob("*.py") for name in _USED.findall(file.read_text(encoding="utf-8"))
    }
    while wanted:
        bare |= {name: every[name] for name in wanted}
        wanted = {name for name in _REFERRED.findall(json.dumps(bare)) if name not in bare}
    bare = {name: bare[name] for name in sorted(bare)}
    reduced = {
        "openapi": "3.1.0",
        "info": {"title": "Taskbeacon", "version": "1"},
        "paths": {},
        "components": {"schemas": bare},
    }
    tools = Path(sys.executable).parent
    with TemporaryDirectory() as folder:
        source, target = Path(folder, "openapi.json"), Path(folder, "types.py")
        source.write_text(json.dumps(reduced), encoding="utf-8")
        command = [
            str(tools / "datamodel-codegen"),
            *_GENERATOR,
            "--input",
            str(source),
            "--output",
            str(target),
        ]
        subprocess.run(command, cwd=ROOT, check=True)
        lines = target.read_text(encoding="utf-8").split("\n")
    code = "\n".join([_HEAD, *(line for line in lines if not line.startswith("#"))])
    name = str(TYPES.relative_to(ROOT))
    for command in (
        ["check", "--fix", "--exit-zero", "--quiet", "--select", "I,UP,F401", "--stdin-filename", name, "-"],
        ["format", "--quiet", "--stdin-filename", name, "-"],
    ):
        code = subprocess.run(
            [str(tools / "ruff"), *command], cwd=ROOT, input=code, capture_output=True, text=True, check=True
        ).stdout
    return code


def _bare(schema: Any, names: dict[str, str]) -> Any:
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        match key:
            case "$ref":
                path, _, name = value.rpartition("/")
                kept[key] = f"{path}/{names[name]}"
            case "properties":
                kept[key] = {name: _bare(each, names) for name, each in value.items()}
            case "anyOf" | "allOf" | "oneOf":
                kept[key] = [_bare(each, names) for each in value]
            case "items" | "additionalProperties":
                kept[key] = _bare(value, names)
            case _:
                if key in _KEPT:
                    kept[key] = value
    return kept


if __name__ == "__main__":
    sys.exit(main(write="--write" in sys.argv[1:]))
