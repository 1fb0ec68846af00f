"""What people tell the agent of a live run."""

from collections.abc import Mapping

from app.errors import StateRefused
from app.schemas.run_commands import CommandIn
from app.web.openapi.examples.documents import PATCH
from app.web.openapi.examples.operation import OperationExamples

__all__ = ["COMMAND_EXAMPLES"]

_FILE_ID = PATCH["id"]

COMMAND_EXAMPLES: Mapping[str, OperationExamples] = {
    "tasks_runs_command_create": OperationExamples(
        answer={"jsonrpc": "2.0", "result": {"queued": True}, "id": 1},
        bodies={
            "A message": {
                "jsonrpc": "2.0",
                "method": "user_message",
                "params": {"content": "Keep the old page, too."},
                "id": 1,
            },
            "A message with a file of the run": {
                "jsonrpc": "2.0",
                "method": "user_message",
                "params": {"content": "Like in this picture.", "artifact_ids": [_FILE_ID]},
            },
            "A message in blocks": {
                "jsonrpc": "2.0",
                "method": "user_message",
                "params": {
                    "content": [
                        {"type": "text", "text": "Follow this guide:"},
                        {
                            "type": "resource_link",
                            "name": "guide",
                            "uri": "https://docs.example.com/guide",
                        },
                    ]
                },
            },
            "Leave the turn": {"jsonrpc": "2.0", "method": "cancel"},
            "End the conversation": {"jsonrpc": "2.0", "method": "close"},
            "Answer a permission request": {
                "jsonrpc": "2.0",
                "method": "permission_response",
                "params": {"requestId": "0f3c9d1b7a5e4c2d8b6a4f2e1d3c5b7a", "optionId": "allow_once"},
                "id": "answer-1",
            },
            "Set an option": {
                "jsonrpc": "2.0",
                "method": "set_config_option",
                "params": {"configId": "mode", "value": "plan"},
            },
        },
        refused=(CommandIn, {"jsonrpc": "2.0", "method": "dance"}),
        refusals={
            "No worker has an agent for this run now": StateRefused("No active sandbox for this task run"),
            "A file is not one of the run's": StateRefused(
                "Some artifact_ids are invalid for this run", missing_artifact_ids=[_FILE_ID]
            ),
            "The environment of the run is another member's own": StateRefused(
                "This run is in another member's private sandbox environment: only they can steer it."
            ),
        },
    ),
}
