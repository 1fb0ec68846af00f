"""The cost of a task: what the agents of all its runs report, in US dollars (contract 6.4)."""

from typing import Any

import httpx

from tests.support.makers import NewRun


def spent(amount: object) -> dict[str, Any]:
    return {"usage": {"total_tokens": 5, "cost": {"amount": amount, "currency": "USD"}}}


async def test_cost_is_the_sum_of_all_runs_of_the_task(
    client: httpx.AsyncClient, tasks_url: str, task_url: str, new_run: NewRun
) -> None:
    url = f"{task_url}/usage"
    nothing = {"token_cost_usd": 0.0, "compute_cost_usd": 0.0, "total_cost_usd": 0.0}
    assert (await client.get(url)).json() == nothing

    for facts in (
        spent(0.1),
        spent(0.2),
        spent(3),
        spent("4"),
        {"usage": {"total_tokens": 7}},
        {"usage": 5},
        {},
    ):
        await new_run(facts=facts)
    run = await new_run(state={"usage": {"cost": {"amount": 9, "currency": "USD"}}})
    state = {"token_usage": {"cost": {"amount": 0.7, "currency": "USD"}}}
    assert (await client.patch(f"{task_url}/runs/{run.id}", json={"state": state})).status_code == 200
    answer = await client.get(f"{url}/")
    assert (answer.status_code, answer.json()) == (
        200,
        nothing | {"token_cost_usd": 4.0, "total_cost_usd": 4.0},
    )

    other = (await client.post(tasks_url, json={"title": "other"})).json()
    assert (await client.get(f"{tasks_url}/{other['id']}/usage")).json() == nothing
