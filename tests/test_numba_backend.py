"""What is particular to the Numba backend; that its kernels are right is checked by the conformance kit."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnx.errors import BackendUnavailableError
from nnx.interface import Tape

numba = pytest.importorskip("numba")

import nnx_numba  # noqa: E402  # the package reports a missing Numba itself, but its parts need it
from nnx_numba import NumbaBackend, elementary, hostarrays  # noqa: E402
from nnx_numba.jit import FLAGS  # noqa: E402
from nnx_numba.kernel import Kernel  # noqa: E402

PACKAGE = Path(nnx_numba.__file__).parent
ROOT = Path(sys.modules["nnx"].__path__[0]).parent

INCREMENT = """
import numpy as np
from nnx_numba import NumbaBackend, elementary, indexing
backend, counter = NumbaBackend(), np.zeros((), np.int64)
backend.increment(counter)
y = np.empty(1, np.float32)
backend.activate(np.zeros(1, np.float32), y, "sigmoid", 0.0)
hits = sum(indexing.increment.run.stats.cache_hits.values())
print(int(counter), float(y[0]), hits)
"""


@pytest.fixture
def backend() -> Any:
    return NumbaBackend()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return a folder with a copy of the package that a test may edit or lock."""
    shutil.copytree(PACKAGE, tmp_path / "nnx_numba", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def start(program: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
    """Run a program on the copied package in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "XDG_"))}
    kept |= {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), **environment}
    return subprocess.Popen(
        [sys.executable, "-c", program], env=kept, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def outcome(process: subprocess.Popen[str]) -> list[str]:
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return output.split()


def normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_the_second_process_compiles_nothing(package: Path) -> None:
    assert outcome(start(INCREMENT, package)) == ["1", "0.5", "0"]
    assert outcome(start(INCREMENT, package)) == ["1", "0.5", "1"]


def test_an_edited_helper_is_compiled_anew_in_kernels_of_other_files(package: Path) -> None:
    outcome(start(INCREMENT, package))
    helper = package / "nnx_numba" / "elementary.py"
    source = helper.read_text()
    edited = re.sub(r"(def sigmoid.*?return )", r"\1 one(x) + ", source, flags=re.DOTALL)
    assert edited != source
    helper.write_text(edited)
    assert outcome(start(INCREMENT, package)) == ["1", "1.5", "0"]


def test_a_broken_cache_file_is_compiled_anew(package: Path) -> None:
    outcome(start(INCREMENT, package))
    files = list((package / "nnx_numba").rglob("*.nbc"))
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:100])
    assert outcome(start(INCREMENT, package))[:2] == ["1", "0.5"]


def unwritable(folder: Path) -> str:
    """A path below a plain file: no user, root included, can make a folder there."""
    folder.joinpath("file").write_text("")
    return str(folder / "file" / "below")


def lock(package: Path) -> None:
    """Let nothing be written next to the sources: a file stands where the cache's folder would be."""
    package.joinpath("nnx_numba", "__pycache__").write_text("")


def test_a_read_only_install_caches_in_the_home_folder(package: Path, tmp_path: Path) -> None:
    lock(package)
    home = tmp_path / "home"
    places = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "LOCALAPPDATA": str(home)}
    quiet = {"PYTHONDONTWRITEBYTECODE": "1"}
    assert outcome(start(INCREMENT, package, **places, **quiet))[2] == "0"
    assert outcome(start(INCREMENT, package, **places, **quiet))[2] == "1"
    assert list(home.rglob("*.nbc"))


def test_with_nowhere_to_write_the_kernels_still_run(package: Path, tmp_path: Path) -> None:
    lock(package)
    nowhere = unwritable(tmp_path)
    places = {"HOME": nowhere, "XDG_CACHE_HOME": nowhere, "LOCALAPPDATA": nowhere}
    assert outcome(start(INCREMENT, package, **places, PYTHONDONTWRITEBYTECODE="1"))[:2] == ["1", "0.5"]


def test_processes_may_start_at_once_on_an_empty_cache(package: Path) -> None:
    processes = [start(INCREMENT, package) for _ in range(3)]
    assert [outcome(process)[:2] for process in processes] == [["1", "0.5"]] * 3
    assert not list(package.rglob("*.tmp"))


def test_a_numba_that_cannot_be_imported_is_reported_when_the_backend_is_made(package: Path) -> None:
    program = """
import sys
sys.modules["numba"] = None
from nnx.errors import BackendUnavailableError
from nnx_numba import NumbaBackend
try:
    NumbaBackend()
except BackendUnavailableError as error:
    print("pip" in error.hint, error.reason)
"""
    words = outcome(start(program, package))
    assert words[0] == "True"
    assert issubclass(BackendUnavailableError, RuntimeError)


def results(backend: Any) -> list[Any]:
    """Run every kernel that deals out work on sizes where it does."""
    x, dy, w = normal(700, 530), normal(700, 530, seed=1), normal(530, 64, seed=2)
    labels = np.arange(700) % 530
    gamma, beta, mean, rstd, running_mean, running_var, dgamma, dbeta = np.abs(normal(8, 530, seed=3))
    row_mean, row_rstd = np.zeros((2, 700), np.float32)
    y, dx, bits = np.empty_like(x), np.empty_like(x), np.empty(x.shape, np.int32)
    loss, norm, step, rate = (np.zeros((), kind) for kind in ("f4", "f4", "i8", "f4"))
    rate[...] = 1
    p, g, m, v = np.abs(normal(4, 400_000, seed=4))
    found: list[Any] = []

    def keep(*arrays: Any) -> None:
        found.extend(array.copy() for array in arrays)

    for activation in ("tanh", "gelu"):
        backend.activate(x, y, activation, 0.0)
        backend.activate_backward(x, y, dy, dx, activation, 0.0)
        keep(y, dx)
    backend.softmax(x, y)
    backend.softmax_cross_entropy(x, labels, None, loss, dx, 0.1)
    keep(y, loss, dx)
    backend.mean_squared_error(x, dy, None, loss, dx)
    keep(loss, dx)
    statistics = running_mean, running_var, y, mean, rstd
    backend.batch_norm(x, gamma, beta, *statistics, 0.1, 1e-5)
    backend.batch_norm_backward(x, gamma, mean, rstd, dy, dx, dgamma, dbeta)
    keep(*statistics, dx, dgamma, dbeta)
    backend.layer_norm(x, gamma, beta, y, row_mean, row_rstd, 1e-5)
    backend.layer_norm_backward(x, gamma, row_mean, row_rstd, dy, dx, dgamma, dbeta)
    keep(y, dx, dgamma, dbeta)
    backend.dropout(x, step, y, 1, 2, 40000)
    backend.random_bits(step, bits, 1, 2)
    keep(y, bits)
    output = np.empty((700, 64), np.float32)
    backend.linear(x, w, None, output, "tanh", 0.0)
    dz, db, dw = np.empty_like(output), np.empty(64, np.float32), np.empty_like(w)
    backend.linear_backward(x, output, output, w, dz, dx, dw, db, "tanh", 0.0)
    keep(output, dz, db, dw, dx)
    backend.adamw(p, g, m, v, step, rate, 0.9, 0.999, 1e-8, 0.0, 0.1, 150_000)
    backend.l2_penalty(p, g, loss, 0.1)
    backend.clip_by_global_norm(g, norm, 1.0)
    keep(p, m, v, g, loss, norm)
    return found


@pytest.fixture
def eager_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have even small work dealt out."""
    for module in ("activations", "dropout", "hostarrays", "columns", "updates", "indexing"):
        monkeypatch.setattr(f"nnx_numba.{module}.GRAIN", 4096, raising=False)


def on_threads(threads: int, function: Callable[[], Any]) -> Any:
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        return function()
    finally:
        numba.set_num_threads(before)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one processor: nothing to deal out")
@pytest.mark.usefixtures("eager_threads")
def test_one_and_two_threads_give_the_same_bits(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dealt: set[str] = set()
    entry = Kernel.entry

    def noted(self: Kernel, arguments: tuple[Any, ...]) -> Any:
        dealt.add(self.name)
        return entry(self, arguments)

    monkeypatch.setattr(Kernel, "entry", noted)
    alone = on_threads(1, lambda: results(backend))
    assert not dealt
    together = on_threads(2, lambda: results(backend))
    assert {"batch_norm", "softmax_cross_entropy", "dropout", "adam", "squares", "slopes-tanh"} <= dealt
    for one, two in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("layer", ["workqueue", "default"])
def test_two_python_threads_may_launch_parallel_work_at_once(layer: str, package: Path) -> None:
    program = """
import threading
import numpy as np
from nnx_numba import NumbaBackend
backend, x = NumbaBackend(), np.linspace(-5, 5, 400_000, dtype=np.float32)
expected = np.empty_like(x)
backend.activate(x, expected, "tanh", 0.0)
wrong = []
def work():
    y = np.empty_like(x)
    for _ in range(50):
        backend.activate(x, y, "tanh", 0.0)
    if not np.array_equal(y, expected):
        wrong.append(y)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(wrong))
