"""Slurm's time limits: every form of its manual page, there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalc.plan.walltime import MAX_SECONDS, format_walltime, parse_walltime


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90 * 60),
        (90, 90 * 60),
        ("5:30", 330),
        ("04:00:00", 4 * 3600),
        ("4:00:00", 4 * 3600),
        ("1-12", 36 * 3600),
        ("1-12:30", 36 * 3600 + 1800),
        ("1-12:30:15", 36 * 3600 + 1815),
        ("90:00", 90 * 60),
        ("120:00:00", 120 * 3600),
        ("0:05", 5),
        ("0-1", 3600),
        ("UNLIMITED", None),
        ("infinite", None),
        ("Unlimited", None),
        # Slurm imposes no limit then.
        ("0", None),
        (0, None),
        ("00:00:00", None),
    ],
)
def test_each_form(text: str | int, seconds: int | None) -> None:
    assert parse_walltime(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "4h",
        "4 hours",
        "1:2:3:4",
        "1-",
        "-1",
        "1-2-3",
        "1.5",
        "1-2:3:4:5",
        ":30",
        "1:",
        "٣",
        "1\n",
    ],
)
def test_nothing_else(text: str) -> None:
    with pytest.raises(ValueError, match="is none of the forms that Slurm takes"):
        parse_walltime(text)


def test_as_long_as_slurm_can_hold() -> None:
    assert parse_walltime(MAX_SECONDS // 60) == MAX_SECONDS
    with pytest.raises(ValueError, match="longer than Slurm can hold"):
        parse_walltime(MAX_SECONDS // 60 + 1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "UNLIMITED"), (59, "00:00:59"), (86399, "23:59:59"), (86400, "1-00:00:00")],
)
def test_the_usual_form(seconds: int | None, text: str) -> None:
    assert format_walltime(seconds) == text


@given(st.none() | st.integers(1, MAX_SECONDS))
def test_there_and_back(seconds: int | None) -> None:
    assert parse_walltime(format_walltime(seconds)) == seconds


@given(st.integers(0, 999), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_every_form_of_one_time_agrees(days: int, hours: int, minutes: int, seconds: int) -> None:
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    forms = [
        f"{days}-{hours}:{minutes}:{seconds}",
        f"{days * 24 + hours}:{minutes}:{seconds}",
        f"{(days * 24 + hours) * 60 + minutes}:{seconds}",
    ]
    assert {parse_walltime(form) for form in forms} == {total or None}
    assert parse_walltime(f"{days}-{hours}") == ((days * 24 + hours) * 3600 or None)
    assert parse_walltime(f"{days}-{hours}:{minutes}") == (total - seconds or None)
