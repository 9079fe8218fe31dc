"""What a report holds, as HTML, Markdown and JSON, and what is said of how it was made."""

import getpass
import json
import platform
import re
import struct
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy
import pytest
from support.experiment_reports import COMMAND, COST, PROVENANCE, Still, experiment, pictures, results, sample

import nnx
from nnx import datasets
from nnx.experiments import EXPERIMENTS, Quantity, Row
from nnx.experiments.execution.keeping import Done
from nnx.experiments.reporting import provenance as made
from nnx.experiments.reporting.html import page
from nnx.experiments.reporting.markdown import code, paragraph, text
from nnx.experiments.reporting.report import compared, make, references
from nnx.experiments.result import Result

NO_DRAWING = "matplotlib is not installed: nothing draws pictures"


class Reader(HTMLParser):
    """Collects tags and text, and makes sure that every tag is closed where it should be."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)


def rendered(markdown: str) -> str:
    """Return what a reader of Markdown with tables makes of it; the breaks within cells are HTML's own."""
    from markdown_it import MarkdownIt  # rich, which the command needs, brings it

    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    return str(reader.render(markdown))


def test_the_page_needs_nothing_from_anywhere_else_and_no_script():
    pytest.importorskip("matplotlib", reason=NO_DRAWING)
    markup = page(sample(pictures=pictures))
    tags = Reader(markup).tags
    assert {tag for tag, _ in tags}.isdisjoint({"script", "link", "iframe", "object", "base", "a"})
    sources = [value for _, given in tags for name, value in given.items() if name in ("src", "href", "srcset")]
    assert len(sources) == 2
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not any(name.startswith("on") for _, given in tags for name in given)
    assert not re.search(r"url\(|@import", markup)


def test_the_page_is_well_formed_and_shows_words_as_they_are():
    reader = Reader(page(sample()))
    assert reader.open == []
    shown = "".join(reader.text)
    for words in ("A < B?", "<i>_c_</i> & d", "a | b", "<cross-entropy>", "2 rows, a < b.", "Test <CPU>"):
        assert words in shown
    assert ("i", {}) not in reader.tags


def test_the_page_holds_command_versions_machine_and_seeds():
    reader = Reader(page(sample()))
    assert COMMAND in reader.text
    for words in (
        "Python 3.11.7, nnx 0.1.0, numpy 2.4.6",
        "3 (0 to 2)",
        "16 GiB",
        "2026-01-02 03:04 to 05:06 UTC",
        "1 to 2",
    ):
        assert words in reader.text


def test_a_report_says_where_to_read_of_what_was_published_and_of_the_data():
    address = "https://example.org/?a=1&b=_2_"
    found = make(replace(experiment(), dataset="mnist", links={"The <course>": address}), results(), PROVENANCE)
    data = "The data: 70,000 handwritten digits, 28x28 grey"
    links = [given["href"] for tag, given in Reader(page(found)).tags if tag == "a"]
    assert links == [address, datasets.info("mnist").page]
    assert f"The <course>: {address}" in "".join(Reader(page(found)).text)
    assert data in "".join(Reader(page(found)).text)
    lines = Reader(rendered(text(found)))
    # an address in angle brackets is escaped by the reader of Markdown as it likes: it is compared as text
    assert f"The <course>: {address}" in "".join(lines.text)
    assert len([tag for tag, _ in lines.tags if tag == "a"]) == 2
    assert [link["address"] for link in found.to_json()["references"]] == links
    for known in EXPERIMENTS.values():
        assert references(known)
    assert references(experiment()) == []


def test_a_verdict_is_a_word_and_a_cell_without_a_value_is_empty():
    markup = page(sample())
    assert '<i class="within">within the range</i>' in markup
    assert '<i class="not-reached">not reached</i>' in markup
    assert markup.count("<td></td>") == 3  # beside the headings, and what each row did not measure
    assert "nan" not in "".join(Reader(markup).text).replace("nanosecond", "")


