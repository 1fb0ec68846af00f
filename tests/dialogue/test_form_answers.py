"""Forms of agents as questions, and answers in words as what the form wants (contract 15.11)."""

import itertools
import math
import sys
from contextlib import nullcontext
from typing import Any

import pytest

from app.dialogue.form_schemas import FormRefused, read_form
from app.dialogue.forms import AnswerInvalid

JSON = dict[str, Any]


def options(*labels: str) -> list[JSON]:
    return [{"const": label, "title": label} for label in labels]


OTHER = {"type": "string", "title": "Other", "description": "Type your own answer."}
# As claude-agent-acp 0.101 sends two questions.
CLAUDE: JSON = {
    "type": "object",
    "properties": {
        "question_0": {
            "type": "string",
            "title": "Library",
            "description": "Which library?",
            "oneOf": [
                {"const": "luxon", "title": "luxon", "description": "Larger"},
                {"const": "date-fns", "title": "date-fns"},
            ],
        },
        "question_0_custom": OTHER,
        "question_1": {
            "type": "array",
            "title": "Targets",
            "description": "Which targets?",
            "items": {"anyOf": options("web", "ios", "ios, old")},
        },
        "question_1_custom": OTHER,
    },
}
FOREIGN: JSON = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 2},
        "port": {"type": "integer", "title": "Port", "minimum": 1, "maximum": 65535},
        "ratio": {"type": "number"},
        "tls": {"type": "boolean", "description": "Use TLS?"},
        "level": {"type": "string", "enum": ["low", "high"]},
    },
}


def test_questions_of_claude_are_shown_as_its_tool_asks_them() -> None:
    form = read_form("Please answer the following questions.", CLAUDE)
    assert [question.describe() for question in form.questions] == [
        {
            "question": "Which library?",
            "header": "Library",
            "multiSelect": False,
            "options": [{"label": "luxon", "description": "Larger"}, {"label": "date-fns"}],
        },
        {
            "question": "Which targets?",
            "header": "Targets",
            "multiSelect": True,
            "options": [{"label": "web"}, {"label": "ios"}, {"label": "ios, old"}],
        },
    ]
    assert form.options() == [
        {"optionId": "option_0", "name": "luxon", "kind": "allow_once"},
        {"optionId": "option_1", "name": "date-fns", "kind": "allow_once"},
        {"optionId": "reject", "name": "Skip", "kind": "reject_once"},
    ]


def test_single_question_is_the_message() -> None:
    properties = {"question_0": {"type": "string", "oneOf": options("a", "b")}, "question_0_custom": OTHER}
    form = read_form("Which one?", {"type": "object", "properties": properties})
    assert [question.text for question in form.questions] == ["Which one?"]
    for params in (
        {"option_id": "option_1"},
        {"option_id": "option_1", "answers": {"Which one?": "b"}},
        # Shortened somewhere on its way.
        {"option_id": "option_1", "answers": {"Which": "b"}},
    ):
        assert form.answer(params) == ("accept", {"question_0": "b"})
    written = {"option_id": "other", "custom_input": "neither"}
    assert form.answer(written) == ("accept", {"question_0_custom": "neither"})


@pytest.mark.parametrize(
    ("answers", "content"),
    [
        ({"Which library?": "luxon"}, {"question_0": "luxon"}),
        ({"Which library?": "luxon, for now"}, {"question_0": "luxon", "question_0_custom": "for now"}),
        ({"Which library?": "luxonic"}, {"question_0_custom": "luxonic"}),
        ({"Which targets?": "web, ios"}, {"question_1": ["web", "ios"]}),
        ({"Which targets?": "ios, old, web"}, {"question_1": ["ios, old", "web"]}),
        ({"Which targets?": "web, tv"}, {"question_1": ["web"], "question_1_custom": "tv"}),
        ({"Which targets?": "tv, web"}, {"question_1_custom": "tv, web"}),
        ({"question_1": "web"}, {"question_1": ["web"]}),
        ({"Which library?": " "}, {}),
        ({"unknown": "x", "other": "y"}, {}),
    ],
)
def test_answers_in_words_fill_the_form(answers: dict[str, str], content: JSON) -> None:
    form = read_form("Please answer the following questions.", CLAUDE)
    assert form.answer({"option_id": "_submit", "answers": answers}) == ("accept", content)


