"""Files that are no saved models are refused in one sentence that says what to do."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.saved_models import edit_config, save_trained, seal

import nnx
from nnx.errors import FileFormatError, VersionError
from nnx.hdf5 import CHECKSUM


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_trained(tmp_path / "model.h5")


UNFIT = "its layers and the layout of its values do not fit together"
MODELS = "Give a file written by model.save() or nnx.callbacks.Checkpoint."


def says(path: Path) -> str:
    """Return why a file is refused, after its name and before the advice that ends each sentence."""
    with pytest.raises(FileFormatError) as caught:
        nnx.load(path, backend="numpy")
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert sentence.endswith(f". {MODELS}")
    return sentence.removeprefix(f"{path}: ").removesuffix(f". {MODELS}")


def test_a_missing_file_is_named(tmp_path):
    assert says(tmp_path / "nothere.h5") == "there is no such file"


@pytest.mark.parametrize("keep", [0, 7, 100, 0.5, 0.99])
def test_a_truncated_file_is_refused(saved, keep):
    data = saved.read_bytes()
    saved.write_bytes(data[: keep if isinstance(keep, int) else int(len(data) * keep)])
    says(saved)


def test_a_foreign_hdf5_file_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["images"] = np.zeros(3)
    assert says(tmp_path / "other.h5") == "expected a file of format 'nnx model', got None"


def test_a_file_of_another_format_is_refused_by_its_name(saved):
    with h5py.File(saved, "r+") as file:
        file.attrs["format"] = "weights of others"
    assert says(saved) == "expected a file of format 'nnx model', got 'weights of others'"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda config: config["layers"][0].update(type="os.system"), "Unknown type 'os.system'"),
        (lambda config: config["layers"][4]["options"].update(units=9), f"{UNFIT}$"),
        (lambda config: config["layers"][0]["options"].update(units=-1), "units must be a whole number"),
        (
            lambda config: config["layers"][0]["options"].update(units=10**7),
            "its layers have more values than there is room for$",
        ),
        (lambda config: config["layers"][0]["options"].update(extra=1), ".*extra"),
        (lambda config: config.pop("layers"), "'layers'$"),
        (lambda config: config.update(seed="x"), "seed must be an integer"),
        (lambda config: config["optimizer"].update(type="lion"), "Unknown type 'lion'"),
        (lambda config: config.update(views=[]), f"{UNFIT}$"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(saved, change, reason):
    edit_config(saved, change)
    assert re.match(f"config does not describe a model: {reason}", says(saved))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (b"{", "config is not JSON: Expecting property name enclosed in double quotes"),
        (b"[" * 100_000, "config is not JSON: "),
        (b"[]", "config does not describe a model$"),
        (b'{"dtype": "float16"}', "config does not describe a model$"),
        (b"{}", "config does not describe a model$"),
        (b" " * 2**20, "config is not JSON: "),
        (b" " * (2**20 + 1), "expected 'config' to be at most 1048576 bytes of text"),
    ],
    ids=["half", "deep", "list", "float16", "empty", "as long as may be", "too long"],
)
def test_a_configuration_that_is_none_is_refused(saved, config, reason):
    with h5py.File(saved, "r+") as file:
        del file["config"]
        seal(file, "config", np.frombuffer(config, np.uint8))
    assert re.match(reason, says(saved))


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
    assert says(saved) == "values holds NaN or infinity"


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
    assert says(saved) == "expected version 2, got 99"
    with pytest.raises(VersionError):
        nnx.load(saved, backend="numpy")


def test_a_link_to_another_file_is_not_followed(saved, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["values"] = np.zeros(3)
    with h5py.File(saved, "r+") as file:
        del file["values"]
        file["values"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "values")
    with pytest.raises(FileFormatError, match="stored in the file, got a link"):
        nnx.load(saved, backend="numpy")
