import json
import sys
import xml.etree.ElementTree as ElementTree

import pytest

import nnx
from nnx.registry import BackendInfo

TWO = [BackendInfo(name, True, "", "a processor") for name in ("numpy", "generic:numpy")]
ABSENT = BackendInfo("cupy", False, "No CUDA device was found.", "")


@pytest.fixture
def two_backends(monkeypatch):
    monkeypatch.setattr(sys.modules["nnx.cli.demo"], "available_backends", lambda: [*TWO, ABSENT])


@pytest.mark.usefixtures("two_backends")
def test_json_has_exactly_the_promised_shape_and_the_backends_agree(run_nnx):
    result = run_nnx("demo", "--epochs", "2", "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 0
    assert list(report) == ["dataset", "backends"]
    assert report["dataset"] == "digits"
    assert [backend["name"] for backend in report["backends"]] == ["numpy", "generic:numpy"]
    for backend in report["backends"]:
        keys = ["name", "test_accuracy", "final_loss", "max_weight_difference", "seconds_per_epoch"]
        assert list(backend) == keys
        assert backend["test_accuracy"] > 0.8
        assert backend["seconds_per_epoch"] > 0
    first, second = report["backends"]
    assert first["max_weight_difference"] == 0
    assert second["max_weight_difference"] < 1e-3
    assert second["final_loss"] == pytest.approx(first["final_loss"], rel=1e-4)
    assert "cupy left out: No CUDA device was found." in result.stderr.splitlines()


@pytest.mark.usefixtures("two_backends")
def test_table_names_every_backend_and_every_file_that_it_wrote(run_nnx, tmp_path):
    result = run_nnx("demo", "--epochs", "1", "--out", "some/where")
    assert all(name in result.stdout for name in ("numpy", "generic:numpy", "max weight"))
    assert "cupy left out" in result.stdout
    for name in ("learning_curves.svg", "digits.h5"):
        assert f"some/where/{name}" in result.stdout.replace("\\", "/")
        assert (tmp_path / "some" / "where" / name).is_file()
    picture = ElementTree.parse(tmp_path / "some" / "where" / "learning_curves.svg")
    words = [text.text for text in picture.iter() if text.tag.endswith("text")]
    assert {"numpy, training", "generic:numpy, validation", "epoch"} <= set(words)


@pytest.mark.usefixtures("two_backends")
def test_words_are_whole_in_a_narrow_terminal_whatever_the_device_is_called(run_nnx, monkeypatch):
    device = "AMD EPYC, OpenBLAS Haswell (forced by OPENBLAS_CORETYPE), 2 threads on a large board"
    found = [
        BackendInfo("numpy", True, "", device),
        BackendInfo("cupy", False, "No CUDA device was found. " * 5, ""),
    ]
    monkeypatch.setattr(sys.modules["nnx.cli.demo"], "available_backends", lambda: found)
    monkeypatch.setenv("COLUMNS", "80")
    lines = run_nnx("demo", "--epochs", "1").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert device in " ".join(lines)
    assert "No CUDA device was found. " * 4 in " ".join(lines)


def test_published_settings_reach_their_accuracy_for_another_seed(run_nnx, monkeypatch):
    monkeypatch.setattr(sys.modules["nnx.cli.demo"], "available_backends", lambda: TWO[:1])
    (backend,) = json.loads(run_nnx("demo", "--json", "--seed", "3").stdout)["backends"]
    assert backend["test_accuracy"] >= 0.97


def test_folder_that_cannot_be_made_is_reported_before_training(run_nnx, complaint, tmp_path, monkeypatch):
    monkeypatch.setattr(nnx.Sequential, "fit", lambda *_a, **_k: pytest.fail("training had begun"))
    (tmp_path / "file").write_text("")
    result = run_nnx("demo", "--out", "file/inside")
    assert "--out: the folder" in complaint(result)
    assert result.exit_code == 2
