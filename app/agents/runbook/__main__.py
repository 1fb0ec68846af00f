"""`python -m app.agents.runbook`: the runbook agent on standard input and output."""

import asyncio
from typing import cast

from acp import Agent, run_agent

from app.agents.runbook.agent import RunbookAgent

if __name__ == "__main__":
    asyncio.run(run_agent(cast("Agent", RunbookAgent())))
