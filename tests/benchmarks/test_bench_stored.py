"""The tables of training from a file come from one command, and stand where their page has marks for them."""

import pytest

from benchmarks import reading, stored

PAGE = "# Page\n\n<!-- {0}: begin -->\nold\n<!-- {0}: end -->\n\nafter\n"


@pytest.fixture
def page(tmp_path, monkeypatch):
    found = tmp_path / "page.md"
    for name in ("SPEED", "WAYS"):
        monkeypatch.setattr(stored, name, found)
    monkeypatch.setattr(reading, "REPEATS", 1)
    monkeypatch.setattr("nnx.stored.plan.BUFFER_BYTES", 2**20)
    return found


def test_the_ways_of_reading_stand_between_the_marks_of_their_page(page):
    page.write_text(PAGE.format("ways"), encoding="utf-8")
    stored.main(["--ways", "--rows", "1000"])
    text = page.read_text(encoding="utf-8")
    assert "old" not in text
    assert text.endswith("<!-- ways: end -->\n\nafter\n")
    pieces = {way: int(text.split(f"| {way} | ")[1].split(" ")[0]) for way in reading.WAYS}
    stretch, scattered, whole = pieces.values()
    assert stretch <= whole / 2 + 1 < scattered


def test_what_is_measured_in_part_is_told_and_not_written(page, capsys):
    page.write_text("as it was", encoding="utf-8")
    chosen = ["--backend", "numpy", "--storage", "uint8", "--network", "784-20-7-5-10"]
    stored.main(["--rows", "1000", "--turns", "1", *chosen])
    assert page.read_text(encoding="utf-8") == "as it was"
    assert "| 784-20-7-5-10 | numpy | uint8 |" in capsys.readouterr().out


def test_every_table_has_its_marks():
    speed, ways = (page.read_text(encoding="utf-8") for page in (stored.SPEED, stored.WAYS))
    for text, marks in ((speed, ("reading", "training")), (ways, ("ways",))):
        for mark in marks:
            assert text.index(f"<!-- {mark}: begin -->") < text.index(f"<!-- {mark}: end -->")
