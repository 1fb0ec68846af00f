"""The project of `taskbeacon try`: its repositories are cloned from a folder of the home.

A project of its own, since new tasks of a project use its first integration: in the developer's own project,
`organization/repository` stays where `GIT_BASE_URL` says.
"""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Integration
from app.security import Cipher
from app.services.accounts.accounts import add_member, create_project
from app.services.accounts.integrations import NewIntegration, create_integration
from app.services.tasks.references import GITHUB


async def find_or_make_project(session: AsyncSession, cipher: Cipher, *, user_id: int, git_url: str) -> int:
    """Return the id of the project with repositories below `git_url`, with the user as a member.

    Two calls at once may make two; later ones agree on the first. Raises NotFound, InvalidInput.
    """
    project_id = await session.scalar(
        select(Integration.project_id).where(Integration.git_url == git_url).order_by(Integration.id).limit(1)
    )
    if project_id is None:
        project_id = (await create_project(session, "Your repositories")).id
        # Without a token, and no API goes with a folder: no pull request is tried.
        await create_integration(
            session, cipher, project_id=project_id, new=NewIntegration(kind=GITHUB, git_url=git_url)
        )
    await add_member(session, project_id=project_id, user_id=user_id)
    return project_id
