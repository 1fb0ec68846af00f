"""The database: engine, units of work, and statements with typed rows."""

from app.db.engine import create_engine
from app.db.units_of_work import (
    SessionFactory,
    after_commit,
    create_session_factory,
    release,
    undivided,
    unit_of_work,
)

__all__ = [
    "SessionFactory",
    "after_commit",
    "create_engine",
    "create_session_factory",
    "release",
    "undivided",
    "unit_of_work",
]
