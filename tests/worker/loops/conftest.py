"""A webhook endpoint whose messages the test reads."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Project, User, WebhookEndpoint
from tests.support.stand_ins.receiver import Receiver
from tests.support.webhooks import make_endpoint


@pytest.fixture
async def endpoint(
    session: AsyncSession, project: Project, owner: User, receiver: Receiver
) -> WebhookEndpoint:
    """An endpoint of the owner at the receiver. A test that stops the clock names it behind the clock."""
    made, _ = await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    return made
