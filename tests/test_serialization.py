"""Saved models come back whole, and files that are something else are refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

import nnx
from nnx.errors import FileFormatError, NotBuiltError, OptionError
from nnx.hdf5 import CHECKSUM, checksum

RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(60, 4)).astype("float32"), RNG.integers(0, 3, 60)


def make_model(backend: str | nnx.Backend = "numpy") -> nnx.Sequential:
    schedule = nnx.schedules.WarmUp(nnx.schedules.Cosine(0.01, 5), 1)
    layers = [
        nnx.Dense(8, activation="leaky_relu", alpha=0.2, l2=0.1),
        nnx.Residual([nnx.Dense(8, activation="tanh"), nnx.LayerNorm()]),
        nnx.BatchNorm(momentum=0.2),
        nnx.Dropout(0.3),
        nnx.Dense(3, init="glorot_uniform"),
    ]
    model = nnx.Sequential(layers, seed=7, backend=backend)
    return model.compile(nnx.losses.SoftmaxCrossEntropy(smoothing=0.1), nnx.AdamW(schedule), l2=0.01)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model = make_model()
    model.fit(X, Y, epochs=2, batch_size=16)
    path = tmp_path / "model.h5"
    model.save(path, {"classes": ["a", "b", "c"]})
    return path


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
    assert loaded.epoch == 2


def test_a_model_saved_on_one_backend_loads_on_another(saved):
    here, there = nnx.load(saved, backend="numpy"), nnx.load(saved, backend="generic:array_api_strict")
    np.testing.assert_allclose(here.predict(X), there.predict(X), rtol=1e-5, atol=1e-6)


def test_a_model_without_loss_can_be_saved(tmp_path):
    model = nnx.Sequential([nnx.Dense(2)], input_shape=(3,), backend="numpy")
    model.save(tmp_path / "bare.h5")
    loaded = nnx.load(tmp_path / "bare.h5", backend="numpy")
    np.testing.assert_array_equal(loaded.predict(np.ones((2, 3))), model.predict(np.ones((2, 3))))


def test_an_unbuilt_model_is_not_saved(tmp_path):
    with pytest.raises(NotBuiltError, match="no weights yet"):
        make_model().save(tmp_path / "model.h5")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_the_former_file_and_nothing_else(saved):
    before = saved.read_bytes()
    model = nnx.Sequential([nnx.Dense(2, init=nnx.initializers.orthogonal)], input_shape=(3,), backend="numpy")
    with pytest.raises(OptionError, match="cannot be saved; use one of the initialisers' names"):
        model.save(saved)
    with pytest.raises(OptionError, match="not JSON"):
        make_built().save(saved, {"oops": object()})
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


class OwnSGD(nnx.SGD):
    """A class of one's own under an inherited name."""


class OwnError(nnx.losses.MeanSquaredError):
    """A class of one's own under an inherited name."""


class OwnLoss(nnx.losses.Loss):
    """No dataclass, and without a name."""

    targets = "values"


class OwnDense(nnx.Dense):
    """A layer of one's own."""


class OwnSchedule(nnx.schedules.Schedule):
    """No dataclass."""

    def __call__(self, _epoch: float) -> float:
        return 0.1


@pytest.mark.parametrize(
    ("make_layer", "loss", "optimizer", "name"),
    [
        (lambda: OwnDense(2), "huber", "sgd", "OwnDense"),
        (lambda: nnx.Residual([OwnDense(4)]), "huber", "sgd", "OwnDense"),
        (lambda: nnx.Dense(2), OwnError(), "sgd", "OwnError"),
        (lambda: nnx.Dense(2), OwnLoss(), "sgd", "OwnLoss"),
        (lambda: nnx.Dense(2), "huber", OwnSGD(), "OwnSGD"),
        (lambda: nnx.Dense(2), "huber", nnx.SGD(OwnSchedule()), "OwnSchedule"),
        (lambda: nnx.Dense(2), "huber", nnx.SGD(nnx.schedules.WarmUp(OwnSchedule(), 1)), "OwnSchedule"),
    ],
    ids=["layer", "inner layer", "loss", "loss without name", "optimizer", "schedule", "inner schedule"],
)
def test_what_could_not_be_read_back_as_it_was_is_not_saved(saved, make_layer, loss, optimizer, name):
    before = saved.read_bytes()
    model = nnx.Sequential([make_layer()], input_shape=(4,), backend="numpy").compile(loss, optimizer)
    with pytest.raises(OptionError, match=rf"a model with a {name} cannot be saved.*model.save_weights\(path\)"):
        model.save(saved)
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


