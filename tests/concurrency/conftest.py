"""Here the application really commits, each unit of work on a connection of its own."""

import pytest

from app.db import SessionFactory


@pytest.fixture
def sessions(committed_sessions: SessionFactory) -> SessionFactory:
    return committed_sessions
