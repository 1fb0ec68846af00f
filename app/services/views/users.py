"""Show the user that created a database row as the API does, from columns of the same statement (contract 3.2)."""

from collections.abc import Mapping
from typing import Any

from app.models import User
from app.schemas.users import UserBasic

_FIELDS = (
    User.id,
    User.uuid,
    User.distinct_id,
    User.first_name,
    User.last_name,
    User.email,
    User.is_email_verified,
    User.hedgehog_config,
    User.role_at_organization,
)
_PREFIX = "creator_"

# For a statement that is joined with `User`.
CREATOR_COLUMNS = [column.label(f"{_PREFIX}{column.key}") for column in _FIELDS]


def user_basic(values: Mapping[Any, Any]) -> UserBasic | None:
    """Return the creator of a database row as the API shows users, from the row's `CREATOR_COLUMNS`.

    Return None if the account was deleted.
    """
    if values["creator_id"] is None:
        return None
    return {
        "id": values["creator_id"],
        "uuid": values["creator_uuid"],
        "distinct_id": values["creator_distinct_id"],
        "first_name": values["creator_first_name"],
        "last_name": values["creator_last_name"],
        "email": values["creator_email"],
        "is_email_verified": values["creator_is_email_verified"],
        "hedgehog_config": values["creator_hedgehog_config"],
        "role_at_organization": values["creator_role_at_organization"],
    }
