"""Cancellation of runs by their endpoint (contract 6.4)."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import TERMINAL_STATUSES, Environment, EventType, RunStatus
from app.models import Event, Notification, Run, Task
from tests.support.assertions import assert_invalid, concerning
from tests.support.callers import Caller
from tests.support.clock import MovableClock
from tests.support.factories import make_device, make_run
from tests.support.questions import make_question
from tests.support.web.conformance import Calls
