"""What the Tab key offers: asked in the way in which the shells ask, by environment variables."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import nnx
from nnx.cli import app
from nnx.cli.loading import PLACES
from nnx.examples import EXAMPLES
from nnx.experiments import EXPERIMENTS
from nnx.optimizers import OPTIMIZERS

SLOW = ("numba", "scipy", "joblib", "matplotlib", "rich", "PIL", "pydantic", "onnx", "sklearn", "mpi4py")

ALLOWED_SECONDS = 0.2
"""Of processor time, for all but `import nnx`: a tenth of a second, twice over."""


@pytest.fixture
def offered(monkeypatch, tmp_path):
    """Return what is offered where the cursor stands at the end of a line."""
    monkeypatch.chdir(tmp_path)

    def offer(line):
        words = line.split()
        asked = {
            "_NNX_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - (not line.endswith(" "))),
        }
        return CliRunner().invoke(app, prog_name="nnx", env=asked).stdout.split()

    return offer


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("nnx ", list(PLACES)),
        ("nnx ex", ["export", "example", "experiment"]),
        ("nnx data ", ["list", "fetch"]),
        ("nnx train ", list(nnx.datasets.names("images"))),
        ("nnx train di", ["digits"]),
        ("nnx train digits --optimizer ", list(OPTIMIZERS)),
        ("nnx train digits --optimizer ad", ["adam", "adamw"]),
        ("nnx train digits --activation ge", ["gelu"]),
        ("nnx train digits --init he", ["he", "he_uniform"]),
        ("nnx train digits --dtype ", ["float32", "float64"]),
        ("nnx train digits --backend nu", ["numpy", "numba"]),
        ("nnx train digits --batch-n", ["--batch-norm"]),
        ("nnx diff model.h5 nump", ["numpy"]),
        ("nnx diff model.h5 numpy numb", ["numba"]),
        ("nnx bench --backend cu", ["cupy"]),
        ("nnx check numba --kernel softmax_c", ["softmax_cross_entropy"]),
        ("nnx data fetch fa", ["fashion_mnist"]),
        ("nnx example run ", list(EXAMPLES)),
        ("nnx experiment run ", list(EXPERIMENTS)),
        ("nnx train digits --optimizer no", []),
    ],
)
def test_names_are_offered(offered, line, expected):
    assert offered(line) == expected


def test_a_backend_of_another_package_is_offered(offered, monkeypatch):
    monkeypatch.setitem(nnx.registry._registered, "other", lambda: pytest.fail("it was loaded"))
    assert offered("nnx train digits --backend ot") == ["other"]


def test_files_of_models_are_offered_wherever_they_lie_below(offered, tmp_path):
    for name in ("mnist.h5", "notes.txt", "runs/demo/digits.h5", "runs/kept.h5", ".hidden/old.h5", "run.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert offered("nnx predict ") == ["mnist.h5", "runs/demo/digits.h5", "runs/kept.h5"]
    assert offered("nnx predict runs/k") == ["runs/kept.h5"]
    assert offered("nnx predict ./m") == ["./mnist.h5"]
    assert offered(f"nnx export {tmp_path}/runs/d") == [f"{tmp_path}/runs/demo/digits.h5"]
    assert offered("nnx train digits --checkpoint runs/") == ["runs/demo/digits.h5", "runs/kept.h5"]
    assert offered("nnx train digits --config ") == ["run.toml"]
    assert offered("nnx predict nowhere/") == []


def test_files_below_a_folder_that_cannot_be_read_or_never_ends_are_left_out(offered, tmp_path):
    (tmp_path / "again").symlink_to(tmp_path)
    (tmp_path / "broken.h5").symlink_to(tmp_path / "nothing")
    (tmp_path / "model.h5").touch()
    assert offered("nnx predict m") == ["model.h5"]


def test_options_that_end_a_command_do_nothing_while_a_line_is_completed(offered):
    assert offered("nnx train --schema --js") == ["--json"]
    assert offered("nnx --version --he") == ["--help"]
    assert offered("nnx train digits --config nowhere.toml --optimizer adamw") == ["adamw"]
    assert offered("nnx train digits --epochs many --optimizer adamw") == ["adamw"]


CODE = """
import json, os, sys, time
import nnx
os.environ.update(_NNX_COMPLETE="complete_bash", COMP_WORDS="nnx train digits --optimizer ad", COMP_CWORD="4")
began = time.process_time()
from nnx.cli import main
try:
    main()
except SystemExit:
    print(json.dumps([time.process_time() - began, list(sys.modules)]))
"""


def test_completion_takes_little_more_than_importing_nnx():
    def ask():
        done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=60)
        return json.loads(done.stdout.splitlines()[-1])

    seconds, modules = min(ask() for _ in range(3))
    assert set(modules) & {*SLOW, "nnx.experiments", "nnx.examples", "nnx.conformance", "nnx_numba"} == set()
    assert seconds < ALLOWED_SECONDS
