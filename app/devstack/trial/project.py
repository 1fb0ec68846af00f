"""The project of `taskbeacon try`: its repositories are cloned from a folder in the home folder.

It is a separate project, because new tasks use the first integration of their project: in the developer's own project,
`organization/repository` must still be cloned from `GIT_BASE_URL`.
"""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import CodeHostKind
from app.models import Integration
from app.security import Cipher
from app.services.accounts.accounts import add_member, create_project
from app.services.accounts.integrations import NewIntegration, create_integration


async def find_or_make_project(session: AsyncSession, cipher: Cipher, *, user_id: int, git_url: str) -> int:
    """Return the id of the project that clones its repositories from `git_url`, and make the user a member of it."""
    project_id = await session.scalar(
        select(Integration.project_id).where(Integration.git_url == git_url).order_by(Integration.id).limit(1)
    )
    if project_id is None:
        project_id = (await create_project(session, "Your repositories")).id
        # Without a token, and a folder has no API: no pull request is attempted.
        await create_integration(
            session,
            cipher,
            project_id=project_id,
            new=NewIntegration(kind=CodeHostKind.GITHUB, git_url=git_url),
        )
    await add_member(session, project_id=project_id, user_id=user_id)
    return project_id