"""
    assert outcome(start(program, package, NUMBA_THREADING_LAYER=layer)) == ["0"]


def test_threads_that_sum_at_once_have_scratch_memory_of_their_own(backend: Any) -> None:
    x, t = normal(300, 400), normal(300, 400, seed=1)
    wrong: list[float] = []

    def work(scale: np.float32) -> None:
        outputs, gradient, loss, first = x * scale, np.empty_like(x), np.zeros((), "f4"), np.zeros((), "f4")
        backend.mean_squared_error(outputs, t, None, first, gradient)
        for _ in range(200):
            backend.mean_squared_error(outputs, t, None, loss, gradient)
            if loss != first:
                wrong.append(float(loss))

    threads = [threading.Thread(target=work, args=(np.float32(scale),)) for scale in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


SAMPLES = {
    "exp": (np.exp, -110.0, 92.0),
    "expm1": (np.expm1, -110.0, 0.0),
    "log1p": (np.log1p, 0.0, 1.0),
    "tanh": (np.tanh, -25.0, 25.0),
    "sigmoid": (lambda x: np.exp(-np.logaddexp(0, -x)), -110.0, 110.0),
    "softplus": (lambda x: np.logaddexp(0, x), -110.0, 110.0),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_an_elementary_function_is_within_4_ulp_of_the_exact_one(name: str) -> None:
    exact, low, high = SAMPLES[name]
    inner = getattr(elementary, name)

    def over(x: Any, y: Any) -> None:
        for i in range(x.size):
            y[i] = inner(x[i])

    x = np.linspace(low, high, 1_000_003, dtype=np.float32)
    tiny = np.float32(2) ** np.linspace(-149, 6, 4001, dtype=np.float32)
    x = np.concatenate([x, tiny[tiny <= high], -tiny[-tiny >= low]])
    y = np.empty_like(x)
    numba.njit(**FLAGS)(over)(x, y)
    with np.errstate(over="ignore", under="ignore"):
        want = exact(x.astype(np.longdouble))
        rounded = want.astype(np.float32)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(y[~finite], rounded[~finite])
    limit = 4 * np.spacing(np.abs(rounded[finite])) + np.finfo(np.float32).tiny
    assert np.all(np.abs(y[finite] - want[finite]) <= limit)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_special_values_pass_through_the_vectorised_activations(backend: Any, kind: Any) -> None:
    x = np.repeat(np.array([np.nan, np.inf, -np.inf, 0.0], kind), 33)
    y = np.empty_like(x)
    limits = {"sigmoid": (1, 0, 0.5), "tanh": (1, -1, 0), "softplus": (np.inf, 0, np.log(kind(2)))}
    limits |= {"gelu": (np.inf, 0, 0), "silu": (np.inf, 0, 0), "elu": (np.inf, -1, 0)}
    for activation, expected in limits.items():
        backend.activate(x, y, activation, 1.0)
        want = np.repeat(np.array([np.nan, *expected], kind), 33)
        np.testing.assert_allclose(y, want, rtol=4 * np.finfo(kind).eps, err_msg=activation)


def dense_step(backend: Any) -> Tape:
    """Record dense, batch norm, dropout, cross-entropy, their gradients and Adam, too little to deal out."""
    x, labels, w, b = normal(64, 100), np.arange(64) % 30, normal(100, 30, seed=1), normal(30, seed=2)
    gamma, beta, running_mean, running_var, mean, rstd, dgamma, dbeta, db = np.ones((9, 30), np.float32)
    z, h, dz, dh, dx = np.empty((5, 64, 30), np.float32)
    loss, rate, step = np.zeros((), "f4"), np.full((), 1e-3, "f4"), np.zeros((), "i8")
    p, g, m, v = np.ones((4, 3000), np.float32)
    statistics = running_mean, running_var, h, mean, rstd
    tape = Tape()
    tape.append(backend.linear, (x, w, b, z, "relu", 0.0))
    tape.append(backend.batch_norm, (z, gamma, beta, *statistics, 0.1, 1e-5))
    tape.append(backend.dropout, (h, step, dx, 1, 2, 40000))
    tape.append(backend.softmax_cross_entropy, (dx, labels, None, loss, dh, 0.1))
    tape.append(backend.batch_norm_backward, (z, gamma, mean, rstd, dh, dx, dgamma, dbeta))
    tape.append(backend.linear_backward, (x, z, dx, w, dz, None, g.reshape(100, 30), db, "relu", 0.0))
    tape.append(backend.clip_by_global_norm, (g, loss, 1.0))
    tape.append(backend.adam, (p, g, m, v, step, rate, 0.9, 0.999, 1e-8, 0.0))
    tape.append(backend.increment, (step,))
    return tape


def test_a_step_allocates_nothing_once_it_has_run(backend: Any) -> None:
    program = backend.compile(dense_step(backend))
    program.run(2)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    program.run(3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - before < 4096, "views and numbers aside, nothing is allocated"


def test_no_kernel_allocates_from_compiled_code(package: Path) -> None:
    program = """
