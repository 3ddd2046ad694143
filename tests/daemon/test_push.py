"""The broadcaster: everybody hears everything in order, and nobody can hold it up."""

import asyncio
import json

import pytest

from sidecar.core.decisions import Notice, Reason, Toast
from sidecar.core.glance import Glance
from sidecar.daemon.push import QUEUE, STATUS_PAUSE_S, SUBSCRIBERS, Broadcaster, Subscriber, TooManyError


def notice(number: int) -> Notice:
    return Notice(event="switch", at=number, reason=Reason(code="x", text="y"))


async def test_subscribers_hear_what_happens_while_they_listen() -> None:
    push = Broadcaster()
    push.notice(notice(0))
    with push.subscribe() as one, push.subscribe() as two:
        assert len(push) == 2
        push.notice(notice(1))
        push.toast(Toast(title="t", message="m"), "/p")
        for subscriber in (one, two):
            first, second = [await subscriber.next(1), await subscriber.next(1)]
            assert first is not None
            assert (first[0], json.loads(first[1])["at"]) == ("notice", 1)
            assert second is not None
            assert (second[0], json.loads(second[1])["directory"]) == ("toast", "/p")
    assert len(push) == 0


async def test_silence_is_a_timeout_and_loses_nothing() -> None:
    push = Broadcaster()
    with push.subscribe() as subscriber:
        with pytest.raises(TimeoutError):
            await subscriber.next(0)
        push.notice(notice(1))
        assert await subscriber.next(0.5) is not None


async def test_who_does_not_keep_up_is_cut_off_and_the_others_are_not() -> None:
    push, cut = Broadcaster(), []
    with push.subscribe(lambda: cut.append(1)) as slow, push.subscribe() as good:
        for number in range(QUEUE + 1):
            push.notice(notice(number))
            assert await good.next(1) is not None
        assert cut == [1]
        assert len(push) == 1
        assert await slow.next(1) is None
        push.notice(notice(9))
        assert await good.next(1) is not None
    assert cut == [1]


async def test_closing_ends_streams_now_and_later() -> None:
    push = Broadcaster()
    with push.subscribe() as subscriber:
        waiting = asyncio.create_task(subscriber.next(5))
        await asyncio.sleep(0)
        push.close()
        assert await waiting is None
        assert await subscriber.next(5) is None
    with push.subscribe() as late:
        assert await late.next(5) is None


async def test_there_is_a_bound() -> None:
    push = Broadcaster()
    contexts = [push.subscribe() for _ in range(SUBSCRIBERS)]
    for context in contexts:
        context.__enter__()
    with pytest.raises(TooManyError), push.subscribe():
        pass
    contexts[0].__exit__(None, None, None)
    with push.subscribe():
        assert len(push) == SUBSCRIBERS


def picture(number: int, at: float = 0) -> Glance:
    return Glance(at=at, current=f"alpha/m{number}", picked=None, sessions={}, providers=())


async def test_the_status_goes_to_those_who_asked_for_it_at_once_and_when_it_is_another_one() -> None:
    push, shown = Broadcaster(), iter([picture(1), picture(2), picture(2, at=9), picture(3)])
    push.changed()
    push.picture = lambda: next(shown)
    with push.subscribe() as other, push.subscribe(status=True) as one:
        assert await status_of(one) == "alpha/m1"
        push.changed()
        push.changed()
        assert await status_of(one) == "alpha/m2"
        push.changed()
        with pytest.raises(TimeoutError):
            await one.next(STATUS_PAUSE_S * 2)
        push.changed()
        assert await status_of(one) == "alpha/m3"
        with pytest.raises(TimeoutError):
            await other.next(0)


async def test_changes_in_quick_succession_are_one_push() -> None:
    push, made = Broadcaster(), 0

    def count() -> Glance:
        nonlocal made
        made += 1
        return picture(made)

    push.picture = count
    with push.subscribe(status=True) as one:
        await one.next(1)
        for _ in range(50):
            push.changed()
            await asyncio.sleep(0)
        await one.next(1)
        assert made <= 3
        push.changed()
    push.close()


async def status_of(subscriber: Subscriber) -> str:
    message = await subscriber.next(5)
    assert message is not None
    assert message[0] == "status"
    return str(json.loads(message[1])["current"])
