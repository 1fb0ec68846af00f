"""The developer's account in a development stack: organization, project, user and key, made at the first start.

It goes through the same `admin` commands that operators use, and is kept in the home folder so that later starts
show the same key.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from app.devstack.errors import DevstackError
from app.devstack.home import Home, read_json, write_json

__all__ = ["Account", "ensure_account"]

Admin = Callable[[Sequence[str]], dict[str, Any]]  # Any: the JSON object that an admin command prints


@dataclass(frozen=True, slots=True)
class Account:
    """Who a developer is in the stack."""

    project_id: int
    user_id: int
    api_key: str


def ensure_account(home: Home, *, admin: Admin, is_accepted: Callable[[str], bool]) -> Account:
    """Return the kept account, or make what is missing of it.

    A kept key may have been revoked, or belong to a database that is gone; then a new one is made. Each part is
    written down as it is made, so an interrupted start goes on where it was. Raises DevstackError.
    """
    kept = read_json(home.account_json)
    if "api_key" in kept and not is_accepted(str(kept["api_key"])):
        del kept["api_key"]
        try:
            return _complete(home, kept, admin)
        except DevstackError:
            kept = {}  # another database: its users are not ours
    return _complete(home, kept, admin)


def _complete(home: Home, kept: dict[str, Any], admin: Admin) -> Account:
    def keep(name: str, value: object) -> None:
        kept[name] = value
        write_json(home.account_json, kept)

    if "organization" not in kept:
        keep("organization", admin(["create-organization", "--name", "Development"])["id"])
    if "project_id" not in kept:
        organization = str(kept["organization"])
        project = admin(["create-project", "--name", "Playground", "--organization", organization])
        keep("project_id", project["id"])
    if "user_id" not in kept:
        # Unique, since this database may remember an earlier home folder.
        email = f"developer-{secrets.token_hex(3)}@example.com"
        command = ["create-user", "--email", email, "--first-name", "Dev", "--last-name", "Eloper", "--staff"]
        keep("user_id", admin([*command, "--project", str(kept["project_id"])])["id"])
    if "api_key" not in kept:
        command = [
            "create-key",
            "--user",
            str(kept["user_id"]),
            "--scope",
            "*",
            "--label",
            "development stack",
        ]
        keep("api_key", admin(command)["value"])
    return Account(int(kept["project_id"]), int(kept["user_id"]), str(kept["api_key"]))
