"""The developer's account in a development stack: project, user and key, made at first start and kept in the home.

A separate program makes it (`app/devstack/new_account.py`), because most of the cost is loading that program's modules.
"""

import json
from dataclasses import asdict, dataclass

from app.devstack.errors import DevstackError
from app.devstack.home import Home, read_json, write_json
from app.json_types import JsonDict


@dataclass(frozen=True, slots=True)
class Account:
    """The ids of the developer's project and user, and an API key in plain text."""

    project_id: int
    user_id: int
    api_key: str


def read_account(home: Home) -> Account | None:
    """Return the stored account, or None. Its key may be invalid, because the database may have been replaced."""
    try:
        return _account(read_json(home.account_json))
    except (KeyError, TypeError, ValueError):
        return None


def keep_account(home: Home, printed: str) -> Account:
    try:
        account = _account(json.loads(printed))
    except (KeyError, TypeError, ValueError):
        # Without the output and the error, which may contain the key.
        raise DevstackError("making the developer's account printed no account") from None
    write_json(home.account_json, asdict(account))
    return account


def _account(value: JsonDict) -> Account:
    return Account(int(value["project_id"]), int(value["user_id"]), str(value["api_key"]))
