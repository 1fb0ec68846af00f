"""The types of fixtures that hand out a factory, bound to what a test is about."""

from collections.abc import Awaitable, Callable

from app.models import Run, Task

NewTask = Callable[..., Awaitable[Task]]
NewRun = Callable[..., Awaitable[Run]]
