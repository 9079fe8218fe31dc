"""Capture through CuPy: the order of its calls, and what is left behind when it fails, without a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from nnx_cupy.device import CudaRuntime


class FakeCupy:
    """Of CuPy, what capture needs; everything done is written down in order.

    `spoilt` makes CUDA refuse the capture at its end, as it does after a call that no graph can hold.
    """

    def __init__(self, spoilt: bool = False) -> None:
        self.cuda, self.spoilt = self, spoilt
        self.done: list[str] = []

    def MemoryPool(self) -> FakePool:
        return FakePool()

    def Stream(self, non_blocking: bool) -> FakeStream:
        assert non_blocking, "work of other threads on the default stream would spoil the capture"
        return FakeStream(self)

    @contextmanager
    def using_allocator(self, allocator: Any) -> Iterator[None]:
        assert isinstance(allocator.__self__, FakePool)
        self.done.append("private pool")
        try:
            yield
        finally:
            self.done.append("pool of before")


class FakePool:
    def malloc(self, size: int) -> None:
        raise AssertionError(f"{size} bytes are asked for")


class FakeStream:
    def __init__(self, cupy: FakeCupy) -> None:
        self.cupy = cupy

    def __enter__(self) -> None:
        self.cupy.done.append("private stream")

    def __exit__(self, *_error: object) -> None:
        self.cupy.done.append("stream of before")

    def begin_capture(self) -> None:
        self.cupy.done.append("begin")

    def end_capture(self) -> FakeGraph:
        self.cupy.done.append("end")
        if self.cupy.spoilt:
            raise RuntimeError("cudaErrorStreamCaptureInvalidated")
        return FakeGraph(self.cupy)


class FakeGraph:
    def __init__(self, cupy: FakeCupy) -> None:
        self.cupy = cupy

    def launch(self, stream: object = None) -> None:
        assert stream is None, "the graph is in order with the caller's own stream only there"
        self.cupy.done.append("launch")


AFTER_ALL = ["private pool", "private stream", "begin", "work", "end", "stream of before", "pool of before"]


def test_work_is_captured_on_a_private_stream_and_launched_on_the_callers() -> None:
    cupy = FakeCupy()
    graph = CudaRuntime(cupy).capture(lambda: cupy.done.append("work"))
    assert cupy.done == AFTER_ALL
    graph.launch()
    graph.launch()
    assert cupy.done == [*AFTER_ALL, "launch", "launch"]


@pytest.mark.parametrize("spoilt", [False, True])
@pytest.mark.parametrize("error", [RuntimeError("this cannot be captured"), KeyboardInterrupt()])
def test_an_error_in_the_work_ends_the_capture_and_comes_out_as_it_was(spoilt: bool, error: BaseException) -> None:
    cupy = FakeCupy(spoilt)

    def work() -> None:
        cupy.done.append("work")
        raise error

    with pytest.raises(type(error)) as caught:
        CudaRuntime(cupy).capture(work)
    assert caught.value is error
    assert cupy.done == AFTER_ALL


def test_a_capture_that_cuda_refuses_leaves_stream_and_pool_as_they_were() -> None:
    cupy = FakeCupy(spoilt=True)
    with pytest.raises(RuntimeError, match="cudaErrorStreamCaptureInvalidated"):
        CudaRuntime(cupy).capture(lambda: cupy.done.append("work"))
    assert cupy.done == AFTER_ALL


def test_cupy_has_all_that_capture_calls() -> None:
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    for name in ("begin_capture", "end_capture", "__enter__", "__exit__"):
        assert callable(getattr(cupy.cuda.Stream, name))
    assert callable(cupy.cuda.MemoryPool.malloc)
    assert callable(cupy.cuda.using_allocator)
    assert callable(cupy.cuda.graph.Graph.launch)
    assert {"data", "get"} <= set(dir(cupy.ndarray))
