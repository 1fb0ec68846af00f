"""Claims of pushes that are due; how they end is tested in tests/contract/pushes."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import NotificationDecision
from app.models import Project, User
from app.services.notifications.push_claims import claim_due
from app.services.retrying.policies import PUSH_CLAIMS
from tests.support.database.faults import rolled_back
from tests.support.devices import make_device, make_pending, notifications_of
from tests.support.factories import make_task


@pytest.mark.parametrize(("claims", "is_given_up"), [(PUSH_CLAIMS - 1, False), (PUSH_CLAIMS, True)])
async def test_push_is_logged_as_given_up_once_it_is(
    sessions: SessionFactory,
    session: AsyncSession,
    project: Project,
    owner: User,
    caplog: pytest.LogCaptureFixture,
    claims: int,
    is_given_up: bool,
) -> None:
    task = await make_task(session, project=project, created_by=owner)
    device = await make_device(session, user=owner)
    await make_pending(session, task=task, device=device, attempts=claims)
    for transaction, logged in ((rolled_back, 0), (unit_of_work, 1)):
        async with transaction(sessions) as own:
            assert len((await claim_due(own)).deliveries) == (not is_given_up)
        assert caplog.text.count("push.results_lost") == logged * is_given_up
    [row] = await notifications_of(sessions, task)
    given_up = (NotificationDecision.GIVEN_UP, "results_lost")
    assert ((row.decision, row.reason) == given_up) is is_given_up
