"""The parts of both clients, such as `client.tasks`: each method is an operation of the core."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from taskbeacon.client.core import Core
from taskbeacon.client.steps import Flow, Items

if TYPE_CHECKING:
    from taskbeacon.client.asynchronous import AsyncClient
    from taskbeacon.client.synchronous import Client

P = ParamSpec("P")
T = TypeVar("T")
ClientT_co = TypeVar("ClientT_co", covariant=True)


class Part(Generic[ClientT_co]):
    def __init__(self, client: ClientT_co) -> None:
        self.client = client


class Call(Generic[P, T]):
    """A method of a client or of its part that performs an operation of the core."""

    def __init__(self, operation: Callable[Concatenate[Core, P], Flow[T]]) -> None:
        self._operation = operation

    @overload
    def __get__(self, of: "Part[Client] | Client", owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(
        self, of: "Part[AsyncClient] | AsyncClient", owner: type
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, of: Any, owner: type) -> Any:
        client = of.client if isinstance(of, Part) else of
        return _bound(self._operation, client.core, client.perform)


class Each(Generic[P, T]):
    """A method of a part that yields the items of an operation of the core."""

    def __init__(self, operation: Callable[Concatenate[Core, P], Items[T]]) -> None:
        self._operation = operation

    @overload
    def __get__(self, part: "Part[Client]", owner: type) -> Callable[P, Generator[T, None, None]]: ...
    @overload
    def __get__(self, part: "Part[AsyncClient]", owner: type) -> Callable[P, AsyncGenerator[T, None]]: ...
    def __get__(self, part: "Part[Any]", owner: type) -> Any:
        return _bound(self._operation, part.client.core, part.client.iterate)


def _bound(operation: Callable[..., Any], core: Core, perform: Callable[[Any], Any]) -> Any:
    def method(*args: Any, **options: Any) -> Any:
        return perform(operation(core, *args, **options))

    return update_wrapper(method, operation)


class Tasks(Part[ClientT_co]):
    create = Call(Core.create_task)
    get = Call(Core.get_task)
    list = Each(Core.list_tasks)
    update = Call(Core.update_task)
    delete = Call(Core.delete_task)
    run = Call(Core.run_task)


class Runs(Part[ClientT_co]):
    get = Call(Core.get_run)
    list = Each(Core.list_runs)
    follow = Each(Core.follow)
    wait = Call(Core.wait)
    send = Call(Core.send_message)
    cancel = Call(Core.cancel_run)
    log = Each(Core.log)
    diff = Call(Core.diff)
    patch = Call(Core.patch)


class Questions(Part[ClientT_co]):
    list = Each(Core.list_questions)
    answer = Call(Core.answer)


class Events(Part[ClientT_co]):
    list = Each(Core.list_events)
    stream = Each(Core.stream_events)


class Webhooks(Part[ClientT_co]):
    list = Each(Core.list_webhooks)
    create = Call(Core.create_webhook)
    get = Call(Core.get_webhook)
    update = Call(Core.update_webhook)
    delete = Call(Core.delete_webhook)
    ping = Call(Core.ping_webhook)
    deliveries = Each(Core.list_deliveries)
    redeliver = Call(Core.redeliver)


class Artifacts(Part[ClientT_co]):
    upload = Call(Core.upload)
    download = Call(Core.download)
