"""Routes with an action token in their path."""

from collections.abc import Callable, Coroutine

from fastapi import Request, Response
from starlette.responses import RedirectResponse
from typing_extensions import override

from app.errors import AppError, QuestionSettled, RequestRefused
from app.web.dependencies import root_of
from app.web.errors import answer_error, headers_of
from app.web.pages.question import PageData
from app.web.pages.render import PRIVATE_HEADERS, render
from app.web.unit_route import UnitRoute

_TITLES = {
    404: "This link is not valid",
    403: "This needs a key of yours",
    413: "This answer is too long",
    429: "Too many requests",
}
_TEXTS = {
    404: "It may be too old, or cut off. Open the task to see what it waits for.",
    429: "Wait a minute, then load this page again.",
}
_WITHOUT_QUESTION = frozenset({404, 405, 429})


class ActionRoute(UnitRoute):
    """A route with an action token in its path. Errors of its requests are answered with JSON."""

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[object, None, Response]]:
        handle = super().get_route_handler()

        async def handle_privately(request: Request) -> Response:
            try:
                response = await handle(request)
            except (AppError, RequestRefused) as error:
                response = self.refuse(request, error)
            response.headers.update(PRIVATE_HEADERS)
            return response

        return handle_privately

    def refuse(self, request: Request, error: AppError | RequestRefused) -> Response:  # noqa: ARG002 - for pages
        return answer_error(error)


class PageRoute(ActionRoute):
    """A route with an action token in its path. Errors of its requests are answered with HTML pages."""

    @override
    def refuse(self, request: Request, error: AppError | RequestRefused) -> Response:
        if isinstance(error, QuestionSettled):
            # The page of the question shows the stored answer, or that there is none.
            return back_to_page(request)
        text = error.body.get("detail") or error.body.get("error", "")
        title = _TITLES.get(error.status, "This was not answered")
        page = PageData(
            heading=title,
            text=_TEXTS.get(error.status, text),
            has_way_back=error.status not in _WITHOUT_QUESTION,
        )
        response = render(page, status=error.status)
        response.headers.update(headers_of(error))
        return response


def back_to_page(request: Request) -> Response:
    """Return a redirect to the question's page, as the response to a submitted form."""
    return RedirectResponse(f"{root_of(request)}/a/{request.path_params['token']}", 303)
