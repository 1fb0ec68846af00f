"""Arguments of tool calls, as an agent sends them and as people see them."""

import pytest
from pydantic import BaseModel

from app.agents.tools.arguments import WrongArguments, in_one_line, read


class Given(BaseModel):
    names: list[str]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": ["a", 1]}, "names.1: Input should be a valid string"),
        ({}, "names: Field required"),
        (None, "arguments: Input should be a valid dictionary"),
    ],
)
def test_first_fault_is_named_with_its_place(arguments: object, message: str) -> None:
    with pytest.raises(WrongArguments, match=f"^{message}"):
        read(Given, arguments)


def test_text_is_one_line_in_which_no_secret_hides() -> None:
    """A character that is not shown could divide a secret."""

    def mask(text: str) -> str:
        return text.replace("secret", "***")

    assert in_one_line(" se\u200bcret\n and\tsecret ", mask) == "*** and ***"
