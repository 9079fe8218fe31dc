"""One function per data set that is a sequence: from checked files to series and texts."""

from __future__ import annotations

from dataclasses import replace

from nnx.datasets.files import fetch
from nnx.datasets.series import Series, read_monthly
from nnx.datasets.text import Text, Vocabulary, read_text

TRAINING_SHARE = 0.9
"""Of the characters of a text, from its beginning, as char-rnn and its descendants split it."""


def airline() -> Series:
    """Return how many passengers flew with international airlines each month, January 1949 to December 1960.

    months (144,) datetime64[M]; values (144,) float64, thousands of passengers. The series grows, and repeats
    itself every 12 months with an amplitude that grows with it.

    Raises: DatasetUnavailableError, FileFormatError, OptionError as `fetch` does.

    Source: G. E. P. Box and G. M. Jenkins, Time Series Analysis, 1976, series G.
    """
    (path,) = fetch("airline")
    return replace(read_monthly(path, ("Month", "Passengers")), name="airline")


def shakespeare() -> Text:
    """Return 1,115,394 characters of Shakespeare's plays: the first 1,003,854 to train on, 111,540 to test on.

    The vocabulary has 65 characters: letters, punctuation, "3", "&", "$", space and line feed.

    Raises: DatasetUnavailableError, FileFormatError, OptionError as `fetch` does.

    Source: A. Karpathy, The Unreasonable Effectiveness of Recurrent Neural Networks, 2015 ("tiny Shakespeare").
    """
    (path,) = fetch("shakespeare")
    text = read_text(path)
    end = int(TRAINING_SHARE * len(text))
    return Text("shakespeare", text[:end], text[end:], Vocabulary.of(text))
