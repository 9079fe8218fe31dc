"""Saved models come back whole, and what could not come back is not saved."""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.saved_models import X, Y, make_built, make_model, save_trained

import nnx
from nnx import machine
from nnx.errors import DivergenceError, NotBuiltError, OptionError


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_trained(tmp_path / "model.h5")


def test_a_loaded_model_predicts_and_trains_on_exactly_like_the_saved_one(backend, tmp_path):
    model = make_model(backend)
    model.fit(X, Y, epochs=2, batch_size=16)
    model.save(tmp_path / "model.h5")
    loaded = nnx.load(tmp_path / "model.h5", backend=backend)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    first, second = (m.fit(X, Y, epochs=2, batch_size=16)["loss"] for m in (model, loaded))
    assert first == second
    for name, values in model.get_weights().items():
        np.testing.assert_array_equal(loaded.get_weights()[name], values)


def test_a_loaded_model_keeps_its_configuration_and_metadata(saved):
    loaded, original = nnx.load(saved, backend="numpy"), make_model()
    assert loaded.metadata == {"classes": ["a", "b", "c"]}
    assert (loaded.optimizer, loaded.loss, loaded.l2) == (original.optimizer, original.loss, original.l2)
    assert repr(loaded.chain.layers) == repr(original.chain.layers)
    assert (loaded.epoch, loaded.seed, loaded.dtype) == (2, 7, "float32")


def test_a_file_has_the_documented_layout(saved):
    with h5py.File(saved) as file:
        assert dict(file.attrs) == {"format": "nnx model", "version": 2}
        kinds = {name: (dataset.dtype.name, dataset.ndim) for name, dataset in file.items()}
        flat = dict.fromkeys(["values", "state", "moment.first_moment", "moment.second_moment"], ("float32", 1))
        assert kinds == {"config": ("uint8", 1), "step": ("int64", 0), **flat}
        for dataset in file.values():
            expected = hashlib.blake2b(dataset[...].tobytes(), digest_size=16).hexdigest()
            assert dict(dataset.attrs) == {"blake2b": expected}
            assert dataset.compression is None


def test_the_configuration_in_a_file_is_json_with_the_documented_names(tmp_path):
    model = nnx.Sequential([nnx.Dense(2), nnx.Dropout(0.5)], seed=7, dtype="float64", backend="numpy")
    model.build((3,))
    model.compile("huber", "momentum", l2=0.01)
    model.save(tmp_path / "model.h5", {"by": "me"})
    with h5py.File(tmp_path / "model.h5") as file:
        config = json.loads(file["config"][...].tobytes())
    dense = {"units": 2, "activation": "identity", "init": "he", "bias": True, "l2": None, "alpha": None}
    momentum = {"learning_rate": 0.01, "clip_norm": None, "mu": 0.9}
    assert config == {
        "layers": [{"type": "Dense", "options": dense}, {"type": "Dropout", "options": {"rate": 0.5}}],
        "input_shape": [3],
        "seed": 7,
        "dtype": "float64",
        "loss": {"type": "huber", "options": {"delta": 1.0}},
        "optimizer": {"type": "momentum", "options": momentum},
        "l2": 0.01,
        "epoch": 0,
        "views": [
            {"name": "0.weight", "start": 0, "shape": [3, 2]},
            {"name": "0.bias", "start": 8, "shape": [2]},
        ],
        "metadata": {"by": "me"},
        "versions": {
            "nnx": nnx.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "backend": "numpy",
        },
        "machine": machine.described(nnx.registry.get("numpy").device()),
    }


def test_a_file_does_not_depend_on_the_time_at_which_it_is_written(saved):
    with h5py.File(saved) as file:
        assert {h5py.h5g.get_objinfo(file.id, name.encode()).mtime for name in file} == {0}


def test_precision_and_backend_of_a_loaded_model_are_those_of_the_file_and_of_the_call(tmp_path):
    model = nnx.Sequential([nnx.Dense(2)], input_shape=(3,), dtype="float64", backend="numpy")
    model.save(tmp_path / "model.h5")
    loaded = nnx.load(tmp_path / "model.h5", backend="generic:array_api_strict")
    assert (loaded.dtype, loaded.backend.name) == ("float64", "generic:array_api_strict")
    np.testing.assert_array_equal(loaded.get_weights()["0.weight"], model.get_weights()["0.weight"])


def test_configuration_and_metadata_may_take_a_mebibyte_and_no_more(tmp_path):
    model, path = make_built(), tmp_path / "model.h5"
    model.save(path, {"text": ""})
    with h5py.File(path) as file:
        room = 2**20 - file["config"].size
    model.save(path, {"text": "a" * room})
    assert nnx.load(path, backend="numpy").metadata == {"text": "a" * room}
    with pytest.raises(OptionError) as caught:
        model.save(path, {"text": "a" * (room + 1)})
    assert str(caught.value) == "configuration and metadata may take 1048576 bytes, got 1048577."


