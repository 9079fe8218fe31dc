"""`use_backend` in generators, tasks and threads: each block takes back its own selection and no other."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

import nnx
from nnx import Backend

DEFAULT, A, B = "numpy", "generic:numpy", "generic:array_api_strict"


def selected() -> str:
    return nnx.current_backend().name


def steps(backend: str | Backend) -> Iterator[str]:
    with nnx.use_backend(backend):
        yield selected()
        yield selected()


@pytest.fixture(autouse=True)
def nothing_remains() -> Iterator[None]:
    before = selected()
    yield
    assert selected() == before


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_blocks_may_end_in_any_order_and_leave_the_innermost_that_is_open(order: tuple[int, ...]) -> None:
    before, engines = nnx.current_backend(), [Backend.from_namespace(nnx.current_backend().xp) for _ in range(3)]
    blocks = [nnx.use_backend(engine) for engine in engines]
    for block in blocks:
        block.__enter__()
    opened = [0, 1, 2]
    for number in order:
        blocks[number].__exit__(None, None, None)
        opened.remove(number)
        assert nnx.current_backend() is (engines[opened[-1]] if opened else before)


def test_a_generator_closed_within_a_block_leaves_that_block_its_selection() -> None:
    before, generator = selected(), steps(B)
    assert next(generator) == nnx.get_backend(B).name
    with nnx.use_backend(A) as inner:
        generator.close()
        assert nnx.current_backend() is inner
    assert selected() == before


def test_a_generator_that_goes_on_after_a_block_has_ended_takes_its_own_selection_back() -> None:
    generator = steps(B)
    with nnx.use_backend(A):
        next(generator)
    assert selected() == nnx.get_backend(B).name, "it is suspended within its block"
    list(generator)


def test_generators_that_take_turns_leave_nothing_behind() -> None:
    before, generators = selected(), [steps(A), steps(B), steps(A)]
    for generator in generators:
        next(generator)
    for generator in generators:
        list(generator)
    assert selected() == before


def test_a_context_manager_of_ones_own_selects_for_its_block() -> None:
    @contextmanager
    def engine() -> Iterator[None]:
        with nnx.use_backend(A):
            yield

    with engine():
        assert nnx.Sequential([nnx.Dense(1)]).backend is nnx.get_backend(A)


def test_a_generator_ended_by_another_thread_is_taken_back_where_it_began() -> None:
    before, generator = selected(), steps(A)
    next(generator)
    thread = threading.Thread(target=generator.close)
    thread.start()
    thread.join()
    assert selected() == before
    with nnx.use_backend(B) as inner:
        assert nnx.current_backend() is inner


def test_generators_ended_by_another_thread_keep_no_engine_once_another_one_is_selected() -> None:
    def select_and_end_elsewhere() -> weakref.ref[Backend]:
        engine = Backend.from_namespace(nnx.current_backend().xp)
        generator = steps(engine)
        next(generator)
        thread = threading.Thread(target=generator.close)
        thread.start()
        thread.join()
        return weakref.ref(engine)

    kept = [select_and_end_elsewhere() for _ in range(5)]
    with nnx.use_backend(A):
        gc.collect()
        assert [engine() for engine in kept] == [None] * 5


def test_an_asynchronous_generator_that_is_left_early_leaves_nothing_behind() -> None:
    async def pieces() -> AsyncIterator[str]:
        with nnx.use_backend(A):
            yield selected()
            yield selected()

    async def work() -> str:
        generator = pieces()
        async for _ in generator:
            break
        await asyncio.create_task(generator.aclose())  # type: ignore[attr-defined]  # ended in another task
        return selected()

    assert asyncio.run(work()) == selected()


def test_tasks_that_interleave_keep_their_own_selections_at_every_level() -> None:
    async def work(seed: int) -> None:
        draw = random.Random(seed)

        async def nest(depth: int, outer: Backend) -> None:
            for _ in range(3):
                with nnx.use_backend(draw.choice([DEFAULT, A, B])) as chosen:
                    await asyncio.sleep(0)
                    assert nnx.current_backend() is chosen
                    if depth:
                        await nest(depth - 1, chosen)
                assert nnx.current_backend() is outer
                await asyncio.sleep(0)

        await nest(3, nnx.current_backend())

    async def all_of_them() -> None:
        await asyncio.gather(*(work(seed) for seed in range(8)))

    asyncio.run(all_of_them())


def test_a_task_keeps_what_was_selected_where_it_was_made() -> None:
    async def look() -> Backend:
        await asyncio.sleep(0)
        return nnx.current_backend()

    async def work() -> tuple[Backend, Backend]:
        with nnx.use_backend(A):
            task = asyncio.create_task(look())
            in_thread = await asyncio.to_thread(nnx.current_backend)
        return await task, in_thread

    assert asyncio.run(work()) == (nnx.get_backend(A),) * 2


def test_a_thread_begins_with_the_selection_of_the_process() -> None:
    before = nnx.current_backend()
    with nnx.use_backend(A), ThreadPoolExecutor(1) as pool:
        assert pool.submit(nnx.current_backend).result() is before


@pytest.mark.usefixtures("many_turns")
def test_eight_threads_nest_blocks_at_once_and_each_sees_only_its_own() -> None:
    gate = threading.Barrier(8)

    def work(seed: int) -> None:
        draw, outer = random.Random(seed), nnx.current_backend()
        gate.wait()
        for _ in range(200):
            with nnx.use_backend(draw.choice([DEFAULT, A])) as first:
                with nnx.use_backend(draw.choice([DEFAULT, A])) as second:
                    assert nnx.current_backend() is second
                assert nnx.current_backend() is first
            assert nnx.current_backend() is outer

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
