"""Chooses the author of a run's commits, and the name of its branch."""

from uuid import UUID

from app.agents.git.run_repository import Author
from app.enums import PrAuthorshipMode
from app.models.runs.run_facts import AUTHORSHIP
from app.services.code_hosts.branch_records import BRANCH_PREFIX
from app.services.runs.run_spec import RunSpec

_SHORT_ID_LENGTH = 8


def commit_author(run: RunSpec) -> Author:
    """Return the person of a run that is to commit as its person, else the service."""
    person = run.person
    if run.state.get(AUTHORSHIP) != PrAuthorshipMode.USER or person is None:
        return Author()
    name = " ".join(f"{person.first_name} {person.last_name}".split())
    return Author(name=name or person.email, email=person.email)


def new_branch_name(slug: str, run_id: UUID) -> str:
    # The last digits of the id are random; ids of the same minute begin alike.
    return f"{BRANCH_PREFIX}{slug.lower()}-{run_id.hex[-_SHORT_ID_LENGTH:]}"