def test_a_model_saved_on_one_backend_loads_on_another(saved):
    here, there = nnx.load(saved, backend="numpy"), nnx.load(saved, backend="generic:array_api_strict")
    np.testing.assert_allclose(here.predict(X), there.predict(X), rtol=1e-5, atol=1e-6)


def test_a_model_without_loss_can_be_saved(tmp_path):
    model = nnx.Sequential([nnx.Dense(2)], input_shape=(3,), backend="numpy")
    model.save(tmp_path / "bare.h5")
    loaded = nnx.load(tmp_path / "bare.h5", backend="numpy")
    np.testing.assert_array_equal(loaded.predict(np.ones((2, 3))), model.predict(np.ones((2, 3))))


def test_a_file_that_is_hardly_more_than_its_weights_has_room_for_them(tmp_path):
    model = nnx.Sequential([nnx.Dense(100)], input_shape=(100,), backend="numpy")
    model.save(tmp_path / "large.h5")
    np.testing.assert_array_equal(
        nnx.load(tmp_path / "large.h5", backend="numpy").get_weights()["0.weight"], model.get_weights()["0.weight"]
    )


def test_an_unbuilt_model_is_not_saved(tmp_path):
    with pytest.raises(NotBuiltError, match="no weights yet"):
        make_model().save(tmp_path / "model.h5")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_the_former_file_and_nothing_else(saved):
    before = saved.read_bytes()
    model = nnx.Sequential([nnx.Dense(2, init=nnx.initializers.orthogonal)], input_shape=(3,), backend="numpy")
    with pytest.raises(
        OptionError, match="as an option cannot be saved; use one of the initialisers' names: "
    ) as caught:
        model.save(saved)
    assert str(caught.value).endswith(f": {', '.join(sorted(nnx.initializers.INITIALIZERS))}.")
    with pytest.raises(OptionError, match=r"^metadata is not JSON"):
        make_built().save(saved, {"oops": object()})
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({1: "one"}, "what stands under 1 would be changed; use lists instead of tuples, and texts as keys"),
        ({"shape": (28, 28)}, "what stands under 'shape' would be changed"),
        ({"inner": {"deep": [{2: "two"}]}}, "what stands under 'inner' would be changed"),
        ({"rate": float("nan")}, "metadata is not JSON"),
        (3, "metadata must be a dictionary of JSON values, got 3"),
        ([("a", 1)], "metadata must be a dictionary of JSON values, got"),
    ],
)
def test_metadata_that_json_would_change_are_refused_before_anything_is_written(tmp_path, metadata, says):
    with pytest.raises(OptionError) as caught:
        make_built().save(tmp_path / "model.h5", metadata)
    assert says in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_empty_metadata_replace_those_kept_so_far_and_none_keep_them(saved):
    model = nnx.load(saved, backend="numpy")
    model.save(saved)
    assert nnx.load(saved, backend="numpy").metadata == {"classes": ["a", "b", "c"]}
    model.save(saved, {})
    assert nnx.load(saved, backend="numpy").metadata == {}


def test_a_model_with_nan_is_not_saved_and_the_error_says_what_to_do(saved):
    before, model = saved.read_bytes(), make_built()
    model.store.values[0] = np.nan
    with pytest.raises(DivergenceError) as caught:
        model.save(saved)
    assert str(caught.value) == (
        "The model cannot be saved: values holds NaN or infinity. No file was changed; go back to weights that are "
        "finite, and lower the learning rate."
    )
    assert saved.read_bytes() == before


@pytest.mark.parametrize("path", [3, None, b"model.h5"])
def test_a_path_that_is_none_is_named(path):
    for use in (nnx.load, make_built().save):
        with pytest.raises(OptionError, match=r"path must be a text or a pathlib\.Path, got"):
            use(path)


def test_saving_into_a_folder_that_is_not_there_says_so(tmp_path):
    with pytest.raises(OptionError, match=r"path must lie in a folder that exists, got .*; make .*absent. first"):
        make_built().save(tmp_path / "absent" / "model.h5")


def test_checkpoints_are_whole_models_after_every_epoch(tmp_path):
    path = tmp_path / "run.h5"
    model = make_model()
    model.fit(X, Y, epochs=3, batch_size=16, callbacks=[nnx.callbacks.ModelCheckpoint(path)])
    loaded = nnx.load(path, backend="numpy")
    assert loaded.epoch == 3
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_a_checkpoint_in_a_missing_folder_is_refused_before_training(tmp_path):
    with pytest.raises(OptionError, match="folder that exists"):
        nnx.callbacks.ModelCheckpoint(tmp_path / "absent" / "run.h5")
