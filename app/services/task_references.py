"""What a task may point to: it must exist, and belong to the project or to the caller (contract 5.2)."""

from typing import Any

from sqlalchemy import ScalarSelect, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import OriginProduct
from app.errors import InvalidInput
from app.models import Integration, SignalReport, UserIntegration
from app.schemas.tasks import TaskIn
from app.services.access import Principal

__all__ = ["GITHUB", "default_github_integration", "require_references"]

GITHUB = "github"
_MAX_BIGINT = 2**63 - 1


async def require_references(
    session: AsyncSession, caller: Principal, body: TaskIn, *, updating: bool = False
) -> None:
    """Check everything the body points to, with one statement at most, in the order of the fields.

    Raises:
        InvalidInput: a reference is unknown, foreign, or does not go with the origin.

    """
    owners = await _owners(session, body)
    for field, owner, refusal in (
        ("github_integration", caller.project.id, "Integration must belong to the same team"),
        ("github_user_integration", caller.user_id, "User integration must belong to the authenticated user"),
        ("signal_report", caller.project.id, "Signal report must belong to the same team"),
    ):
        key = getattr(body, field)
        if key is None:
            continue
        if owners[field] is None:
            raise InvalidInput(
                f'Invalid pk "{key}" - object does not exist.', code="does_not_exist", attr=field
            )
        if owners[field] != owner:
            raise InvalidInput(refusal, attr=field)
    if not updating:
        _require_origin(body)


def _require_origin(body: TaskIn) -> None:
    """Check the rules that join fields; they speak of creation only, since an update ignores these fields."""
    from_report = body.origin_product is OriginProduct.SIGNAL_REPORT
    if body.signal_report_task_relationship is not None:
        if body.signal_report is None:
            raise InvalidInput("Requires signal_report when set.", attr="signal_report_task_relationship")
        if not from_report:
            raise InvalidInput(
                "Requires origin_product signal_report when set.", attr="signal_report_task_relationship"
            )
    if from_report and body.github_user_integration is not None:
        raise InvalidInput(
            "Signal report tasks use the team GitHub integration.", attr="github_user_integration"
        )


async def _owners(session: AsyncSession, body: TaskIn) -> dict[str, Any]:
    """Return who owns each thing the body points to, None for what does not exist."""
    lookups: dict[str, ScalarSelect[Any]] = {}
    if body.github_integration is not None and abs(body.github_integration) <= _MAX_BIGINT:
        lookups["github_integration"] = (
            select(Integration.project_id).where(Integration.id == body.github_integration).scalar_subquery()
        )
    if body.github_user_integration is not None:
        lookups["github_user_integration"] = (
            select(UserIntegration.user_id)
            .where(UserIntegration.id == body.github_user_integration)
            .scalar_subquery()
        )
    if body.signal_report is not None:
        lookups["signal_report"] = (
            select(SignalReport.project_id).where(SignalReport.id == body.signal_report).scalar_subquery()
        )
    owners: dict[str, Any] = dict.fromkeys(("github_integration", "github_user_integration", "signal_report"))
    if lookups:
        row = (await session.execute(select(*(lookup.label(name) for name, lookup in lookups.items())))).one()
        owners |= row._mapping  # noqa: SLF001 - SQLAlchemy's public accessor, spelled with an underscore
    return owners


def default_github_integration(project_id: int) -> ScalarSelect[int]:
    """Return the project's first GitHub integration, for tasks that name none."""
    return (
        select(Integration.id)
        .where(Integration.project_id == project_id, Integration.kind == GITHUB)
        .order_by(Integration.id)
        .limit(1)
        .scalar_subquery()
    )
