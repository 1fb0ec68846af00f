"""Checks a structured output against its task's JSON schema; also a program, which killable_check.py starts.

It reads `[output, schema]`, or `[schema]`, from standard input, and prints the error, if there is one.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any  # JSON

import jsonschema
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from app.agents.errors import OutputInvalid


def check_output(output: Any, schema: Any) -> None:
    """Check an output, in this process; no other document is fetched. Raises OutputInvalid."""
    with _schema_errors():
        error = jsonschema.exceptions.best_match(_validator(schema).iter_errors(output))
    if error is not None:
        raise OutputInvalid(f"The structured output does not match the task's JSON schema: {_where(error)}")


def check_schema(schema: object) -> None:
    """Check that any JSON is a valid JSON schema, in this process. Raises OutputInvalid."""
    with _schema_errors():
        _validator(schema)


def _validator(schema: object) -> Validator:
    if not isinstance(schema, dict | bool):
        raise OutputInvalid(
            "The task's JSON schema is not a valid schema: it is neither an object nor a boolean."
        )
    kind = validator_for(schema, default=jsonschema.Draft202012Validator)
    if isinstance(schema, dict):
        kind.check_schema(schema)
    validator: Validator = kind(schema, registry=Registry())
    return validator


@contextmanager
def _schema_errors() -> Iterator[None]:
    try:
        yield
    except SchemaError as broken:
        raise OutputInvalid(f"The task's JSON schema is not a valid schema: {_where(broken)}") from None
    except Unresolvable as missing:
        raise OutputInvalid(
            f"The task's JSON schema refers to {missing.ref!r}, which is not in it."
        ) from None
    except (RecursionError, TypeError, ValueError, AttributeError) as broken:
        raise OutputInvalid(f"The task's JSON schema cannot be applied: {broken}") from None


def _where(error: ValidationError | SchemaError) -> str:
    return f"{error.message[:500]} (at {error.json_path})"


def _main() -> None:
    *outputs, schema = json.load(sys.stdin)
    try:
        if outputs:
            check_output(outputs[0], schema)
        else:
            check_schema(schema)
    except OutputInvalid as error:
        sys.stdout.write(error.message)


if __name__ == "__main__":
    _main()
