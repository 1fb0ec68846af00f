"""The changes of a run to its repository, file by file (contract 17.9)."""

from datetime import datetime
from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from app.enums import DiffBase, DiffMissing, DiffSource
from app.schemas.base import QueryInput, doc
from app.schemas.fields import Choice, Integer, Text

_MAX_OFFSET = 2**53


class SourceQuery(QueryInput):
    """The query parameters that select changes of a run."""

    source: Annotated[
        DiffSource,
        Choice(of=DiffSource, named=True),
        doc(
            "`stored`: the changes at the end; `live`: those of the workspace now; `auto`: `live` if there is one."
        ),
    ] = DiffSource.STORED
    base: Annotated[
        DiffBase,
        Choice(of=DiffBase, named=True),
        doc(
            "What is compared with. `start`: the commit that the work began from; `first`: that of the first run on "
            "the branch which the run continues; `branch`: the tip that the branch it began from has now, which is "
            "live."
        ),
    ] = DiffBase.START


class DiffQuery(SourceQuery):
    """The query parameters that select a page of the files that a run changed."""

    cursor: Annotated[int, Integer(minimum=0, maximum=_MAX_OFFSET), doc("`next` of the previous page.")] = 0


class FileTextQuery(SourceQuery):
    """The query parameters that select a file that a run changed."""

    path: Annotated[
        str,
        Text(max_length=1000, verbatim=True),
        doc("`path` or `old_path` of a changed file.", "src/login.py"),
    ]


class ChangeTotals(TypedDict):
    """The numbers of changed files, and of their added and deleted lines."""

    files: Annotated[int, Field(examples=[2])]
    additions: Annotated[int, Field(examples=[14])]
    deletions: Annotated[int, Field(examples=[3])]


class FileDiff(TypedDict):
    """A file that a run changed, with its part of the patch."""

    path: Annotated[str, Field(examples=["src/login.py"])]
    old_path: Annotated[str | None, doc("The former path of a renamed file.")]
    status: Annotated[Literal["A", "M", "D", "R"], doc("Added, modified, deleted or renamed.", "M")]
    additions: Annotated[int, doc("Number of lines, for a text file.", 1)]
    deletions: Annotated[int, doc("Number of lines, for a text file.", 1)]
    binary: Annotated[bool, Field(examples=[False])]
    old_size: Annotated[int | None, doc("Bytes of a binary file before, if the patch says so.")]
    new_size: Annotated[int | None, doc("Bytes of a binary file after, if the patch says so.")]
    patch: NotRequired[
        Annotated[
            str,
            doc(
                "The file's part of the patch, at most 256 KiB; absent for a binary file.",
                "diff --git a/src/login.py b/src/login.py\n@@ -1 +1 @@\n-old\n+new\n",
            ),
        ]
    ]
    truncated: Annotated[bool, doc("Whether `patch` is cut off.", False)]


class DiffFacts(TypedDict):
    """What is known of changes beside the files."""

    tree: Annotated[str | None, doc("A word that stays the same as long as the changes do.")]
    at: Annotated[datetime | None, doc("When the workspace was looked at.")]
    totals: Annotated[ChangeTotals | None, doc("The numbers of all pages, if they are known.")]
    left_out: Annotated[list[str], doc("What the changes lack.")]
    missing: Annotated[DiffMissing | None, doc("Why there are no changes to show; null if that is not so.")]
    behind: Annotated[
        int | None,
        doc(
            "Number of commits that the base has now and the work had not when it began, of `base=branch`.", 3
        ),
    ]


class DiffOut(DiffFacts):
    """A page of the files that a run changed."""

    base: Annotated[str | None, doc("The branch that the run started from, if it is known.", "main")]
    head: Annotated[
        str | None,
        doc("The commit that the run pushed, if it did.", "9fceb02d0ae598e95dc970b74767f19372d61af8"),
    ]
    files: Annotated[list[FileDiff], doc("The changed files, in the order of the patch.")]
    source: Annotated[Literal["stored", "live"], doc("Which changes these are.")]
    next: Annotated[str | None, doc("`cursor` of the next page; null on the last page.")]


class FileTextOut(TypedDict):
    """The text that a changed file had where the work began."""

    path: Annotated[str, Field(examples=["src/login.py"])]
    tree: Annotated[str | None, doc("`tree` of the changes that it belongs to.")]
    text: Annotated[str | None, doc("The text; null if `missing` says why.", "old\n")]
    missing: Annotated[DiffMissing | None, doc("Why there is no text to show.")]