def test_pictures_have_two_dots_for_each_pixel_and_words_for_those_who_cannot_see_them():
    pytest.importorskip("matplotlib", reason=NO_DRAWING)
    report = sample(pictures=pictures)
    width, height = struct.unpack(">II", report.images["first-picture.png"][16:24])
    tags = Reader(page(report)).tags
    given = next(given for tag, given in tags if tag == "img")
    assert (int(given["width"]), int(given["height"])) == (width // 2, height // 2) == (192, 96)
    assert given["alt"] == "Cost <now>"  # the caption, which stands below, is not said twice
    captions = [given["id"] for tag, given in tags if tag == "figcaption"]
    assert captions == [given["aria-describedby"] for tag, given in tags if tag == "img"]
    assert len(set(captions)) == 2


def test_markdown_shows_words_as_they_are():
    shown = Reader(rendered(text(sample())))
    words = [part.strip() for part in shown.text if part.strip()]
    for expected in (
        "A < B?",
        "1. Is a_b *less* than <b>?",
        "<i>_c_</i> & d",
        "a | b",
        "[0, 1] | 64x64",
        "<cross-entropy>",
        'A course\'s "report" & https://example.org/some_page_here',
        "2 rows, a < b.",
        COMMAND,
    ):
        assert expected in words
    assert {tag for tag, _ in shown.tags}.isdisjoint({"i", "b", "em", "strong", "ol", "a"})


def test_markdown_tables_have_as_many_cells_in_every_line():
    for line in text(sample()).splitlines():
        if line.startswith("|"):
            cells = len(re.findall(r"(?<!\\)\|", line)) - 1
            assert cells in (2, 4)
    assert r"| a \| b | 70 % (66 to 72 %)<br>published 72 %: within the range |" in text(sample())


@pytest.mark.parametrize(
    "words", ["# a", "- a", "+ a", "2. a", "2) a", "===", "~~a~~", "`a`", "[a](b)", "\\*", "$a$"]
)
def test_markdown_of_any_words_is_one_paragraph_of_these_words(words):
    assert rendered(paragraph(words)) == f"<p>{words}</p>\n"


def test_a_command_with_backticks_does_not_end_its_block():
    assert code("echo ```") == "````sh\necho ```\n````"


def test_markdown_names_pictures_beside_it():
    pytest.importorskip("matplotlib", reason=NO_DRAWING)
    written = text(sample(pictures=pictures))
    assert "![Cost &lt;now&gt;](first-picture.png)" in written


def test_json_holds_what_was_measured_and_no_nan():
    stored = sample().to_json()
    again = json.loads(json.dumps(stored, allow_nan=False))
    assert again == stored
    assert again["rows"][0]["cells"]["cost"]["values"] == [0.06, 0.061]
    lost = again["rows"][1]["cells"]["cost"]
    assert (lost["values"], lost["median"], lost["shown"]) == ([None] * 3, None, "not a number")
    assert again["rows"][1]["cells"]["steps to 0.1"]["values"] == [90, 110, None]
    assert again["provenance"] == PROVENANCE


def test_the_legend_speaks_only_of_verdicts_in_the_table():
    several = sample().legend
    assert several.startswith("Median over 3 seeds, in brackets the lowest to the highest. Within the range: ")
    assert "etter here" not in several
    one = make(experiment(quantities=(COST,)), {"a | b": [Result({"cost": 0.04})]}, PROVENANCE).legend
    assert one == "One seed, no range. Better here: every seed is better than the published value."
    assert make(experiment(rows=()), {}, PROVENANCE).legend == ""


def test_a_value_that_was_not_published_is_compared_with_nothing():
    (line, _) = sample(rows=tuple(replace(row, published={}) for row in experiment().rows)).lines
    assert [compared(cell) for cell in line.cells] == ["", ""]


def test_notes_are_made_of_the_results():
    assert make(experiment(), {"a | b": results()["a | b"]}, PROVENANCE).notes == ("1 rows, a < b.",)


def test_a_published_value_that_cannot_be_judged_is_shown_without_a_verdict():
    seconds = Quantity("seconds", 1, unit=" s", better="low", comparable=False)
    row = Row("a | b", Still(), {"seconds": 45.0})
    report = make(experiment(rows=(row,), quantities=(seconds,)), {"a | b": [Result({"seconds": 2.0})]}, PROVENANCE)
    assert compared(report.lines[0].cells[0]) == "published 45.0 s"
    assert "<small>published 45.0 s</small>" in page(report)
    assert "2.0 s<br>published 45.0 s |" in text(report)
    assert report.legend == "One seed, no range."


DONE = [
    Done(Result({}), jobs, threads, datetime(2026, 1, 2, hour, 4, tzinfo=UTC))
    for jobs, threads, hour in ((2, 1, 5), (1, 2, 3), (1, 2, 4))
]


def test_provenance_says_what_made_a_report():
    devices = {"numpy": "CPU, OpenBLAS", "numba": "CPU, Numba"}
    found = made.provenance("nnx experiment run a-or-b", devices, 10, DONE)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["backend"] == "numpy, numba"
    assert found["versions"]["nnx"] == nnx.__version__
    assert found["versions"]["numpy"] == numpy.__version__
    shown = dict(made.shown(found))
    assert shown["device"] == "numpy: CPU, OpenBLAS; numba: CPU, Numba"
    assert "command" not in shown


def test_provenance_tells_of_every_result_and_not_of_the_last_call_alone():
    found = made.provenance("nnx", {"numpy": "CPU"}, 3, DONE)
    assert (found["jobs"], found["threads per job"]) == ("1 to 2", "1 to 2")
    assert found["made"] == "2026-01-02 03:04 to 05:04 UTC"
    one = made.provenance("nnx", {"numpy": "CPU"}, 1, DONE[:1])
    assert (one["jobs"], one["threads per job"], one["made"]) == ("2", "1", "2026-01-02 05:04 UTC")
    later = [*DONE, replace(DONE[0], date=datetime(2026, 1, 3, 3, 4, tzinfo=UTC))]
    assert made.provenance("nnx", {"numpy": "CPU"}, 3, later)["made"] == "2026-01-02 03:04 to 2026-01-03 03:04 UTC"


def test_provenance_does_not_say_whose_machine_it_is(tmp_path):
    command = f"nnx experiment run a-or-b --out {tmp_path} --log={tmp_path}"
    found = made.provenance(command, {"numpy": "CPU"}, 1, DONE)
    told = json.dumps(found)
    assert f"--out {tmp_path.name} --log={tmp_path.name}" in told
    assert str(tmp_path.parent) not in told
    assert {platform.node(), getpass.getuser()}.isdisjoint(re.findall(r"[\w.-]+", told))
    assert dict(made.shown(found))["command"].startswith("shortened")


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        ("nnx experiment run x --out 'my runs'", "nnx experiment run x --out 'my runs'"),
        ("nnx experiment run x --out /home/me/a/runs", "nnx experiment run x --out runs"),
        ("nnx experiment run x '--out=C:\\Users\\me\\runs'", "nnx experiment run x --out=runs"),
        ("/opt/me/bin/nnx experiment run x", "nnx experiment run x"),
        ("nnx experiment run x --out /", "nnx experiment run x --out ."),
        ("nnx experiment run x --out ../../me/secret/runs", "nnx experiment run x --out runs"),
        ("nnx experiment run x --out a/b/../runs", "nnx experiment run x --out runs"),
        ("nnx experiment run x --out=..\\\\me\\\\runs", "nnx experiment run x --out=runs"),
        ("nnx experiment run x --out ..", "nnx experiment run x --out ."),
        ("nnx experiment run x --out a/b", "nnx experiment run x --out a/b"),
        ("nnx experiment run it's --out /home/me/runs", "nnx experiment run 'it'\"'\"'s' --out runs"),
    ],
)
def test_a_command_keeps_its_words_but_for_where_folders_stand(command, kept):
    assert made.without_places(command) == kept


def test_memory_that_the_system_does_not_tell_is_left_out():
    assert "memory" not in dict(made.shown({**PROVENANCE, "memory": 0}))
    assert dict(made.shown({**PROVENANCE, "seeds": 1}))["seeds"] == "1"
