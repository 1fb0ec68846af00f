"""What set-up makes is kept for later clones of a repository, and nothing else writes there (contract 18.3)."""

import asyncio
from dataclasses import replace

from app.agents.check_execution.check_context import PATH
from app.enums import CheckStatus
from tests.agents.check_execution.checking import Checking

_STEP = {
    "shell": "mkdir -p deps; cat lock >deps/made; ln -s made deps/link; ln -s /etc deps/etc; echo home >~/tool",
    "cache": ["deps", "~/tool"],
    "cache_key": ["lock"],
}
_CHECKS = {"made": 'cat deps/link ~/tool; test "$(readlink deps/etc)" = /etc'}


async def test_what_set_up_of_the_base_makes_is_kept_for_the_next_clone(checking: Checking) -> None:
    checking.write({"lock": "1\n"})
    # The base is set up after the result, whose set-up keeps nothing.
    first = await checking.check(setup=[_STEP], checks=_CHECKS, base="always")
    assert first.steps == ["ok"]
    assert len(list((checking.folder / "caches").glob("*/*"))) == 1

    second = await checking.check(setup=[_STEP], checks=_CHECKS)
    assert second.steps == ["cached"]
    assert second.output("made") == "1\nhome\n"

    other = await checking.check(setup=[_STEP, "true"], checks=_CHECKS)
    assert other.steps == ["ok", "ok"], "other steps make something else"

    path = {"PATH": f"{PATH}:{checking.folder}"}
    checking.preparation = replace(checking.preparation, variables=path)
    with_others = await checking.check(setup=[_STEP], checks=_CHECKS)
    assert with_others.steps == ["ok"], "other tools make something else"


async def test_neither_results_nor_checks_write_a_cache(checking: Checking) -> None:
    checking.write({"lock": "1\n"}, {"lock": "2\n"})
    spoils = 'test "$(cat deps/made)" = 2; echo spoiled >deps/made; echo spoiled >~/tool'
    first = await checking.check(setup=[_STEP], checks={"spoils": spoils})
    assert first.steps == ["ok"]
    assert list((checking.folder / "caches").glob("*/*")) == []

    kept = await checking.check(setup=[_STEP], checks={"spoils": spoils}, base="always")
    again = await checking.check(setup=[_STEP], checks={"spoils": spoils})
    assert (kept.steps, again.steps) == (["ok"], ["ok"]), "the base has another lock"


async def test_service_is_started_although_what_it_makes_is_in_a_cache(checking: Checking) -> None:
    """Regression: a service with a cache was not started."""
    checking.write({"a": ""})
    serves = {"shell": "mkdir deps; touch deps/made; exec sleep 3519", "cache": ["deps"], "background": True}
    runs = {"runs": "grep -l '^sleep' /proc/[0-9]*/cmdline"}
    # The file is there before the service, if it comes from the cache.
    setup = [serves | {"ready": ["sh", "-c", f"test -e deps/made && {runs['runs']}"]}]
    await checking.check(setup=setup, checks=runs, base="always")

    seen = await checking.check(setup=setup, checks=runs)

    assert seen.statuses == {"runs": CheckStatus.PASSED}


async def test_two_workers_that_keep_the_same_leave_one_whole_cache(checking: Checking) -> None:
    checking.write({"lock": "1\n"})
    both = (checking.check(setup=[_STEP], checks=_CHECKS, base="always") for _ in range(2))
    await asyncio.gather(*both)

    [cache] = (checking.folder / "caches").glob("*/*")
    assert (cache / "0/made").read_text() == "1\n"
    assert (cache / "0/link").is_symlink()


async def test_cache_that_a_dead_worker_left_half_made_is_not_used_and_makes_room(
    checking: Checking,
) -> None:
    """Regression: what was left half made stayed for ever."""
    checking.write({"lock": "1\n"})
    half = checking.folder / "caches/repository/.new-dead"
    half.mkdir(parents=True)
    (half / "0").write_bytes(b"x" * 10_000)
    checking.preparation = replace(checking.preparation, caches_bytes=5_000)

    seen = await checking.check(setup=[_STEP], checks=_CHECKS, base="always")

    assert seen.steps == ["ok"]
    [cache] = (checking.folder / "caches").glob("*/*")
    assert not cache.name.startswith(".new-")
