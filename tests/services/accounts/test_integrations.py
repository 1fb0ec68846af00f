"""Code hosts and signal reports, entered by an operator (contract 11, 24)."""

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.errors import InvalidInput, NotFound
from app.security.secrets import Cipher
from app.services.accounts.integrations import (
    NewIntegration,
    create_integration,
    create_signal_report,
    create_user_integration,
)
from tests.support.factories import make_integration, make_project, make_user, make_user_integration

API_URL = "https://github.example.com/api/v3"


@pytest.fixture
def cipher(settings: Settings) -> Cipher:
    return Cipher(settings.secret_keys)


async def test_project_integration_keeps_its_token_encrypted(session: AsyncSession, cipher: Cipher) -> None:
    project = await make_project(session)

    integration = await create_integration(
        session,
        cipher,
        project_id=project.id,
        new=NewIntegration(
            kind="github",
            token=" ghp_secret ",
            api_url=API_URL,
            git_url="file:///srv/git",
        ),
    )

    bare = await create_integration(session, cipher, project_id=project.id, new=NewIntegration(kind="github"))

    assert integration.project_id == project.id
    assert integration.encrypted_token is not None
    assert "ghp_secret" not in integration.encrypted_token
    assert cipher.decrypt(integration.encrypted_token) == "ghp_secret"
    assert (integration.api_url, integration.git_url) == (API_URL, "file:///srv/git")
    assert (bare.encrypted_token, bare.api_url, bare.git_url) == (None, None, None)


async def test_user_integration_keeps_its_token_encrypted(session: AsyncSession, cipher: Cipher) -> None:
    user = await make_user(session)

    integration = await create_user_integration(
        session, cipher, user_id=user.id, kind="github", token="ghu_secret"
    )

    assert integration.user_id == user.id
    assert integration.encrypted_token is not None
    assert cipher.decrypt(integration.encrypted_token) == "ghu_secret"


async def test_unknown_kind_is_refused(session: AsyncSession, cipher: Cipher) -> None:
    project, user = await make_project(session), await make_user(session)

    with pytest.raises(InvalidInput, match='"gitlab" is not a valid choice; choose from github'):
        await create_integration(session, cipher, project_id=project.id, new=NewIntegration(kind="gitlab"))
    with pytest.raises(InvalidInput, match='"gitlab" is not a valid choice; choose from github'):
        await create_user_integration(session, cipher, user_id=user.id, kind="gitlab")


async def test_api_is_not_reached_through_the_file_system(session: AsyncSession, cipher: Cipher) -> None:
    project = await make_project(session)

    with pytest.raises(InvalidInput, match="begins with one of: http://, https://") as refused:
        await create_integration(
            session,
            cipher,
            project_id=project.id,
            new=NewIntegration(kind="github", api_url="file:///srv/git"),
        )

    assert refused.value.attr == "api_url"


async def test_integration_of_unknown_project_or_user_is_refused(
    session: AsyncSession, cipher: Cipher
) -> None:
    with pytest.raises(NotFound, match="Project"):
        await create_integration(session, cipher, project_id=2**62, new=NewIntegration(kind="github"))
    with pytest.raises(NotFound, match="User"):
        await create_user_integration(session, cipher, user_id=2**62, kind="github")


async def test_signal_report_belongs_to_its_project(session: AsyncSession) -> None:
    project = await make_project(session)

    report = await create_signal_report(session, project_id=project.id, title=" Checkout is slow ")

    assert (report.project_id, report.title) == (project.id, "Checkout is slow")
    with pytest.raises(NotFound, match="Project"):
        await create_signal_report(session, project_id=2**62)


async def test_database_refuses_an_unknown_kind_of_a_projects_integration(session: AsyncSession) -> None:
    project = await make_project(session)

    with pytest.raises(IntegrityError, match="ck_integrations_kind"):
        await make_integration(session, project=project, kind="gitlab")


async def test_database_refuses_an_unknown_kind_of_a_users_integration(session: AsyncSession) -> None:
    user = await make_user(session)

    with pytest.raises(IntegrityError, match="ck_user_integrations_kind"):
        await make_user_integration(session, user=user, kind="gitlab")
