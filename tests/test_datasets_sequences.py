"""Series and texts: the sets themselves, the readers of foreign files, tokens, and windows."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from nnx import datasets
from nnx.datasets import Vocabulary, read_monthly, read_text, windows
from nnx.errors import DataError, DtypeError, FileFormatError, NnxError, OptionError, ShapeError

GOOD = '"Month","Sales"\n"1999-11",1.5\n"1999-12",2e3\n"2000-01",-.5'
HEADER = ("Month", "Sales")


@pytest.fixture
def here() -> None:
    if not os.environ.get("NNX_DATA"):
        pytest.skip("NNX_DATA is not set: the data sets that do not ship cannot be read")


def write(folder: Path, text: str) -> Path:
    path = folder / "series.csv"
    path.write_bytes(text.encode())
    return path


@pytest.mark.usefixtures("here")
def test_airline_is_the_published_series() -> None:
    series = datasets.airline()
    assert (series.values.dtype, series.values.shape, len(series)) == (np.float64, (144,), 144)
    assert series.values[:3].tolist() == [112, 118, 132]
    assert series.values[-1] == 432
    assert series.values.sum() == 40363  # mean 280.30, as the literature has it
    assert series.months.dtype == np.dtype("datetime64[M]")
    assert (str(series.months[0]), str(series.months[-1])) == ("1949-01", "1960-12")
    assert repr(series) == "Series(name='airline', 144 months, 1949-01 to 1960-12)"


@pytest.mark.usefixtures("here")
def test_shakespeare_is_split_by_position_and_its_vocabulary_covers_both_parts() -> None:
    train, test = text = datasets.shakespeare()
    assert train.startswith("First Citizen:\nBefore we proceed")
    assert (len(train), len(test)) == (1_003_854, 111_540)
    assert len(text.vocabulary) == 65
    assert text.vocabulary.decode(text.vocabulary.encode(test)) == test
    assert repr(text) == "Text(name='shakespeare', train=1003854, test=111540, vocabulary=65)"


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "end"])
def test_months_and_numbers_are_read_whatever_the_line_ends(tmp_path: Path, ending: str, end: str) -> None:
    path = write(tmp_path, GOOD.replace("\n", ending) + end.replace("end", ending))
    series = read_monthly(path, HEADER)
    assert series.name == "Sales"
    assert series.values.tolist() == [1.5, 2000, -0.5]
    assert series.months.astype(str).tolist() == ["1999-11", "1999-12", "2000-01"]


def test_a_series_may_be_empty(tmp_path: Path) -> None:
    series = read_monthly(write(tmp_path, "Month,Sales\n"), HEADER)
    assert len(series) == 0
    assert repr(series) == "Series(name='Sales', 0 months)"


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "expected the header Month,Sales, got ''"),
        ("Month,Profit\n1999-01,1", 1, "expected the header Month,Sales, got 'Month,Profit'"),
        ("\ufeff" + GOOD, 1, "expected the header"),
        ("Month,Sales\n1999-01", 2, "expected a month such as 1949-01 and a number, got '1999-01'"),
        ("Month,Sales\n1999-01,1,2", 2, "got '1999-01,1,2'"),
        ("Month,Sales\n1999-1,1", 2, "got '1999-1,1'"),
        ("Month,Sales\n1999-13,1", 2, "got '1999-13,1'"),
        ("Month,Sales\n1999-01-01,1", 2, "got '1999-01-01,1'"),
        ("Month,Sales\n1999-01,\n", 2, "got '1999-01,'"),
        ("Month,Sales\n1999-01,nan", 2, "got '1999-01,nan'"),
        ("Month,Sales\n1999-01,inf", 2, "got '1999-01,inf'"),
        ("Month,Sales\n1999-01,1e999", 2, "expected a number that float64 can hold, got '1e999'"),
        ("Month,Sales\n1999-01,1_000", 2, "got '1999-01,1_000'"),
        ("Month,Sales\n1999-01,\u0663", 2, "got '1999-01,\u0663'"),
        ("Month,Sales\n1999-01,1\n\n1999-02,2", 3, "got ''"),
        (GOOD + "\n2000-03,1", 5, "expected the month after 2000-01, got 2000-03"),
        (GOOD + "\n2000-01,1", 5, "expected the month after 2000-01, got 2000-01"),
        (GOOD + "\n1999-12,1", 5, "expected the month after 2000-01, got 1999-12"),
        (GOOD + '\n"2000-02,1', 5, "expected CSV, but: unexpected end of data"),
    ],
)
def test_a_file_that_is_no_monthly_series_names_the_line_and_the_fault(
    tmp_path: Path, text: str, line: int, reason: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(FileFormatError) as caught:
        read_monthly(path, HEADER)
    assert str(caught.value).startswith(f"{path}, line {line}: ")
    assert reason in str(caught.value)


def test_text_that_is_not_utf_8_names_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes(b"caf\xe9 au lait")
    with pytest.raises(FileFormatError, match=r"latin\.txt: expected UTF-8 text, got the byte 0xe9 at place 3"):
        read_text(path)
    with pytest.raises(FileFormatError, match="0xe9"):
        read_monthly(path, HEADER)


def test_text_is_read_without_changing_a_character(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes("a\r\nb\n\u00e9\0".encode())
    assert read_text(path) == "a\r\nb\n\u00e9\0"


def test_tokens_are_places_in_the_vocabulary_and_decode_undoes_encode() -> None:
    vocabulary = Vocabulary.of("to be or not to be")
    assert vocabulary.characters == " benort"
    tokens = vocabulary.encode("not to be")
    assert tokens.dtype == np.int64
    assert tokens.tolist() == [3, 4, 6, 0, 6, 4, 0, 1, 2]
    assert vocabulary.decode(tokens.astype(np.uint8)) == "not to be"


def test_empty_text_has_no_tokens() -> None:
    vocabulary = Vocabulary.of("")
    assert len(vocabulary) == 0
    assert vocabulary.encode("").shape == (0,)
    assert vocabulary.decode([]) == ""


def test_characters_outside_the_vocabulary_are_named_with_their_place() -> None:
    with pytest.raises(DataError, match=r"'abc'.*got 'x' at place 2"):
        Vocabulary("abc").encode("abxcx")


@pytest.mark.parametrize(
    ("tokens", "error", "reason"),
    [
        ([0, 3], DataError, "0 to 2, got 3"),
        ([-1], DataError, "0 to 2, got -1"),
        ([[0]], ShapeError, r"\(N,\), got shape \(1, 1\)"),
        (0, ShapeError, r"got shape \(\)"),
        ([0.0], DtypeError, "integers, got float64"),
    ],
)
def test_what_is_no_sequence_of_tokens_is_refused(tokens: object, error: type[NnxError], reason: str) -> None:
    with pytest.raises(error, match=reason):
        Vocabulary("abc").decode(tokens)


def test_a_vocabulary_that_repeats_a_character_is_refused() -> None:
    with pytest.raises(DataError, match="each character once, got 'aba'"):
        Vocabulary("aba")


@pytest.mark.parametrize("shape", [(10,), (10, 3), (10, 2, 3)])
@pytest.mark.parametrize(("length", "stride"), [(1, 1), (3, 1), (3, 2), (3, 3), (4, 7), (9, 1), (9, 5)])
def test_windows_and_their_targets_lie_one_step_apart(shape: tuple[int, ...], length: int, stride: int) -> None:
    sequence = np.arange(np.prod(shape)).reshape(shape)
    x, y = windows(sequence, length, stride)
    assert x.shape == y.shape == ((10 - length - 1) // stride + 1, length, *shape[1:])
    for number, (given, wanted) in enumerate(zip(x, y, strict=True)):
        start = number * stride
        np.testing.assert_array_equal(given, sequence[start : start + length])
        np.testing.assert_array_equal(wanted, sequence[start + 1 : start + 1 + length])


def test_windows_share_no_memory_with_the_sequence() -> None:
    sequence = np.arange(6)
    x, y = windows(sequence, 2)
    x[...] = y[...] = 0
    assert sequence.tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        ((range(3), 3), DataError, "more than length=3 elements.*got 3"),
        (([], 1), DataError, "got 0"),
        ((5, 1), ShapeError, "a single number"),
        ((range(3), 0), OptionError, "length must be"),
        ((range(3), 1, 0), OptionError, "stride must be"),
    ],
)
def test_windows_that_cannot_be_cut_are_refused(
    arguments: tuple[object, ...], error: type[NnxError], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        windows(*arguments)  # type: ignore[arg-type]
