"""What tests of pages let pass, and what they do not."""

from __future__ import annotations

import pytest

from tests.documentation.comparing import agrees, differences


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        ("4e-16", "0.02"),
        ("4e-16", "1e-13"),
        ("3.6e-10", "1e-7"),
        ("2.7e-02", "3.1e-02"),
        ("1.2e+01", "1.2e-01"),
        ("0.97", "0.93"),
        ("0.0426", "0.06"),
        ("0.00", "0.02"),
        ("0.00", "-0.02"),
        ("0.0070", "0.0130"),
        ("2.303", "1.9"),
        ("-0.50", "0.50"),
        ("10.10", "8.9"),
        ("75", "76"),
        ("0", "1"),
        ("4e-16", "nan"),
    ],
)
def test_a_number_that_says_something_else_is_noticed(shown: str, found: str) -> None:
    assert not agrees(found, shown)


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        ("4e-16", "9e-15"),
        ("4e-16", "0e+00"),
        ("4e-16", "0.0"),
        ("2.7e-02", "2.6e-02"),
        ("0.97", "0.94"),
        ("1.00", "0.97"),
        ("0.0426", "0.0450"),
        ("0.001", "0.002"),
        ("0.00", "0.01"),
        ("2.303", "2.31"),
        ("-0.50", "-0.52"),
        ("75", "75"),
    ],
)
def test_a_number_that_rounding_moved_passes(shown: str, found: str) -> None:
    assert agrees(found, shown)


def test_the_numbers_that_differ_are_told_with_those_of_the_page() -> None:
    shown = "largest difference of a weight: 4e-16, after 200 steps, test 0.964"
    assert differences(shown, shown) == []
    found = shown.replace("4e-16", "2e-2").replace("200", "199")
    assert differences(found, shown) == [("2e-2", "4e-16"), ("199", "200")]
