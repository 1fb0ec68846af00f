"""The parts of both clients, such as `client.tasks`: each method is an operation of the core."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import cache
from inspect import Signature, iscoroutinefunction, signature
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, get_args, overload

from taskbeacon.client.core import Core
from taskbeacon.client.steps import Flow, Items

if TYPE_CHECKING:
    from taskbeacon.client.asynchronous import AsyncClient
    from taskbeacon.client.synchronous import Client

P = ParamSpec("P")
T = TypeVar("T")
StepsT = TypeVar("StepsT")
ClientT_co = TypeVar("ClientT_co", covariant=True)


class Part(Generic[ClientT_co]):
    def __init__(self, client: ClientT_co) -> None:
        self.client = client


class _Method(Generic[P, StepsT]):
    def __init__(self, operation: Callable[Concatenate[Core, P], StepsT]) -> None:
        self._operation = operation

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"{owner.__qualname__}.{name}"

    def _bound(self, client: Any, perform: Callable[[Any], Any]) -> Any:
        def method(*args: Any, **options: Any) -> Any:
            return perform(self._operation(client.core, *args, **options))

        method.__name__, method.__qualname__ = self._name.rpartition(".")[2], self._name
        method.__doc__ = self._operation.__doc__
        vars(method)["__signature__"] = _signature(self._operation, getattr(type(client), perform.__name__))
        return method


class Call(_Method[P, Flow[T]]):
    """A method of a client or of its part that performs an operation of the core."""

    @overload
    def __get__(self, of: "Part[Client] | Client", owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(
        self, of: "Part[AsyncClient] | AsyncClient", owner: type
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, of: Any, owner: type) -> Any:
        if of is None:
            return self
        client = of.client if isinstance(of, Part) else of
        return self._bound(client, client.perform)


class Each(_Method[P, Items[T]]):
    """A method of a part that yields the items of an operation of the core."""

    @overload
    def __get__(self, part: "Part[Client]", owner: type) -> Callable[P, Generator[T, None, None]]: ...
    @overload
    def __get__(self, part: "Part[AsyncClient]", owner: type) -> Callable[P, AsyncGenerator[T, None]]: ...
    def __get__(self, part: "Part[Any] | None", owner: type) -> Any:
        return self if part is None else self._bound(part.client, part.client.iterate)


@cache
def _signature(operation: Callable[..., Any], perform: Callable[..., Any]) -> Signature:
    """Return the signature for a caller: without the core, and with what performing the steps gives."""
    own, given = signature(operation), signature(perform).return_annotation
    steps, _, result = get_args(own.return_annotation)
    if not isinstance(given, TypeVar):
        given = given[get_args(get_args(steps)[-1])]  # of a `Yield`
    else:
        given = Coroutine[Any, Any, result] if iscoroutinefunction(perform) else result  # type: ignore[valid-type] # a value
    return own.replace(parameters=list(own.parameters.values())[1:], return_annotation=given)


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
