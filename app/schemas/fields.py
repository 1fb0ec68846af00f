"""Lenient input fields, with the conversions and error texts that API clients rely on (contract 2.4, 2.5).

Each class is metadata for `Annotated`, holds the rules of one field, and fails with a contract code and text:

    title: Annotated[str, Text(max_length=255, blank=True)] = ""

`null=True` lets an explicit null through as None.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import override

from app.errors import no_more_than
from app.json_types import JsonDict

JsonSchema = JsonDict

_TRUE_WORDS = frozenset({"t", "y", "yes", "true", "on", "1"})
_FALSE_WORDS = frozenset({"f", "n", "no", "false", "off", "0"})
# More digits than any column can hold, so that huge numbers are reported as out of range, not as malformed.
_INTEGER = re.compile(r"\s*([+-]?[0-9]{1,1000})(?:\.0*)?\s*", re.ASCII)
_UUID = re.compile(
    r"(?:urn:uuid:)?\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?",
    re.ASCII | re.IGNORECASE,
)
_ECHO_LIMIT = 200


def fail(code: str, text: str, *below: str | int) -> PydanticCustomError:
    """Return the error of an invalid field, with code and text of the contract; `below`: the path within it."""
    # The text is passed in the context, since Pydantic would interpret braces in a template.
    return PydanticCustomError(code, "{text}", {"text": text, "below": below})


def require_at_most(limit: int, length: int, unit: str = "characters") -> None:
    if length > limit:
        raise fail("max_length", no_more_than(limit, unit))


def parse_integer(value: object) -> int | None:
    """Return the integer in a number or text: 5 from "5", 5.0 and "5.0". Return None for others, such as 5.5."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and (match := _INTEGER.fullmatch(value)):
        return int(match[1])
    return None


def parse_uuid(value: object) -> UUID | None:
    """Return a UUID from a UUID, or from a text in one of its usual written forms. Return None for any other value."""
    if isinstance(value, UUID):
        return value
    if isinstance(value, str) and (match := _UUID.fullmatch(value.strip())):
        return UUID("".join(match.groups()))
    return None


def parse_timestamp(value: Any) -> datetime | None:
    """Return the time in a text in ISO 8601, as a UTC datetime. Return None for any other value."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        # In UTC the time is before the first or after the last year.
        return None


def has_null_character(value: object) -> bool:
    """Return whether any string in a JSON value contains the character NUL. Names of fields are checked too."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            if "\x00" in item:
                return True
        elif isinstance(item, dict):
            pending.extend(item)
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return False


def require_object(value: object) -> JsonDict:
    """Return the value if it is an object, for a `BeforeValidator` of a type whose fields are declared."""
    if not isinstance(value, dict):
        raise fail("not_a_dict", f'Expected a dictionary of items but got type "{type(value).__name__}".')
    return value


