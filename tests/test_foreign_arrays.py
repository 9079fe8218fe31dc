"""Arrays of other libraries: taken where arrays are, without a copy where none is needed, and given back."""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.problems import classification, full_network, weights_of

import nnx
from nnx.border import plain_array
from nnx.errors import BackendError, DataError, DtypeError, NnxError

X, Y = classification(6)
SINGLE = X.astype(np.float32)


class Foreign:
    """An array that speaks DLPack and nothing else."""

    def __init__(self, held: np.ndarray, device: int = 1) -> None:
        self._held, self._device = held, device

    def __dlpack__(self, **options: Any) -> Any:
        if self._device != 1:
            if options.pop("dl_device", None) != (1, 0):
                raise BufferError("it lies on another device")
            options["copy"] = True
        return self._held.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._device, 0


class Interface:
    """An array that speaks NumPy's interface of addresses and nothing else."""

    def __init__(self, held: np.ndarray) -> None:
        self.held = held
        self.__array_interface__ = held.__array_interface__


def torch_of(values: np.ndarray) -> Any:
    return pytest.importorskip("torch", reason="PyTorch is not installed").from_numpy(values)


def learning_torch_of(values: np.ndarray) -> Any:
    return torch_of(values).requires_grad_()


def jax_of(values: np.ndarray) -> Any:
    return pytest.importorskip("jax", reason="JAX is not installed").numpy.asarray(values)


def frame_of(values: np.ndarray) -> Any:
    return pytest.importorskip("pandas", reason="pandas is not installed").DataFrame(values, copy=False)


def read_only(values: np.ndarray) -> Any:
    values = values.view()
    values.flags.writeable = False
    return Foreign(values)


HOLDERS: dict[str, Callable[[np.ndarray], Any]] = {
    "DLPack": Foreign,
    "read-only DLPack": read_only,
    "array interface": Interface,
    "memoryview": memoryview,
    "torch": torch_of,
    "torch with gradient": learning_torch_of,
    "pandas": frame_of,
}


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
def test_no_copy_is_made_of_what_lies_in_the_memory_of_the_host(holder: Callable[[np.ndarray], Any]) -> None:
    values = SINGLE.copy()
    taken = plain_array(holder(values), "x")
    assert np.shares_memory(taken, values)
    np.testing.assert_array_equal(taken, SINGLE)
    assert taken.dtype == np.float32


def test_a_copy_of_jax_is_that_of_its_own_memory() -> None:
    given = jax_of(SINGLE)
    assert np.shares_memory(plain_array(given, "x"), np.from_dlpack(given))


def test_what_lies_on_a_device_is_copied_to_the_host() -> None:
    values = SINGLE.copy()
    taken = plain_array(Foreign(values, device=2), "x")
    np.testing.assert_array_equal(taken, values)
    assert not np.shares_memory(taken, values)


@pytest.mark.parametrize("holder", [*HOLDERS.values(), jax_of], ids=[*HOLDERS, "jax"])
def test_a_model_trains_and_predicts_on_them_as_on_numpy_s(holder: Callable[[np.ndarray], Any]) -> None:
    plain, model = (full_network("numpy", "float32") for _ in range(2))
    values = SINGLE.copy()
    plain.fit(SINGLE, Y, epochs=2, batch_size=4)
    model.fit(holder(values), Y, epochs=2, batch_size=4)
    np.testing.assert_array_equal(weights_of(model), weights_of(plain))
    np.testing.assert_array_equal(model.predict(holder(values)), plain.predict(SINGLE))
    np.testing.assert_array_equal(values, SINGLE)


@pytest.mark.parametrize("labels", [array.array("b", Y.tolist()), memoryview(Y), Foreign(Y)])
def test_labels_come_in_the_same_ways(labels: Any) -> None:
    assert full_network("numpy").evaluate(X, labels) == full_network("numpy").evaluate(X, Y)


def test_a_series_is_a_column_of_targets() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame({"left": X[:, 0], "right": X[:, 1], "class": Y}, index=range(10, 16))
    labels = plain_array(frame["class"], "y")
    assert np.shares_memory(labels, frame["class"].to_numpy())
    np.testing.assert_array_equal(labels, Y)
    missing = frame["class"].astype("Int64").where(frame["class"] > 0)
    with pytest.raises(DataError, match="y holds NaN or infinity as float64, first in row 0"):
        full_network("numpy").evaluate(X, missing)


class Lazy:
    """An array whose library does not copy it to the host."""

    def __dlpack__(self, **_: Any) -> Any:
        raise BufferError("it stays here")

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0


def of_torch(make: Callable[[Any], Any]) -> Callable[[], Any]:
    return lambda: make(pytest.importorskip("torch", reason="PyTorch is not installed"))


def sparse() -> Any:
    from scipy import sparse as matrices

    return matrices.csr_array(X)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (of_torch(lambda torch: torch.ones(2, 4).bfloat16()), DtypeError, "got torch.bfloat16; convert to float32"),
        (
            of_torch(lambda torch: torch.eye(4).to_sparse()),
            DtypeError,
            "x must be dense, got a sparse Tensor; give",
        ),
        (of_torch(lambda torch: torch.ones(2, 4, device="meta")), BackendError, "torch does not copy it there by"),
        (
            of_torch(lambda torch: torch.ones(2, 4).to(torch.complex64)),
            DtypeError,
            "got dtype complex64. Give real",
        ),
        (sparse, DtypeError, "x must be dense, got a sparse csr_array; give x.toarray()."),
        (Lazy, BackendError, "x does not lie in the memory of the host, and test_foreign_arrays does not copy it"),
        (lambda: jax_of(SINGLE).astype("bfloat16"), DtypeError, "got bfloat16; convert to float32 first."),
    ],
    ids=["bfloat16", "sparse", "no data", "complex", "sparse matrix", "a device", "bfloat16 of JAX"],
)
def test_what_cannot_be_taken_is_refused_with_the_way_out(
    make: Callable[[], Any], error: type[NnxError], says: str
) -> None:
    model = full_network("numpy")
    with pytest.raises(error) as caught:
        model.predict(make())
    assert says in str(caught.value)


def test_a_negated_view_of_torch_is_read_with_its_sign() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    lazy = torch.complex(torch.zeros(3), torch.ones(3)).conj().imag  # a view whose sign is a bit beside it
    np.testing.assert_array_equal(plain_array(lazy, "x"), [-1, -1, -1])


def test_weights_and_predictions_are_taken_by_others_without_a_copy() -> None:
    model = full_network("numba")
    given = [model.predict(X), *model.get_weights().values()]
    for values in given:
        assert np.shares_memory(np.from_dlpack(values), values)
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    for values in given:
        tensor = torch.from_dlpack(values)
        assert tensor.data_ptr() == values.ctypes.data
        assert np.shares_memory(tensor.numpy(), values)


def test_weights_come_back_from_other_libraries() -> None:
    model, other = full_network("numpy", seed=1), full_network("numpy", seed=2)
    other.set_weights({name: Foreign(values) for name, values in model.get_weights().items()})
    for name, values in other.get_weights().items():
        np.testing.assert_array_equal(values, model.get_weights()[name])


def test_an_array_without_data_is_refused_where_its_engine_is_loaded_too() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    nnx.get_backend("generic:torch")
    with pytest.raises(BackendError, match="torch does not copy it there by itself"):
        full_network("numpy").predict(torch.ones(2, 4, device="meta"))
