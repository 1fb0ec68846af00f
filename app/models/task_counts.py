"""What is known of a project's tasks without reading them: how many there are, and how often they changed."""

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base

__all__ = ["TaskCount"]


class TaskCount(Base):
    """A part of two sums over the tasks of an audience (ADR 30).

    Triggers on `tasks` and `runs` add a row for each change, in its transaction: writers never wait for each other, and
    a rollback takes the row along. Nobody changes a row; `services/tasks/counts.py` puts many in place of which stands
    one with the same sums.
    """

    __tablename__ = "task_counts"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    project_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("projects.id", ondelete="CASCADE"))
    audience: Mapped[int] = mapped_column(BigInteger)
    archived: Mapped[bool]
    internal: Mapped[bool]
    # How many living tasks this adds, negative for those that went; and how many changes of any kind that is.
    tasks: Mapped[int] = mapped_column(BigInteger)
    changes: Mapped[int] = mapped_column(BigInteger)
    # Whether this stands for several.
    folded: Mapped[bool] = mapped_column(server_default=text("false"))

    __table_args__ = (
        # What every list sums up.
        Index("ix_task_counts_audience", "project_id", "audience"),
        # What is to be folded.
        Index("ix_task_counts_fresh", "id", postgresql_where=text("NOT folded")),
        # Most rows live for seconds.
        {"postgresql_with": {"autovacuum_vacuum_scale_factor": 0.05}},
    )