@pytest.mark.parametrize("option_id", ["reject", "_cancel", "cancel"])
def test_leaving_a_form_declines_it(option_id: str) -> None:
    assert read_form("", CLAUDE).answer({"option_id": option_id, "custom_input": "no"}) == ("decline", {})


def test_questions_of_codex_have_their_texts_as_titles() -> None:
    of_codex = {"_meta": {"codex": {"isOther": True, "isSecret": False}}}
    choices = options("luxon", "None of the above")
    asked = {
        "title": "Which library?",
        "description": "Library",
        "type": "string",
        "oneOf": choices,
        **of_codex,
    }
    properties = {"lib": asked, "lib_note": {"type": "string", "title": "Additional answer or note"}}
    form = read_form("Codex needs your input.", {"properties": properties, "required": ["lib"]})
    [question] = form.questions
    assert (question.text, question.header) == ("Which library?", "Library")
    for answer, content in (
        ("luxon", {"lib": "luxon"}),
        ("luxon, please", {"lib": "luxon", "lib_note": "please"}),
        ("another", {"lib": "None of the above", "lib_note": "another"}),
    ):
        params = {"option_id": "_submit", "answers": {"Which library?": answer}}
        assert form.answer(params) == ("accept", content)


def test_foreign_form_is_one_question_for_each_property() -> None:
    form = read_form("Configure the server.", FOREIGN)
    assert [question.text for question in form.questions] == ["name", "Port", "ratio", "Use TLS?", "level"]
    answers = {"name": "db", "Port": "5432", "ratio": "0.5", "Use TLS?": "Yes", "level": "high"}
    action, content = form.answer({"option_id": "_submit", "answers": answers})
    assert (action, content) == (
        "accept",
        {"name": "db", "port": 5432, "ratio": 0.5, "tls": True, "level": "high"},
    )
    assert form.answer({"action": "accept", "content": content}) == (action, content)
    assert form.answer({"action": "decline", "content": {"x": 1}}) == ("decline", {})


@pytest.mark.parametrize(
    ("params", "place"),
    [
        ({"answers": {"Port": "1"}}, ()),
        ({"answers": {"name": "x"}}, ("name",)),
        ({"answers": {"name": "db", "Port": "many"}}, ("port",)),
        ({"answers": {"name": "db", "Port": "1e400"}}, ("port",)),
        ({"answers": {"name": "db", "Port": "0"}}, ("port",)),
        ({"answers": {"name": "db", "ratio": "nan"}}, ("ratio",)),
        ({"answers": {"name": "db", "Use TLS?": "perhaps"}}, ("tls",)),
        ({"answers": {"name": "db", "level": "medium"}}, ("level",)),
        ({"answers": {"name": "db", "level": "x" * 70_000}}, ()),
        # The first problem alone.
        ({"action": "accept", "content": {"name": "db", "port": "x", "level": "medium"}}, ("port",)),
        ({"action": "accept", "content": {"name": "db", "more": 1}}, ("more",)),
        ({"action": "accept", "content": {"name": "x" * 10_001}}, ("name",)),
        ({"action": "accept", "content": {"name": "db", "port": True}}, ("port",)),
        ({"action": "accept", "content": {"name": "db", "port": 65536}}, ("port",)),
        ({"action": "accept", "content": {"name": "db", "ratio": math.nan}}, ("ratio",)),
        ({"action": "accept", "content": {"name": "db", "ratio": math.inf}}, ("ratio",)),
        ({"action": "accept", "content": {"name": "db", "tls": 1}}, ("tls",)),
        ({"action": "accept", "content": {"name": "db", "level": ["low"]}}, ("level",)),
        ({"action": "accept", "content": {"name": None}}, ("name",)),
        ({"action": "accept"}, ()),
        ({"action": "perhaps"}, ()),
    ],
)
def test_wrong_answer_is_named(params: JSON, place: tuple[str, ...]) -> None:
    with pytest.raises(AnswerInvalid) as invalid:
        read_form("", FOREIGN).answer({"option_id": "_submit", **params})
    assert invalid.value.place == place


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("web", ("question_1",)),
        (["web", "tv"], ("question_1", "1")),
        (["web", ["ios"]], ("question_1", "1")),
        (["web", "web"], ("question_1",)),
        (["web"] * 4, ("question_1",)),
    ],
)
def test_wrong_choices_are_named(value: Any, place: tuple[str, ...]) -> None:
    with pytest.raises(AnswerInvalid) as invalid:
        read_form("", CLAUDE).check({"question_1": value})
    assert invalid.value.place == place