import numpy as np
from nnx_numba import NumbaBackend, losses, normalization, updates
backend = NumbaBackend()
x, dx, labels = np.ones((8, 6), "f4"), np.ones((8, 6), "f4"), np.zeros(8, "i8")
columns, loss, g = np.ones((6, 6), "f4"), np.zeros((), "f4"), np.ones(40, "f4")
backend.batch_norm(x, *columns[:4], dx, *columns[4:], 0.1, 1e-5)
backend.softmax_cross_entropy(x, labels, None, loss, dx, 0.1)
backend.mean_squared_error(x, x, None, loss, dx)
backend.clip_by_global_norm(g, loss, 1.0)
kernels = normalization.batch_norm, losses.softmax_cross_entropy, losses._SQUARED, updates.squares, updates.clip
code = [text for kernel in kernels for text in kernel.run.inspect_asm().values()]
print(len(code), sum("NRT_MemInfo_alloc" in text or "NRT_Allocate" in text for text in code))
"""
    assert outcome(start(program, package)) == ["5", "0"]


def test_a_read_only_or_strided_input_is_compiled_once(backend: Any) -> None:
    x = normal(8, 6)
    y = np.empty((8, 6), np.float32)
    backend.activate(x, y, "tanh", 0.0)
    from nnx_numba.activations import _FORWARD

    known = len(_FORWARD["tanh"].run.signatures)
    frozen = x.copy()
    frozen.flags.writeable = False
    backend.activate(frozen, y, "tanh", 0.0)
    backend.activate(np.repeat(x, 2, axis=1)[:, ::2], y, "tanh", 0.0)
    assert len(_FORWARD["tanh"].run.signatures) == known
    assert hostarrays.plain(frozen).ctypes.data == frozen.ctypes.data
    np.testing.assert_allclose(y, np.tanh(x), rtol=1e-6)


def test_the_device_names_numba_and_the_threads(backend: Any) -> None:
    assert re.fullmatch(r"CPU, Numba \S+, \d+ threads? \(\w+\)", backend.device())
