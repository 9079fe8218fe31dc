import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import nnx
from nnx.cli import images


@pytest.fixture(scope="module")
def digits_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "digits.h5"
    (x, y), _ = nnx.datasets.digits()
    model = nnx.Sequential([nnx.Flatten(), nnx.Dense(64, "relu"), nnx.Dense(10)], backend="generic:numpy")
    model.compile("softmax_cross_entropy", nnx.Adam(0.01)).fit(x, y, epochs=10)
    model.save(path, {"classes": [f"digit {number}" for number in range(10)]})
    return path


@pytest.fixture
def pictures(tmp_path):
    """Ten pictures of test digits, magnified, as 8-bit grey PNG, and their labels."""
    _, (x, y) = nnx.datasets.digits()
    for index in range(10):
        image = Image.fromarray((x[index, :, :, 0] * 255).astype(np.uint8)).resize((64, 64), Image.Resampling.BOX)
        image.save(tmp_path / f"{index}.png")
    return [f"{index}.png" for index in range(10)], y[:10].tolist()


def _png(width, height):
    """Return a PNG that claims a size and holds almost no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")


def test_pictures_of_digits_are_recognised_and_named(run_nnx, digits_model, pictures):
    names, labels = pictures
    result = run_nnx("predict", digits_model, *names, "--backend", "generic:numpy", "--json")
    found = json.loads(result.stdout)
    assert [item["image"] for item in found] == names
    assert sum(item["class"] == label for item, label in zip(found, labels, strict=True)) >= 9
    assert all(item["name"] == f"digit {item['class']}" for item in found)
    assert all(0.1 <= item["probability"] <= 1 for item in found)
    table = run_nnx("predict", digits_model, names[0], "--backend", "generic:numpy").stdout
    assert found[0]["name"] in table


def test_ink_on_paper_inverted_equals_light_on_dark(run_nnx, digits_model, pictures, tmp_path):
    names, _ = pictures
    with Image.open(tmp_path / names[0]) as image:
        image.point(lambda value: 255 - value).save(tmp_path / "ink.png")
    plain = json.loads(run_nnx("predict", digits_model, names[0], "--json").stdout)
    inverted = json.loads(run_nnx("predict", digits_model, "ink.png", "--invert", "--json").stdout)
    assert inverted[0]["probability"] == pytest.approx(plain[0]["probability"], abs=1e-5)


def test_two_class_model_gives_the_probability_of_the_class_it_names(run_nnx, tmp_path):
    model = nnx.Sequential([nnx.Flatten(), nnx.Dense(1, init=-1.0)], backend="generic:numpy", input_shape=(4, 4, 3))
    model.compile("sigmoid_cross_entropy").save(tmp_path / "two.h5", {"classes": ["dark", "bright"]})
    Image.new("RGB", (9, 5), "white").save(tmp_path / "white.jpg")
    (found,) = json.loads(run_nnx("predict", "two.h5", "white.jpg", "--json").stdout)
    assert (found["class"], found["name"]) == (0, "dark")
    assert found["probability"] > 0.99


@pytest.mark.parametrize(
    ("name", "contents", "expected"),
    [
        ("text.png", b"no picture at all", "expected a picture"),
        ("empty.png", b"", "expected a picture"),
        ("cut.png", _png(64, 64), "damaged"),
        ("bomb.png", _png(60_000, 60_000), "expected at most 50,000,000 pixels"),
        ("large.png", _png(10_000, 10_000), "expected at most 50,000,000 pixels"),
        ("script.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "expected a picture"),
    ],
)
def test_hostile_picture_is_one_line_and_the_others_are_still_read(
    run_nnx, digits_model, pictures, tmp_path, name, contents, expected
):
    (tmp_path / name).write_bytes(contents)
    result = run_nnx("predict", digits_model, name, pictures[0][0], "--json")
    (line,) = result.stderr.splitlines()
    assert result.exit_code == 1
    assert line.startswith(f"error: {name}: ")
    assert expected in line
    assert [item["image"] for item in json.loads(result.stdout)] == [pictures[0][0]]


def test_missing_picture_folder_and_foreign_model_are_one_line(run_nnx, complaint, digits_model, tmp_path):
    (tmp_path / "model.h5").write_text("not a model")
    folder = run_nnx("predict", digits_model, ".", "--json")
    assert (folder.exit_code, folder.stdout) == (1, "[]\n")
    assert "it is a folder, not a file" in folder.stderr
    assert "model.h5" in complaint(run_nnx("predict", "model.h5", "a.png"))


def test_model_of_something_else_than_pictures_is_refused(run_nnx, complaint, tmp_path):
    model = nnx.Sequential([nnx.Dense(2)], backend="generic:numpy", input_shape=(5,))
    model.compile("softmax_cross_entropy").save(tmp_path / "flat.h5")
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    assert "needs a model of pictures" in complaint(run_nnx("predict", "flat.h5", "a.png"))


def test_transparent_deep_and_colour_pictures_become_what_people_see(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.fromarray(np.full((4, 4), 32896, np.uint16)).save(tmp_path / "deep.png")
    Image.new("RGB", (4, 4), (255, 0, 0)).save(tmp_path / "red.png")
    assert images.read_image(tmp_path / "clear.png", (2, 2, 1)).tolist() == np.ones((2, 2, 1)).tolist()
    assert images.read_image(tmp_path / "deep.png", (2, 2, 1))[0, 0, 0] == pytest.approx(128 / 255)
    assert images.read_image(tmp_path / "red.png", (2, 2, 3))[1, 1].tolist() == [1, 0, 0]
