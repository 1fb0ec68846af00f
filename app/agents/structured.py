"""The structured output of a run: where it is read from and what it must look like."""

import json
from pathlib import Path
from typing import Any, Never  # Any: JSON

import jsonschema
import orjson
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from app.agents import beneath
from app.agents.errors import OutputInvalid, PathRefused
from app.agents.files import OUTPUT_PATH
from app.unicode import storable

__all__ = ["MISSING", "check_output", "output_correction", "output_instructions", "read_output"]

MISSING = object()
_LIMIT = 2**20


def output_instructions(schema: Any) -> str:
    """Return what to tell an agent that is expected to give structured output."""
    return (
        f"When you are done, write the result of this task to the file {OUTPUT_PATH} in the workspace. It must be "
        f"one JSON document that is valid against this JSON schema: {json.dumps(schema)}"
    )


def output_correction(problem: str) -> str:
    """Return what to tell an agent whose structured output does not do."""
    return (
        f"{problem} Write the file {OUTPUT_PATH} in the workspace again, as the task asked: one JSON document that is "
        "valid against the JSON schema that you were given. Change nothing else."
    )


def read_output(work: Path) -> Any:
    """Return what the agent gave, MISSING if it gave nothing. Raises OutputInvalid."""
    try:
        content = beneath.read_file(work, OUTPUT_PATH, _LIMIT + 1)
    except FileNotFoundError:
        return MISSING
    except (PathRefused, OSError) as error:
        raise OutputInvalid(f"The structured output cannot be read. {error}") from None
    if len(content) > _LIMIT:
        raise OutputInvalid(f"The structured output is longer than {_LIMIT} bytes.")
    try:
        output = json.loads(content, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise OutputInvalid(f"The structured output ({OUTPUT_PATH}) is not JSON: {error}") from None
    _require_storable(output)
    return output


def _require_storable(output: Any) -> None:
    try:
        text = orjson.dumps(output)
    except TypeError as error:  # too deep, an integer of more than 64 bits, half a character
        raise OutputInvalid(f"The structured output cannot be stored: {error}.") from None
    if b"\\u0000" in text and storable(output) != output:
        raise OutputInvalid("The structured output cannot be stored: it holds a NUL character.")


def check_output(output: Any, schema: Any) -> None:
    """Check an output against the task's schema; references to other documents are not fetched.

    Raises OutputInvalid, also when the schema is not one or refers to what is not in it.
    """
    if output is MISSING:
        raise OutputInvalid("The task has a JSON schema, but the agent gave no structured output.")
    if not isinstance(schema, dict | bool):
        raise OutputInvalid(
            "The task's JSON schema is not a valid schema: it is neither an object nor a boolean."
        )
    try:
        kind = validator_for(schema, default=jsonschema.Draft202012Validator)
        if isinstance(schema, dict):
            kind.check_schema(schema)
        validator: Validator = kind(schema, registry=Registry())
        error = jsonschema.exceptions.best_match(validator.iter_errors(output))
    except SchemaError as broken:
        raise OutputInvalid(f"The task's JSON schema is not a valid schema: {_where(broken)}") from None
    except Unresolvable as missing:
        raise OutputInvalid(
            f"The task's JSON schema refers to {missing.ref!r}, which is not in it."
        ) from None
    except (RecursionError, TypeError, ValueError, AttributeError) as broken:
        raise OutputInvalid(f"The task's JSON schema cannot be applied: {broken}") from None
    if error is not None:
        raise OutputInvalid(f"The structured output does not match the task's JSON schema: {_where(error)}")


def _where(error: ValidationError | SchemaError) -> str:
    return f"{error.message[:500]} (at {error.json_path})"


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")