@pytest.mark.parametrize(
    ("described", "right", "wrong"),
    [
        ({"type": "string", "format": "email"}, "a@b.example", "a b@c"),
        ({"type": "string", "format": "uri"}, "https://example.com", "example"),
        ({"type": "string", "format": "date"}, "2026-02-28", "2026-02-30"),
        ({"type": "string", "format": "date-time"}, "2026-02-28T10:00:00Z", "2026-02-28T10:00:00"),
        ({"type": "string", "minLength": 2, "maxLength": 3}, "ab", "abcd"),
        ({"type": "number", "exclusiveMinimum": 0}, 0.1, 0),
        ({"type": "number", "exclusiveMaximum": 1}, 0.9, 1),
        ({"type": "array", "minItems": 1, "items": {"enum": ["a", "b"]}}, ["a"], []),
        ({"type": "array", "maxItems": 1, "items": {"enum": ["a", "b"]}}, ["a"], ["a", "b"]),
    ],
)
def test_bounds_and_formats_are_checked(described: JSON, right: Any, wrong: Any) -> None:
    form = read_form("", {"type": "object", "properties": {"x": described}})
    form.check({"x": right})
    with pytest.raises(AnswerInvalid):
        form.check({"x": wrong})


def test_large_content_costs_nothing_and_is_refused_in_few_words() -> None:
    """A list of 2,000 values against 800 choices kept an API process busy for 96 s, with an error of 2 MB.

    Calls are counted, since they do not depend on the load of the machine: 8,000, and millions before.
    """
    names = [str(number) for number in range(500)]
    form = read_form("", {"properties": {"x": {"type": "array", "items": {"anyOf": options(*names)}}}})
    calls = itertools.count()

    def count(*_: object) -> None:
        next(calls)

    sys.setprofile(count)
    for value in (["none"] * 2000, ["none"] * 100_000, "x" * 2_000_000, [*names[:-1], "y" * 60_000]):
        with pytest.raises(AnswerInvalid) as invalid:
            form.answer({"action": "accept", "content": {"x": value}})
        assert len(str(invalid.value)) < 1000
    with pytest.raises(AnswerInvalid):
        form.answer({"option_id": "_submit", "answers": {"x": "1, " * 20_000}})
    sys.setprofile(None)
    assert next(calls) < 50_000


@pytest.mark.parametrize(
    "described",
    [
        {"type": "zz"},
        {"type": ["string", "null"]},
        {},
        "string",
        {"type": "object", "properties": {}},
        {"type": "string", "oneOf": [1]},
        {"type": "string", "oneOf": [{"const": 1}]},
        {"type": "string", "oneOf": [{"type": "string", "minLength": 1}]},
        {"type": "string", "oneOf": "ab"},
        {"type": "string", "enum": []},
        {"type": "string", "enum": [["a"]]},
        {"type": "string", "enum": ["a"], "anyOf": [{"const": "b"}]},
        {"type": "integer", "enum": [1, 2]},
        {"type": "array"},
        {"type": "array", "items": {"type": "integer"}},
        {"type": "array", "items": True},
        {"type": "string", "$ref": "#/x"},
        {"type": "string", "allOf": []},
        {"type": "string", "maxLength": "5"},
        {"type": "number", "minimum": True},
        {"type": "number", "minimum": 2**70},
        {"type": "string", "title": ["x"]},
        {"type": "string", "enum": [str(number) for number in range(501)]},
    ],
    ids=str,
)
def test_schema_that_is_not_flat_is_refused(described: Any) -> None:
    """Nothing of it may fail later, or let every answer pass."""
    with pytest.raises(FormRefused):
        read_form("", {"type": "object", "properties": {"x": described}})


