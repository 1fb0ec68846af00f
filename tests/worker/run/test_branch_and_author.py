"""The author of a run's commits (contract 13.3), and the name of its branch."""

from typing import Any
from uuid import UUID

import pytest

from app.agents.git.run_repository import Author
from app.services.runs.run_spec import Person, RunSpec
from app.worker.run.branch_and_author import commit_author, new_branch_name


def claimed(*, person: Person | None, **state: Any) -> RunSpec:
    values = {**dict.fromkeys(RunSpec._fields), "state": state, "person": person}
    return RunSpec(**values)  # type: ignore[arg-type] # columns that the author does not depend on


ADA = Person("ada@example.com", "Ada", "Lovelace")


@pytest.mark.parametrize(
    ("person", "mode", "author"),
    [
        (ADA, "user", Author("Ada Lovelace", "ada@example.com")),
        (Person("ada@example.com", " ", ""), "user", Author("ada@example.com", "ada@example.com")),
        (ADA, "bot", Author()),
        (ADA, None, Author()),
        (None, "user", Author()),
    ],
)
def test_author_is_the_person_where_the_run_is_theirs(
    person: Person | None, mode: str | None, author: Author
) -> None:
    assert commit_author(claimed(person=person, pr_authorship_mode=mode)) == author


def test_branch_is_named_by_the_end_of_the_id() -> None:
    run_id = UUID("019ca8a6-9a40-7d11-8a5b-6c7d8e9f0a1b")
    assert new_branch_name("TES-12", run_id) == "taskbeacon/tes-12-8e9f0a1b"
