"""The chore that fetches the receipts of Expo. Several workers may do it at once."""

from collections.abc import Mapping

import structlog

from app.clients.pushes.push import PushUnavailable
from app.db import unit_of_work
from app.runtime import ProcessContext
from app.services.notifications import push_receipts
from app.worker.worker_context import worker_context

log = structlog.get_logger(__name__)


async def fetch_receipts(ctx: Mapping[str, object]) -> None:
    await fetch_due(worker_context(ctx).process)


async def fetch_due(process: ProcessContext) -> int:
    """Fetch and store the due receipts of Expo, unless it is unavailable; return how many were asked for."""
    asked = 0
    while True:
        async with unit_of_work(process.sessions) as session:
            tickets = await push_receipts.claim_receipts(session)
        if not tickets:
            return asked
        try:
            answers = await process.push().receipts.fetch_receipts([ticket.ticket_id for ticket in tickets])
        except PushUnavailable as error:
            log.warning("push.receipts_unavailable", reason=str(error), tickets=len(tickets))
            return asked
        async with unit_of_work(process.sessions) as session:
            await push_receipts.settle_receipts(session, tickets, answers)
        asked += len(tickets)
