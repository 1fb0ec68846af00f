"""The models of answers are for the description; nothing is built of them to serve."""

from typing import Any

from fastapi import APIRouter, FastAPI
from typing_extensions import TypedDict

from app.config import Settings
from app.main import create_app
from app.web.answers import Json
from app.web.openapi.document import describe_routes, install_openapi
from app.web.routes import PlannedRoute


class Answer(TypedDict):
    number: int


class Refused(TypedDict):
    reason: str


async def endpoint() -> Json:
    return Json({"number": 1})


def test_no_route_is_served_by_a_model_of_its_answers() -> None:
    routes = list(describe_routes(create_app(Settings(development=True))))

    assert routes
    assert [route.path for route in routes if route.response_field or route.response_fields] == []


def test_models_of_answers_are_described() -> None:
    router = APIRouter(route_class=PlannedRoute)
    router.add_api_route("/things", endpoint, response_model=Answer, responses={400: {"model": Refused}})
    app = FastAPI()
    install_openapi(app)
    app.include_router(router)

    document: dict[str, Any] = app.openapi()

    answers = document["paths"]["/things"]["get"]["responses"]
    shown = {status: answer["content"]["application/json"]["schema"] for status, answer in answers.items()}
    assert shown == {
        "200": {"$ref": "#/components/schemas/Answer"},
        "400": {"$ref": "#/components/schemas/Refused"},
    }
