"""Routes that answer and snooze questions of agents, and follow tasks (contract 15)."""

from fastapi import APIRouter

from app.schemas.errors import StateRefusedOut
from app.schemas.questions import AnsweredOut, AnswerIn, QuestionList, QuestionOut, SnoozeIn
from app.services.inbox import answer_acceptance, inbox_questions
from app.services.tasks import follows
from app.web.auth import TaskRead, TaskWrite
from app.web.body import Body
from app.web.dependencies import QuestionId, RunId, TaskId
from app.web.idempotency import OnceDep
from app.web.openapi.errors import errors, refused, settled
from app.web.responses import Json
from app.web.unit_route import UnitRoute

_QUESTION = "/questions/{question_id}"
_FOLLOW = "/tasks/{task_id}/follow"

router = APIRouter(prefix="/api/projects/{project_id}", tags=["inbox"], route_class=UnitRoute)


@router.get("/tasks/{task_id}/runs/{run_id}/questions", summary="List the questions of a run")
async def list_questions(call: TaskRead, task_id: TaskId, run_id: RunId) -> QuestionList:
    """Return the newest 100 questions of the run, open and closed, as rows of the inbox."""
    rows = await inbox_questions.list_questions(
        call.session, call.caller, task_id, run_id, link=call.process.settings.task_url
    )
    return {"results": rows}


@router.post(
    _QUESTION + "/answer",
    summary="Answer a question",
    responses=refused(StateRefusedOut) | settled(409, 410),
)
async def answer_question(
    call: TaskWrite, body: Body[AnswerIn], question_id: QuestionId, once: OnceDep
) -> Json[AnsweredOut]:
    """Answer a question: with `option_id` (permission, verdict), `action` (form, url) or `text` (message).

    The first answer closes the question. If any member sends the same answer again, nothing changes, and the response
    has `repeated`; another answer is refused. Send `digest` to make sure that the question has not changed since it was
    shown. A member who answers follows the task from then on.
    """
    return await once(
        answer_acceptance.prepare_answer(call.session, call.caller, question_id, body, call.process)
    )


@router.post(
    _QUESTION + "/snooze",
    summary="Snooze a question",
    response_description="The question, which stays in the inbox.",
    responses=errors(409) | settled(410),
)
async def snooze_question(
    call: TaskWrite, body: Body[SnoozeIn], question_id: QuestionId, once: OnceDep
) -> Json[QuestionOut]:
    """Suspend the caller's notifications about a question for up to a day. The question stays in the inbox."""
    return await once(
        lambda: inbox_questions.snooze_question(
            call.session, call.caller, question_id, body, settings=call.process.settings
        )
    )


@router.put(
    _FOLLOW,
    summary="Follow a task",
    response_description="The task's questions are in the caller's inbox.",
)
async def follow_task(call: TaskWrite, task_id: TaskId) -> None:
    """Add the questions of another person's task to the caller's inbox.

    Pushes still go to the task's creator only.
    """
    await follows.follow_task(call.session, call.caller, task_id)


@router.delete(
    _FOLLOW,
    summary="Unfollow a task",
    response_description="The task's questions are not in the caller's inbox, unless they created it.",
)
async def unfollow_task(call: TaskWrite, task_id: TaskId) -> None:
    """Remove the questions of a followed task from the caller's inbox."""
    await follows.unfollow_task(call.session, call.caller, task_id)
