"""Check that the integrations and the signal report of a task exist and may be used for it (contract 5.2)."""

from typing import NamedTuple

from sqlalchemy import ColumnElement, ScalarSelect, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import CodeHostKind, OriginProduct
from app.errors import InvalidInput
from app.ids import MAX_BIGINT
from app.models import Integration, SignalReport, UserIntegration
from app.schemas.tasks import TaskIn
from app.services.access.principal import Principal
from app.statements import Prepared


async def require_references(
    session: AsyncSession, caller: Principal, body: TaskIn, *, updating: bool = False
) -> None:
    """Check the integrations and the signal report that a request for a task refers to."""
    owners = await _owners(session, body)
    for field, owner, refusal in (
        ("github_integration", caller.project.id, "Integration must belong to the same team"),
        ("github_user_integration", caller.user_id, "User integration must belong to the authenticated user"),
        ("signal_report", caller.project.id, "Signal report must belong to the same team"),
    ):
        key = getattr(body, field)
        if key is None:
            continue
        actual = getattr(owners, field)
        if actual is None:
            raise InvalidInput(
                f'Invalid pk "{key}" - object does not exist.', code="does_not_exist", attr=field
            )
        if actual != owner:
            raise InvalidInput(refusal, attr=field)
    if not updating:
        _require_origin(body)


def _require_origin(body: TaskIn) -> None:
    from_report = body.origin_product is OriginProduct.SIGNAL_REPORT
    if body.signal_report_task_relationship is not None:
        if body.signal_report is None:
            raise InvalidInput("Requires signal_report when set.", attr="signal_report_task_relationship")
        if not from_report:
            raise InvalidInput(
                "Requires origin_product signal_report when set.", attr="signal_report_task_relationship"
            )
    require_team_integration(body, body.origin_product)


def require_team_integration(body: TaskIn, origin: str) -> None:
    """Check that a task from a signal report does not use a personal integration of the caller (contract 5.2)."""
    if origin == OriginProduct.SIGNAL_REPORT and body.github_user_integration is not None:
        raise InvalidInput(
            "Signal report tasks use the team GitHub integration.", attr="github_user_integration"
        )


class _Owners(NamedTuple):
    """The id of the owner of each object that a request for a task names."""

    github_integration: int | None = None
    github_user_integration: int | None = None
    signal_report: int | None = None


_OWNERS = Prepared(
    select(
        select(Integration.project_id)
        .where(Integration.id == bindparam("github_integration"))
        .scalar_subquery()
        .label("github_integration"),
        select(UserIntegration.user_id)
        .where(UserIntegration.id == bindparam("github_user_integration"))
        .scalar_subquery()
        .label("github_user_integration"),
        select(SignalReport.project_id)
        .where(SignalReport.id == bindparam("signal_report"))
        .scalar_subquery()
        .label("signal_report"),
    ),
    _Owners,
)


async def _owners(session: AsyncSession, body: TaskIn) -> _Owners:
    integration = body.github_integration
    references = {
        # Larger numbers do not fit the column, so no integration has them.
        "github_integration": None if integration is None or abs(integration) > MAX_BIGINT else integration,
        "github_user_integration": body.github_user_integration,
        "signal_report": body.signal_report,
    }
    if not any(key is not None for key in references.values()):
        return _Owners()
    return await _OWNERS.one(session, references)


def default_github_integration(project_id: ColumnElement[int]) -> ScalarSelect[int]:
    """Return the SQL subquery for the id of a project's first GitHub integration, the default of new tasks."""
    return (
        select(Integration.id)
        .where(Integration.project_id == project_id, Integration.kind == CodeHostKind.GITHUB)
        .order_by(Integration.id)
        .limit(1)
        .scalar_subquery()
    )
