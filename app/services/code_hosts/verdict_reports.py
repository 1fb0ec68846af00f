"""Report verdicts to code hosts: a section of the pull request, and a check run or a status (contract 18.7).

A row is the outbox of each report. An outage costs nothing of the run: the row is due again until it is a day old.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.agents.errors import AgentError, RepositoryUnreachable
from app.clients.github.github_answers import GitHubAccess
from app.clients.github.github_client import MAX_PARALLEL_REQUESTS, GitHubClient
from app.clients.github.github_errors import GitHubError, GitHubUnavailable
from app.clock import utcnow
from app.config import Settings
from app.coroutines.periodic import attempt
from app.db import SessionFactory
from app.db.statements import count_changed, row_of, rows_of
from app.enums import Verdict
from app.json_types import JsonDict
from app.models import PushedBranch, Run, VerdictReport, Verification
from app.outages import is_outage
from app.schemas.runs.verifications import VerificationOut
from app.services.code_hosts.host_credentials import CodeHost, CodeHosts, HostAccess, read_code_host
from app.services.code_hosts.pull_request_lease import sole_writer
from app.services.code_hosts.section_marks import VERIFICATION
from app.services.retrying import due_rows
from app.services.retrying.policies import VERDICT_REPORT_LEASE, VERDICT_REPORT_SECONDS
from app.services.retrying.retries import in_transaction
from app.services.views.task_links import task_page
from app.services.views.verification_texts import heading_of, page_of

# Each report sends one request at a time, so half of the slots are left for the pull requests of runs.
_AT_ONCE: Final = MAX_PARALLEL_REQUESTS // 2
OWN_CHECK: Final = "taskbeacon"
# The conclusion of a check run and the state of a status, of which none is neutral; unchecked work gets no status.
_CONCLUSIONS: Mapping[str, tuple[str, str | None]] = {
    Verdict.VERIFIED: ("success", "success"),
    Verdict.REFUTED: ("failure", "failure"),
    Verdict.INCONCLUSIVE: ("neutral", "error"),
    Verdict.CLAIMED: ("skipped", None),
}
_OTHER = aliased(PushedBranch)
_IS_SAME_BRANCH = and_(_OTHER.repository == PushedBranch.repository, _OTHER.branch == PushedBranch.branch)
_LATER_RUNS = select(_OTHER.run_id).where(_IS_SAME_BRANCH, _OTHER.created_at > PushedBranch.created_at)

log = structlog.get_logger(__name__)


class _Due(NamedTuple):
    run_id: UUID
    asked_at: datetime
    # The end of the lease, which identifies the claim.
    due_at: datetime


class _Report(NamedTuple):
    run_id: UUID
    project_id: int
    task_id: UUID
    state: JsonDict
    repository: str
    branch: str
    shown: VerificationOut
    # Whether a run of the branch has put a section into the pull request before.
    had_section: bool
    # Whether no other run has pushed to the branch since.
    pushed_last: bool


async def report_due(sessions: SessionFactory, hosts: CodeHosts, settings: Settings) -> None:
    """Report the verdicts that are due now, a few at once; one that falls due meanwhile waits for the next call."""
    begun = utcnow()
    while claimed := await in_transaction(sessions, partial(claim, due_by=begun)):
        reports = (partial(_perform, sessions, hosts, settings, due) for due in claimed)
        await asyncio.gather(*(attempt(report, event="verdict_report.not_settled") for report in reports))


async def claim(session: AsyncSession, *, due_by: datetime) -> list[_Due]:
    waiting = (
        select(VerdictReport.run_id)
        .where(VerdictReport.due_at <= due_by)
        .order_by(VerdictReport.due_at)
        .limit(_AT_ONCE)
        .with_for_update(key_share=True, skip_locked=True)
    )
    claimed = due_rows.claim(VerdictReport, waiting, counts=False, due_at=utcnow() + VERDICT_REPORT_LEASE)
    columns = (VerdictReport.run_id, VerdictReport.asked_at, VerdictReport.due_at)
    return await rows_of(session, claimed.returning(*columns), _Due)


async def _perform(sessions: SessionFactory, hosts: CodeHosts, settings: Settings, due: _Due) -> None:
    branch_of = select(PushedBranch.repository, PushedBranch.branch).where(PushedBranch.run_id == due.run_id)
    try:
        branch = await in_transaction(sessions, lambda session: row_of(session, branch_of))
        if branch is not None:
            # Read under the lease, so that no process reports an older verdict after a newer one.
            async with sole_writer(sessions, *branch):
                found = await in_transaction(sessions, lambda session: _read(session, settings, due.run_id))
                if found is not None:
                    await _send(sessions, hosts, settings, *found)
    except (GitHubError, AgentError) as error:
        may_work_later = isinstance(error, GitHubUnavailable | RepositoryUnreachable)
        if may_work_later and utcnow() - due.asked_at < timedelta(seconds=VERDICT_REPORT_SECONDS):
            # The row is due again when its lease ends.
            log.info("verdict_report.delayed", run_id=str(due.run_id), error=repr(error))
            return
        log.warning("verdict_report.given_up", run_id=str(due.run_id), error=repr(error))
    except Exception as error:
        if is_outage(error):
            raise
        log.exception("verdict_report.failed", run_id=str(due.run_id))
    # If there is another verdict by now, the row has a new `due_at`, and stays due.
    settled = update(VerdictReport).where(
        VerdictReport.run_id == due.run_id, VerdictReport.due_at == due.due_at
    )
    await in_transaction(sessions, lambda session: count_changed(session, settled.values(due_at=None)))


async def _read(session: AsyncSession, settings: Settings, run_id: UUID) -> tuple[_Report, CodeHost] | None:
    had_section = (
        select(func.coalesce(func.bool_or(VerdictReport.has_section), False))
        .join(_OTHER, _OTHER.run_id == VerdictReport.run_id)
        .where(_IS_SAME_BRANCH)
        .correlate(PushedBranch)
        .scalar_subquery()
    )
    newest = (
        select(
            Run.id.label("run_id"),
            Run.project_id,
            Run.task_id,
            Run.state,
            PushedBranch.repository,
            PushedBranch.branch,
            Verification.shown,
            had_section.label("had_section"),
            (~_LATER_RUNS.correlate(PushedBranch).exists()).label("pushed_last"),
        )
        .join(PushedBranch, PushedBranch.run_id == Run.id)
        .join(Verification, Verification.run_id == Run.id)
        .where(Run.id == run_id, Verification.finished_at.is_not(None))
        .order_by(Verification.attempt.desc())
        .limit(1)
    )
    report = await row_of(session, newest, _Report)
    if report is None:
        return None
    host = await read_code_host(
        session, git_base_url=settings.git_base_url, run_id=run_id, state=report.state
    )
    return None if host.api_url is None else (report, host)


async def _send(
    sessions: SessionFactory, hosts: CodeHosts, settings: Settings, report: _Report, host: CodeHost
) -> None:
    assert host.api_url is not None
    token = await HostAccess(hosts, host, sessions).token()
    if token is None:
        return
    api, shown = GitHubAccess(host.api_url, token), report.shown
    commit, verdict = shown["commit"], shown["verdict"]
    assert commit is not None
    assert verdict is not None
    conclusion, state = _CONCLUSIONS[verdict]
    link = task_page(settings.task_url, report.project_id, report.task_id)
    if report.pushed_last and await _put_section(hosts.github, api, report, link):
        noted = update(VerdictReport).where(VerdictReport.run_id == report.run_id).values(has_section=True)
        await in_transaction(sessions, lambda session: count_changed(session, noted))
    title = heading_of(shown)
    if host.app is not None:
        check_run = {
            "name": OWN_CHECK,
            "external_id": str(report.run_id),
            "status": "completed",
            "conclusion": conclusion,
            "output": {"title": title, "summary": page_of(shown)},
        }
        at = {"details_url": link} if link else {}
        await hosts.github.put_check_run(api, report.repository, commit, check_run | at)
    elif state is not None:
        status = {"state": state, "context": OWN_CHECK, "description": title}
        at = {"target_url": link} if link else {}
        await hosts.github.create_status(api, report.repository, commit, status | at)


async def _put_section(github: GitHubClient, api: GitHubAccess, report: _Report, link: str) -> bool:
    # Returns whether the pull request has, or has had, a section about a verdict.
    found = await github.find_pull_request(api, report.repository, report.branch)
    if found is None:
        return False
    more = f"\n[The checks of this run]({link})" if link else ""
    section = VERIFICATION.wrap(page_of(report.shown) + more)
    if VERIFICATION.is_in(found.body):
        body = VERIFICATION.replace(found.body, section)
    elif report.had_section:
        # People have removed the section, so it is not written again.
        return True
    else:
        body = f"{found.body}\n\n{section}" if found.body else section
    if body != found.body:
        await github.update_pull_request(api, report.repository, found.number, body=body)
    return True
