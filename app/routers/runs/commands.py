"""Route that sends commands to the agent of a live run (contract 6.4, 13.6)."""

from fastapi import APIRouter

from app.schemas.errors import StateRefusedOut
from app.schemas.runs.commands import CommandIn, CommandOut
from app.services.runs import command_acceptance
from app.web.auth import TaskWrite
from app.web.body import Body
from app.web.dependencies import RUN_URL, RunId, TaskId
from app.web.idempotency import OnceDep
from app.web.openapi.errors import refused
from app.web.responses import Json
from app.web.unit_route import UnitRoute

router = APIRouter(prefix=RUN_URL, tags=["runs"], route_class=UnitRoute)


@router.post(
    "/command",
    summary="Send a command to a running agent",
    responses=refused(StateRefusedOut),
)
async def send_command(
    call: TaskWrite, body: Body[CommandIn], task_id: TaskId, run_id: RunId, once: OnceDep
) -> Json[CommandOut]:
    """Send a command to the agent of a live run.

    - `user_message`: a message for the agent. While the agent is busy, messages are queued; it gets them in
      order, each after it has finished with the previous one.
      `steer: true` places it before messages without. An agent that can be steered gets messages in the middle of its
      turn, but those with `steer: false` after it.
    - `queue_get`: show the messages that the agent has not been given yet.
    - `queue_clear`: take them, or the one with this `command_id`, out of the queue, and show them. Their progress ends
      as `dropped`, with the reason `cleared`. Other commands stay.
    - `cancel`: end the current turn. A background run without a queued message then ends as `cancelled`; an
      interactive run waits for the next message.
    - `close`: end the conversation. A run that waits for a message is completed with its work so far; in the
      middle of a turn it is cancelled, and all processes of the agent end within two seconds.
    - `permission_response`: answer the request in the run's `state.waiting_for`. Only the first answer is used.
    - `set_config_option`: set an option of the agent, such as its `mode` or `model`.
    - `skip_verification`: end the checks of a run that waits for them, and complete the run. Its verdict is `claimed`.

    While a run is being verified, `cancel` cancels the run, and other commands find no agent.

    A run that acts with a member's GitHub account or private sandbox environment accepts `cancel` and `close` from
    every member of the project, and the other commands from that member alone.

    The response does not wait for the agent. The progress of the command is written to the log and the stream of the
    run, as entries of the method `_taskbeacon/command`: `accepted`, `delivered`, then `consumed`, or `dropped` with a
    `reason`.
    """
    return await once(
        lambda: command_acceptance.send_command(
            call.session, call.caller, task_id, run_id, body, call.process
        )
    )
