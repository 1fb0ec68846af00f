"""The developer's account in a development stack: project, user and key, made at first start and kept in the home.

A separate program makes it (`app/devstack/new_account.py`), because most of the cost is loading that program's modules.
"""

import json
from dataclasses import asdict, dataclass

from app.devstack.home import Home, read_json, write_json


@dataclass(frozen=True, slots=True)
class Account:
    """The ids of the developer's project and user, and an API key in plain text."""

    project_id: int
    user_id: int
    api_key: str


def read_account(home: Home) -> Account | None:
    """Return the stored account, or None. Its key may be invalid, because the database may have been replaced."""
    try:
        kept = read_json(home.account_json)
        return Account(int(kept["project_id"]), int(kept["user_id"]), str(kept["api_key"]))
    except (KeyError, TypeError, ValueError):
        return None


def keep_account(home: Home, printed: str) -> Account:
    """Store the account that `new_account` has printed."""
    account = Account(**json.loads(printed))
    write_json(home.account_json, asdict(account))
    return account
