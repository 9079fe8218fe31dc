"""What a report says of runs, experiments and benchmarks, and what it makes of files of strangers."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from support import benchmark_results, experiment_reports
from support.pages import Reader
from support.reports import page_of, save_run
from support.saved_models import X, Y, edit_config, make_model, seal

import nnx
from nnx.errors import FileFormatError
from nnx.experiments.reporting.writing import write
from nnx.report import results
from nnx.report.finding import find
from nnx.report.page import make

NO_DRAWING = "matplotlib is not installed: nothing draws pictures"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAAAAABX3VL4AAAADklEQVQI12P4z8DAwPAfAAcAAf9nb0JHAAAAAElFTkSuQmCC"
)


def pairs(reader: Reader) -> dict[str, str]:
    return {row[0]: row[1] for row in reader.cells if len(row) == 2}


def test_a_kept_run_is_shown_with_network_options_curves_figures_machine_and_versions(folder):
    save_run(folder / "run.h5")
    reader = page_of(Path("run.h5"))
    history = nnx.serialization.read_record("run.h5").history
    assert ["loss", *[f"{history['loss'][-1]:.4g}"] * 2, "2"] in reader.cells
    assert ["0 Dense(8, activation='leaky_relu', l2=0.1, alpha=0.2)", "(N, 8)", "40"] in reader.cells
    shown = pairs(reader)
    assert shown["batch size"] == "16"
    assert shown["loss"] == "SoftmaxCrossEntropy(smoothing=0.1)"
    assert "EarlyStopping" in shown["callbacks"]
    assert shown["backend"] == "numpy"
    assert shown["numpy"] == np.__version__
    assert shown["device"] == nnx.registry.get("numpy").device()
    words = [given["alt"] for tag, given in reader.tags if tag == "img"]
    assert words == ["Loss over the epochs", "Accuracy over the epochs"]


def test_runs_are_compared_in_a_table_that_leads_to_each(folder):
    for name in ("a.h5", "b.h5"):
        save_run(folder / name)
    reader = page_of(folder / "a.h5", Path("b.h5"))
    assert [row[0] for row in reader.cells[:3]] == ["run", f"{folder.name}/a.h5", "b.h5"]
    assert reader.cells[0][1:] == ["epochs", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    anchors = {given["id"] for tag, given in reader.tags if tag == "section"}
    assert {given["href"] for tag, given in reader.tags if tag == "a"} == {f"#{anchor}" for anchor in anchors}
    assert str(folder) not in "".join(reader.text)  # whose machine it is


@pytest.mark.usefixtures("folder")
def test_a_model_without_a_history_is_shown_and_it_is_said_where_histories_come_from():
    model = make_model()
    model.build((4,))
    model.save("model.h5", {"classes": ["<b>", "c"]})
    reader = page_of(Path("model.h5"))
    assert "checkpoints keep what was measured too" in "".join(reader.text)
    assert pairs(reader)["classes"] == "['<b>', 'c']"
    assert "img" not in {tag for tag, _ in reader.tags}


@pytest.mark.usefixtures("folder")
def test_a_run_that_was_kept_before_its_first_epoch_ended_is_shown():
    class Stop(nnx.callbacks.Callback):
        every = 2

        def config(self) -> None:
            """Training does not depend on it."""

        def on_steps(self, *_) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_model().fit(X, Y, batch_size=16, callbacks=[nnx.callbacks.Checkpoint("run.h5", every=1), Stop()])
    assert "No epoch was done yet." in page_of(Path("run.h5")).text


def test_the_weights_of_a_run_are_not_read(folder):
    save_run(folder / "run.h5")
    with h5py.File("run.h5", "r+") as file:
        file["values"][0] += 1  # the checksum is no longer that of the contents
    assert pairs(page_of(Path("run.h5")))["seed"] == "7"


def test_texts_of_strangers_are_shown_as_texts_and_not_without_end(folder):
    save_run(folder / "run.h5")
    evil = "<script>alert(1)</script>"

    def change(config):
        config["metadata"] = {evil: evil, "long": "y" * 10_000, **{f"m{n}": n for n in range(500)}}
        config["versions"] = {evil: [evil]}
        config["run"]["measurements"][evil] = 1

    edit_config(folder / "run.h5", change)
    with h5py.File("run.h5", "r+") as file:
        number = sum(name.startswith("history.") for name in file)
        seal(file, f"history.{number}", np.array([0.5]))
    markup = make(find([Path("run.h5")])).html()
    reader = Reader(markup)
    assert "script" not in {tag for tag, _ in reader.tags}
    assert [evil, evil] in reader.cells
    assert [evil, "0.5", "0.5", "1"] in reader.cells
    assert "y" * 301 not in markup
    assert "m499" not in markup


def test_the_report_of_an_experiment_is_shown_as_it_is_by_itself(folder):
    pytest.importorskip("matplotlib", reason=NO_DRAWING)
    report = experiment_reports.sample(pictures=experiment_reports.pictures)
    write(report, folder / "toy")
    (folder / "toy" / "runs").mkdir()
    (folder / "toy" / "runs" / "kept.json").write_text('{"format": 1, "rounds": []}')
    by_itself = Reader((folder / "toy" / "report.html").read_text(encoding="utf-8"))
    for path in (Path("toy"), Path("toy/report.json")):
        reader = page_of(path)
        assert reader.cells == by_itself.cells
        images = [[given["src"] for tag, given in found.tags if tag == "img"] for found in (reader, by_itself)]
        assert images[0] == images[1]
        assert len(images[0]) == 2


def test_two_reports_of_one_experiment_have_places_of_their_own(folder):
    pytest.importorskip("matplotlib", reason=NO_DRAWING)
    for name in ("numpy", "numba"):
        write(experiment_reports.sample(pictures=experiment_reports.pictures), folder / name)
    names = [given["id"] for _, given in page_of(Path("numpy"), Path("numba")).tags if "id" in given]
    assert len(names) == len(set(names)) == 6


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "missing.png", "x" * 5000])
def test_pictures_elsewhere_or_nowhere_are_not_shown(folder, name):
    (folder / "toy").mkdir()
    (folder / "secret.png").write_bytes(PNG)
    values = experiment_reports.sample().to_json()
    values["pictures"] = [{"file": name, "title": "a", "caption": "b"}]
    (folder / "toy" / "report.json").write_text(json.dumps(values))
    assert "img" not in {tag for tag, _ in page_of(Path("toy")).tags}


def test_a_picture_that_is_none_is_not_taken_into_the_page(folder):
    values = experiment_reports.sample().to_json()
    values["pictures"] = [{"file": "p.png", "title": "a", "caption": "b"}]
    (folder / "report.json").write_text(json.dumps(values))
    (folder / "p.png").write_bytes(b"<svg onload='alert(1)'/>")
    page = make(find([Path("report.json")]))
    assert page.sections == {}
    assert "it is no PNG" in page.left_out[Path("report.json")]
    (folder / "p.png").write_bytes(PNG)
    assert len(make(find([Path("report.json")])).sections) == 1


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"])
def test_addresses_that_are_no_pages_are_no_links(folder, address):
    values = experiment_reports.sample().to_json()
    values["references"] = [{"what": "a", "address": address}]
    (folder / "report.json").write_text(json.dumps(values))
    reader = page_of(Path("report.json"))
    assert [given["href"] for tag, given in reader.tags if tag == "a"] == ["#part-1"]
    assert address in "".join(reader.text)


def test_benchmarks_are_shown_as_their_own_report_shows_them_and_drawn_once(folder):
    pytest.importorskip("matplotlib", reason=NO_DRAWING)
    from benchmarks import report

    path = folder / "cpu.json"
    path.write_text(json.dumps(benchmark_results.sample()))
    first = results.benchmark(path)
    assert Reader(first.body).cells == Reader(report.page(benchmark_results.sample())).cells
    assert results.benchmark(path) is first
    found = benchmark_results.sample()
    found["rounds"][0]["threads"] = 7
    path.write_text(json.dumps(found))
    assert "7 threads" in results.benchmark(path).body


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (lambda found: found.update(rounds=found["rounds"] * 17), "at most 16 rounds are drawn, got 17"),
        (lambda found: found.pop("machine"), "'machine'"),
        (
            lambda found: found["rounds"][0]["limits"].update(capacity={f"L{n}": n for n in range(1, 10)}),
            "at most 8 levels of memory are drawn, got 9",
        ),
    ],
)
def test_results_that_no_run_measures_are_refused(folder, change, wrong):
    found = benchmark_results.sample()
    change(found)
    (folder / "cpu.json").write_text(json.dumps(found))
    with pytest.raises(FileFormatError, match=f"cpu.json: its results are damaged: {re.escape(wrong)}"):
        results.benchmark(folder / "cpu.json")


def test_a_report_of_nothing_says_what_to_do(folder):
    assert "There is nothing to report on yet" in "".join(page_of(folder).text)


def test_the_page_forbids_what_is_not_inside_of_it(folder):
    policy = next(
        given for _, given in page_of(folder).tags if given.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy["content"].startswith("default-src 'none'")
