"""Webhooks of code hosts."""

from collections.abc import Mapping
from uuid import UUID

from app.errors import BodyTooLarge, InvalidInput, PermissionDenied, Unavailable, UsageLimitExceeded
from app.schemas.webhooks import WebhookOut
from app.web.openapi.examples.operation import OperationExamples

__all__ = ["WEBHOOK_EXAMPLES"]

_STARTED: WebhookOut = {
    "status": "started",
    "reason": "Follow-up run 1 of 3.",
    "run": UUID("0199d5a0-7c11-7a52-8f3e-5b1c0d2e4f60"),
}

WEBHOOK_EXAMPLES: Mapping[str, OperationExamples] = {
    "webhooks_github_create": OperationExamples(
        answer=_STARTED,
        failures=(
            PermissionDenied("The signature does not fit."),
            InvalidInput("This header is required.", code="required", attr="X-GitHub-Delivery"),
            BodyTooLarge(5 * 2**20),
            Unavailable("The database does not answer. Please try again in a moment."),
        ),
        refusals={"The project is over its usage limit": UsageLimitExceeded(is_pro=False)},
    ),
}
