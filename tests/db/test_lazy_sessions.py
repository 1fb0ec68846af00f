"""A lazy session is an ordinary one from the first use of the ORM on."""

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db.lazy_sessions import LazySession, is_made
from app.db.transactions import Transaction


def test_lazy_session_has_the_attributes_of_an_ordinary_one_and_reads_none_too_early(
    engine: AsyncEngine,
) -> None:
    """Python does not ask for an attribute that the class has, too: a new one of SQLAlchemy's would be missed."""
    ordinary = vars(AsyncSession(sync_session_class=AsyncSession.sync_session_class))
    lazy = LazySession(Transaction(engine.sync_engine), {})

    assert vars(lazy).keys() == {"info"}
    assert lazy.sync_session.info is lazy.info
    assert is_made(lazy)
    assert vars(lazy).keys() - {"info"} == ordinary.keys()
    # Only `__init__` reads the class of the inner session.
    assert {name for name in ordinary if hasattr(AsyncSession, name)} == {"sync_session_class"}