def check_repository(text: str) -> str:
    """Return the name of a repository in lower case, for the `check` of a text."""
    organization, slash, name = text.partition("/")
    if not (slash and organization.strip() and name.strip()) or "/" in name:
        raise fail("invalid_input", "Repository must be in the format organization/repository")
    return text.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Field(ABC):
    """Base class of the input fields of request bodies and queries."""

    schema: ClassVar[JsonSchema] = {}

    null: bool = False

    @abstractmethod
    def parse(self, value: object) -> Any:
        """Convert a value that is not null, and return the result. For an invalid value, raise PydanticCustomError."""

    def json_schema(self) -> JsonSchema:
        """Return the published JSON Schema of the field, for a value that is not null."""
        return dict(self.schema)

    def _validate(self, value: object) -> Any:
        if value is None:
            if self.null:
                return None
            raise fail("null", "This field may not be null.")
        return self.parse(value)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        described = self.json_schema()
        if not self.null or "type" not in described:
            return described
        nullable = described | {"type": [described["type"], "null"]}
        if "enum" in described:
            nullable["enum"] = [*described["enum"], None]
        return nullable


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Field):
    """A field that takes a string and, unless `verbatim`, trims it. A number is converted to a string.

    An empty string is accepted if `blank`, and is converted to None if `blank_is_absent`. `check` gets the string and
    returns it, perhaps changed, or raises an error made by `fail`.
    """

    max_length: int | None = None
    blank: bool = False
    blank_is_absent: bool = False
    verbatim: bool = False
    check: Callable[[str], str] | None = None

    @override
    def parse(self, value: object) -> str | None:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise fail("invalid_input", "Not a valid string.")
        text = str(value) if self.verbatim else str(value).strip()
        if not text:
            if self.blank_is_absent:
                return None
            if not self.blank:
                raise fail("blank", "This field may not be blank.")
            return text
        self._require_length(text)
        if "\x00" in text:
            raise fail("null_characters_not_allowed", "Null characters are not allowed.")
        if self.check is not None:
            text = self.check(text)
            # Lower case may be longer: "İ" becomes two characters.
            self._require_length(text)
        return text

    def _require_length(self, text: str) -> None:
        if self.max_length is not None:
            require_at_most(self.max_length, len(text))

    @override
    def json_schema(self) -> JsonSchema:
        schema: JsonSchema = {"type": "string"}
        if self.max_length is not None:
            schema["maxLength"] = self.max_length
        if not self.blank and not self.blank_is_absent:
            schema["minLength"] = 1
        return schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Boolean(Field):
    """A field that takes a boolean, or a word or number that stands for one, such as "yes" or 0."""

    schema: ClassVar = {"type": "boolean"}

    @override
    def parse(self, value: object) -> bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        word = str(value).lower() if isinstance(value, str | int) else ""
        if word in _TRUE_WORDS:
            return True
        if word in _FALSE_WORDS:
            return False
        raise fail("invalid_input", "Must be a valid boolean.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer(Field):
    """A field that takes an integer within bounds. It may be written as a text, or as a float without a fraction."""

    minimum: int | None = None
    maximum: int | None = None

    @override
    def parse(self, value: object) -> int:
        number = parse_integer(value)
        if number is None:
            raise fail("invalid_input", "A valid integer is required.")
        if self.minimum is not None and number < self.minimum:
            raise fail("min_value", f"Ensure this value is greater than or equal to {self.minimum}.")
        if self.maximum is not None and number > self.maximum:
            raise fail("max_value", f"Ensure this value is less than or equal to {self.maximum}.")
        return number

    @override
    def json_schema(self) -> JsonSchema:
        bounds = {"minimum": self.minimum, "maximum": self.maximum}
        return {"type": "integer"} | {name: bound for name, bound in bounds.items() if bound is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Uuid(Field):
    """A field that takes a UUID in any of its usual written forms."""

    schema: ClassVar = {"type": "string", "format": "uuid"}

    @override
    def parse(self, value: object) -> UUID:
        parsed = parse_uuid(value)
        if parsed is None:
            raise fail("invalid_input", "Must be a valid UUID.")
        return parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class Timestamp(Field):
    """A field that takes a time in ISO 8601 and returns a UTC datetime; a time without a zone is UTC."""

    schema: ClassVar = {"type": "string", "format": "date-time"}

    @override
    def parse(self, value: object) -> datetime:
        # A plus sign that a client did not encode arrives as a blank.
        moment = parse_timestamp(value.strip().replace(" ", "+") if isinstance(value, str) else value)
        if moment is None:
            raise fail("invalid_input", "Datetime has wrong format.")
        return moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Field):
    """A field that takes a member of an enumeration. If `named`, its error text lists the members (contract 2.4)."""

    of: type[StrEnum]
    named: bool = False

    @override
    def parse(self, value: object) -> StrEnum:
        try:
            return self.of(str(value))
        except ValueError:
            hint = f"; choose from {', '.join(self.of)}" if self.named else ""
            detail = f'"{str(value)[:_ECHO_LIMIT]}" is not a valid choice{hint}.'
            raise fail("invalid_choice", detail) from None

    @override
    def json_schema(self) -> JsonSchema:
        return {"type": "string", "enum": [member.value for member in self.of]}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenChoice(Field):
    """A field that takes a name from a set that operators can extend."""

    max_length: int

    @override
    def parse(self, value: object) -> str:
        word = str(value)
        if not 0 < len(word) <= self.max_length or "\x00" in word:
            raise fail("invalid_choice", f'"{word[:_ECHO_LIMIT]}" is not a valid choice.')
        return word

    @override
    def json_schema(self) -> JsonSchema:
        return {"type": "string", "minLength": 1, "maxLength": self.max_length}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey(Field):
    """A field that takes the integer key of another database row. "" is treated as null."""

    schema: ClassVar = {"type": "integer"}

    @override
    def parse(self, value: object) -> int | None:
        if value == "" and self.null:
            return None
        number = parse_integer(value)
        if number is None:
            raise fail(
                "incorrect_type", f"Incorrect type. Expected pk value, received {type(value).__name__}."
            )
        return number


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignUuid(Field):
    """A field that takes the UUID key of another database row. "" is treated as null."""

    schema: ClassVar = {"type": "string", "format": "uuid"}

    @override
    def parse(self, value: object) -> UUID | None:
        if value == "" and self.null:
            return None
        parsed = parse_uuid(value)
        if parsed is None:
            raise fail("invalid_input", f"“{str(value)[:_ECHO_LIMIT]}” is not a valid UUID.")
        return parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyJson(Field):
    """A field that takes any JSON value that the database can store."""

    @override
    def parse(self, value: object) -> Any:
        if has_null_character(value):
            raise fail("null_characters_not_allowed", "Null characters are not allowed.")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonObject(AnyJson):
    """A field that takes a JSON object with any keys and values that the database can store."""

    schema: ClassVar = {"type": "object"}

    @override
    def parse(self, value: object) -> Any:
        return AnyJson.parse(self, require_object(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Items(Field):
    """A field that takes a list. The items have a field of their own, as in `list[Annotated[UUID, Uuid()]]`."""

    max_length: int
    empty: bool = True

    @override
    def parse(self, value: object) -> Any:
        if not isinstance(value, list):
            raise fail("not_a_list", f'Expected a list of items but got type "{type(value).__name__}".')
        if not value and not self.empty:
            raise fail("empty", "This list may not be empty.")
        require_at_most(self.max_length, len(value), "elements")
        return value

    @override
    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._validate, handler(source))

    @override
    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        return handler(schema) | {"maxItems": self.max_length} | ({} if self.empty else {"minItems": 1})
