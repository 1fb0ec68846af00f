"""The changes of a run to its repository, file by file (contract 17.9)."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from app.schemas.base import QueryInput, doc
from app.schemas.fields import Integer

_MAX_OFFSET = 2**53


class DiffQuery(QueryInput):
    """The query parameter that selects a page of the files that a run changed."""

    cursor: Annotated[int, Integer(minimum=0, maximum=_MAX_OFFSET), doc("`next` of the previous page.")] = 0


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


class DiffOut(TypedDict):
    """A page of the files that a run changed."""

    base: Annotated[str | None, doc("The branch that the run started from, if it is known.", "main")]
    head: Annotated[
        str | None,
        doc("The commit that the run pushed, if it did.", "9fceb02d0ae598e95dc970b74767f19372d61af8"),
    ]
    files: Annotated[list[FileDiff], doc("The changed files, in the order of the patch.")]
    next: Annotated[str | None, doc("`cursor` of the next page; null on the last page.")]
