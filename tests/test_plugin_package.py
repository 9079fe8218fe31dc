"""A backend in a package of its own: built, installed elsewhere, and found by its entry point."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import nnx

PACKAGE = Path(__file__).parent / "plugin_package"

TRAINING = """
import sys
import numpy as np
import nnx

name = sys.argv[1]
nnx.set_backend(name)
x, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
models = [
    nnx.Sequential([nnx.Dense(4, "tanh"), nnx.Dense(2)], seed=1, dtype="float64", backend=backend)
    for backend in (None, "numpy")
]
for model in models:
    model.compile("softmax_cross_entropy", nnx.SGD(0.1))
losses = [model.fit(x, y, epochs=2, batch_size=16)["loss"] for model in models]
assert models[0].backend.name == name, models[0].backend
np.testing.assert_allclose(*losses, rtol=1e-10)
np.testing.assert_allclose(*(model.predict(x) for model in models), rtol=1e-9)
print(*(entry.name for entry in nnx.available_backends()))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, installed offline into a folder of its own."""
    if find_spec("setuptools") is None:
        pytest.skip("setuptools, which builds the package, is not installed")
    folder = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(PACKAGE, folder / "source")  # builds leave files beside what they build
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(folder / "site"), str(source)],
        check=True,
    )
    return folder / "site"


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = [str(installed), str(Path(nnx.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    environment.pop("NNX_BACKEND", None)
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["strict", "torch-cpu"])
def test_an_installed_package_s_backend_is_found_and_trains(installed: Path, name: str) -> None:
    if name == "torch-cpu" and find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    done = run(installed, "-c", TRAINING, name)
    assert done.returncode == 0, done.stderr
    assert {"strict", "torch-cpu", "torch-cuda", "numpy"} <= set(done.stdout.split())


def test_the_command_line_finds_it_too(installed: Path) -> None:
    done = run(installed, "-c", "from nnx.cli import main; main()", "check", "strict", "--kernel", "increment")
    assert done.returncode == 0, done.stderr
    assert "passed" in done.stdout
