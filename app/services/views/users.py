"""Show the user that created a database row as the API does, from columns of the same statement (contract 3.2)."""

from typing import NamedTuple, cast
from uuid import UUID

from app.json_types import JsonDict
from app.models import User
from app.schemas.users import UserBasic


class Creator(NamedTuple):
    """The user that created a row; None in rows whose user was deleted."""

    id: int
    uuid: UUID
    distinct_id: str
    first_name: str
    last_name: str
    email: str
    is_email_verified: bool | None
    hedgehog_config: JsonDict | None
    role_at_organization: str | None


# For a statement that is joined with `User`. Its rows have a field `creator`.
CREATOR_COLUMNS = [getattr(User, name).label(f"creator_{name}") for name in Creator._fields]


def user_basic(creator: Creator) -> UserBasic:
    return cast("UserBasic", creator._asdict())