@pytest.mark.parametrize("path", [3, None, b"model.h5"])
def test_a_path_that_is_none_is_named(path):
    for use in (nnx.load, make_built().save):
        with pytest.raises(OptionError, match=r"path must be a text or a pathlib\.Path, got"):
            use(path)


def make_built() -> nnx.Sequential:
    model = make_model()
    model.build((4,))
    return model


def test_saving_into_a_folder_that_is_not_there_says_so(tmp_path):
    with pytest.raises(OptionError, match=r"path must lie in a folder that exists, got .*; make .*absent. first"):
        make_built().save(tmp_path / "absent" / "model.h5")


def test_a_missing_file_is_named():
    with pytest.raises(FileFormatError, match=r"nothere\.h5: there is no such file"):
        nnx.load("nothere.h5")


@pytest.mark.parametrize("keep", [0, 7, 100, 0.5, 0.99])
def test_a_truncated_file_is_refused(saved, keep):
    data = saved.read_bytes()
    saved.write_bytes(data[: keep if isinstance(keep, int) else int(len(data) * keep)])
    with pytest.raises(FileFormatError):
        nnx.load(saved)


def test_a_foreign_hdf5_file_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["images"] = np.zeros(3)
    with pytest.raises(FileFormatError, match="expected a file of format 'nnx model', got None"):
        nnx.load(tmp_path / "other.h5")


def seal(file: h5py.File, name: str, values: np.ndarray) -> None:
    """Write a dataset as a forger would, its checksum with it."""
    file[name] = values
    file[name].attrs[CHECKSUM] = checksum(values)


def edit_config(path: Path, change) -> None:
    with h5py.File(path, "r+") as file:
        config = json.loads(file["config"][...].tobytes())
        change(config)
        del file["config"]
        seal(file, "config", np.frombuffer(json.dumps(config).encode(), np.uint8))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: config["layers"][0].update(type="os.system"), "Unknown type 'os.system'"),
        (lambda config: config["layers"][4]["options"].update(units=9), "do not fit together"),
        (lambda config: config["layers"][0]["options"].update(units=-1), "units must be a whole number"),
        (lambda config: config["layers"][0]["options"].update(extra=1), "extra"),
        (lambda config: config.pop("layers"), "layers"),
        (lambda config: config.update(dtype="float16"), "does not describe a model"),
        (lambda config: config.update(seed="x"), "seed must be an integer"),
        (lambda config: config["optimizer"].update(type="lion"), "Unknown type 'lion'"),
        (lambda config: config.update(views=[]), "do not fit together"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(saved, change, message):
    edit_config(saved, change)
    with pytest.raises(FileFormatError, match=message):
        nnx.load(saved, backend="numpy")


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("values", np.zeros(3, "float32"), "expected dataset 'values' to be float32 of shape"),
        ("values", None, "expected a dataset 'values'"),
        ("step", np.int32(3), "expected dataset 'step' to be int64"),
        ("moment.first_moment", None, "expected a dataset 'moment.first_moment'"),
    ],
)
def test_a_dataset_of_another_shape_or_none_is_refused(saved, name, values, message):
    with h5py.File(saved, "r+") as file:
        del file[name]
        if values is not None:
            file[name] = values
    with pytest.raises(FileFormatError, match=message):
        nnx.load(saved, backend="numpy")


def test_weights_that_are_nan_are_refused(saved):
    with h5py.File(saved, "r+") as file:
        values = file["values"][...]
        values[0] = np.nan
        del file["values"]
        seal(file, "values", values)
    with pytest.raises(FileFormatError, match="values holds NaN"):
        nnx.load(saved, backend="numpy")


def test_a_flipped_bit_is_noticed(saved):
    with h5py.File(saved, "r+") as file:
        file["values"][3] = np.nextafter(file["values"][3], np.float32(1))
    with pytest.raises(FileFormatError, match="the contents of 'values' do not have their checksum"):
        nnx.load(saved, backend="numpy")


def test_a_missing_checksum_is_noticed(saved):
    with h5py.File(saved, "r+") as file:
        del file["state"].attrs[CHECKSUM]
    with pytest.raises(FileFormatError, match="the contents of 'state' do not have their checksum"):
        nnx.load(saved, backend="numpy")


def test_another_version_is_refused(saved):
    with h5py.File(saved, "r+") as file:
        file.attrs["version"] = 99
    with pytest.raises(FileFormatError, match="expected version 2, got"):
        nnx.load(saved, backend="numpy")


def test_a_link_to_another_file_is_not_followed(saved, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["values"] = np.zeros(3)
    with h5py.File(saved, "r+") as file:
        del file["values"]
        file["values"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "values")
    with pytest.raises(FileFormatError, match="stored in the file, got a link"):
        nnx.load(saved, backend="numpy")


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
