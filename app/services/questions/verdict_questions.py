"""Ask people what to do with the work of a run that is over and not verified (contract 15.14).

A run has at most one, open only while it is the latest of its task. Callers hold the lock on the run's row.
"""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.dialogue.shown_questions import ShownQuestion
from app.enums import QuestionKind, Urgency, Verdict, VerdictAnswer
from app.models import Question, Task
from app.schemas.runs.verifications import VerificationOut
from app.services.questions.question_lifecycle import digest_of, lock_asking, open_question, withdraw
from app.services.views.verification_texts import reasons_of, summarize

_URGENCY: Mapping[Verdict | None, Urgency] = {
    Verdict.REFUTED: Urgency.NORMAL,
    Verdict.INCONCLUSIVE: Urgency.LOW,
}
_OPTIONS = [
    {"optionId": VerdictAnswer.SEND_BACK, "name": "Send back", "kind": VerdictAnswer.SEND_BACK},
    {"optionId": VerdictAnswer.WAIVE, "name": "Waive", "kind": VerdictAnswer.WAIVE},
]


async def ask(session: AsyncSession, run_id: UUID, shown: VerificationOut) -> None:
    """Open the question about a run that ends with this verification, if its verdict calls for one."""
    asked = _question(shown)
    is_latest = select(Task.id).where(Task.latest_run_id == run_id, ~Task.archived, ~Task.deleted)
    if asked is not None and await session.scalar(is_latest) is not None:
        await open_question(session, run_id, asked, urgency=_URGENCY[shown["verdict"]])


async def renew(session: AsyncSession, run_id: UUID, shown: VerificationOut) -> None:
    """Show the verdict of a re-run in the open question about its run; withdraw it if that calls for none."""
    asked = _question(shown)
    if asked is None:
        await withdraw(session, [run_id], kind=QuestionKind.VERDICT)
        return
    values = {"title": asked.title, "detail": asked.shown_detail, "digest": digest_of(asked)}
    conditions = (Question.run_id == run_id, Question.kind == QuestionKind.VERDICT, Question.is_open())
    await session.execute(update(Question).where(*conditions).values(values))


async def withdraw_all(session: AsyncSession, tasks: Select[UUID]) -> None:
    """Withdraw the questions about `tasks`, whose runs this locks: the rows of the tasks are locked later."""
    await withdraw(session, await lock_asking(session, tasks), kind=QuestionKind.VERDICT)


def _question(shown: VerificationOut) -> ShownQuestion | None:
    words = summarize(shown)
    if words is None or shown["verdict"] not in _URGENCY or shown["waived"]:
        return None
    detail = reasons_of(shown)
    return ShownQuestion(kind=QuestionKind.VERDICT, title=words.capitalize(), detail=detail, options=_OPTIONS)
