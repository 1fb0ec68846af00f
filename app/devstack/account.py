"""The developer's account in a development stack: organization, project, user and key, made at first start.

It is stored in the home folder, so that later starts show the same key. A separate program makes it in one
transaction (`python -m app.devstack.new_account`): most of the cost is loading that program's modules.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from app.devstack.errors import DevstackError
from app.devstack.home import Home, read_json, write_json

# Takes the earlier account or None, returns the JSON object that the program prints.
Make = Callable[["Account | None"], dict[str, Any]]  # Any: a JSON object


@dataclass(frozen=True, slots=True)
class Account:
    """The developer's account in a development stack: the ids of its user and project, and an API key in plain text."""

    project_id: int
    user_id: int
    api_key: str


def read_account(home: Home) -> Account | None:
    """Return the developer's account that an earlier start of the stack stored, or None if none is stored."""
    try:
        return _account(read_json(home.account_json))
    except (KeyError, TypeError, ValueError):
        return None


def renew_account(home: Home, kept: Account | None, *, make: Make) -> Account:
    """Return the developer's account with a new API key, and store it in the home folder."""
    made = make(kept)
    try:
        account = _account(made)
    except (KeyError, TypeError, ValueError) as error:
        raise DevstackError(f"making the developer's account printed no account: {error!r}") from error
    write_json(home.account_json, asdict(account))
    return account


def _account(value: dict[str, Any]) -> Account:
    return Account(int(value["project_id"]), int(value["user_id"]), str(value["api_key"]))