@pytest.mark.parametrize(
    "schema",
    [
        [],
        {"type": "string"},
        {"properties": []},
        {"properties": {}, "required": "x"},
        {"properties": {}, "oneOf": []},
        {"properties": {"x" * 256: {"type": "string"}}},
        {"properties": {str(number): {"type": "string"} for number in range(51)}},
    ],
    ids=lambda schema: str(schema)[:40],
)
def test_schema_that_is_no_form_is_refused(schema: Any) -> None:
    with pytest.raises(FormRefused):
        read_form("", schema)


@pytest.mark.parametrize(
    ("name", "described", "is_refused"),
    [
        ("password", {"type": "string"}, True),
        ("githubToken", {"type": "string"}, True),
        ("api_key", {"type": "string"}, True),
        ("value", {"type": "string", "title": "Your client secret"}, True),
        ("x", {"type": "string", "title": "API-Key"}, True),
        ("max_tokens", {"type": "integer"}, False),
        ("token", {"type": "boolean"}, False),
        ("secret", {"type": "string", "enum": ["rotate", "keep"]}, False),
        ("tokenizer", {"type": "string"}, False),
        ("key", {"type": "string"}, False),
    ],
)
def test_text_that_is_named_as_a_secret_is_refused(name: str, described: JSON, *, is_refused: bool) -> None:
    schema = {"type": "object", "properties": {name: described}}
    with pytest.raises(FormRefused, match="secret") if is_refused else nullcontext():
        read_form("", schema)


def test_pattern_of_an_agent_is_never_run() -> None:
    """A regular expression of an agent could keep the service busy for ever."""
    endless = {"type": "string", "pattern": "^(a+)+$"}
    form = read_form("", {"type": "object", "properties": {"x": endless}})
    assert form.answer({"action": "accept", "content": {"x": "a" * 60 + "!"}})[0] == "accept"


def test_form_without_questions_is_a_confirmation() -> None:
    form = read_form("Go on?", {"type": "object", "properties": {}})
    assert [option["optionId"] for option in form.options()] == ["option_0", "reject"]
    assert form.answer({"option_id": "option_0"}) == ("accept", {})


def test_questions_with_one_text_have_names_of_their_own() -> None:
    same = {"type": "string", "title": "Host"}
    form = read_form("", {"type": "object", "properties": {"a": same, "b": same}})
    assert [question.text for question in form.questions] == ["Host", "Host (b)"]


@pytest.mark.parametrize(
    "described",
    [
        {"type": "string", "format": "password"},
        {"type": "string", "_meta": {"codex": {"isSecret": True}}},
        {"type": "string", "description": "x" * 70_000},
    ],
)
def test_form_that_people_must_not_be_shown_is_refused(described: JSON) -> None:
    with pytest.raises(FormRefused):
        read_form("", {"type": "object", "properties": {"x": described}})


def test_answer_to_a_masked_form_is_in_the_words_of_the_agent() -> None:
    asked = read_form("", CLAUDE)
    masked = {
        "type": "object",
        "properties": {
            **CLAUDE["properties"],
            "question_0": {**CLAUDE["properties"]["question_0"], "oneOf": options("***", "date-fns")},
            "question_1": {**CLAUDE["properties"]["question_1"], "items": {"anyOf": options("w", "i", "o")}},
        },
    }
    shown = read_form("", masked)
    content = {"question_0": "***", "question_1": ["w", "o"], "question_1_custom": "w"}
    assert shown.as_asked(content, asked) == {
        "question_0": "luxon",
        "question_1": ["web", "ios, old"],
        "question_1_custom": "w",
    }
