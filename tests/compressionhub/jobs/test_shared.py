"""What many pages ask for at the same moment is made once."""

import asyncio

import pytest

from compressionhub.jobs.shared import Shared


async def test_all_who_ask_at_once_get_one_answer():
    made = []

    async def make():
        made.append(1)
        await asyncio.sleep(0.01)
        return len(made)

    shared = Shared(keep=4)
    answers = await asyncio.gather(*(shared.get("key", make) for _ in range(50)))

    assert answers == [1] * 50


async def test_a_failure_reaches_everybody_and_is_not_kept():
    calls = []

    async def make():
        calls.append(1)
        if len(calls) == 1:
            raise OSError("away")
        return "back"

    shared = Shared(keep=4)

    with pytest.raises(OSError):
        await shared.get("key", make)
    await asyncio.sleep(0)
    assert await shared.get("key", make) == "back"


async def test_somebody_who_goes_away_does_not_take_the_answer_from_others():
    async def make():
        await asyncio.sleep(0.05)
        return 7

    shared = Shared(keep=4)
    first = asyncio.create_task(shared.get("key", make))
    await asyncio.sleep(0)
    second = asyncio.create_task(shared.get("key", make))
    first.cancel()

    assert await second == 7


async def test_only_the_last_answers_are_kept():
    async def make():
        return object()

    shared = Shared(keep=2)
    first = await shared.get(1, make)
    await shared.get(2, make)
    await shared.get(3, make)

    assert await shared.get(1, make) is not first
