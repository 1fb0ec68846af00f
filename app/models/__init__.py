"""All tables, imported so that the metadata is complete."""

from app.models.api_keys import ApiKey
from app.models.base import Base
from app.models.integrations import Integration, SignalReport, SignalReportTask, UserIntegration
from app.models.projects import Membership, Organization, Project, TaskCounter
from app.models.runs import Run
from app.models.tasks import Task
from app.models.users import User

__all__ = [
    "ApiKey",
    "Base",
    "Integration",
    "Membership",
    "Organization",
    "Project",
    "Run",
    "SignalReport",
    "SignalReportTask",
    "Task",
    "TaskCounter",
    "User",
    "UserIntegration",
]
