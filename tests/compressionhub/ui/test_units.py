from datetime import UTC, datetime

import pytest

from compressionhub.ui import units

MINUS = "\u2212"
TIMES = "\u00d7"


@pytest.mark.parametrize(
    ("size", "written"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (980, "980 bytes"),
        (999_600, "1.0 MB"),
        (73_000, "73.0 kB"),
        (45_083_000, "45.1 MB"),
        (7_630_000, "7.6 MB"),
        (212e9, "212 GB"),
        (99_960_000, "100 MB"),
        (None, "not known"),
        (float("nan"), "not known"),
    ],
)
def test_sizes_use_decimal_units_and_at_most_three_digits(size, written):
    assert units.file_size(size) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (14.68, "14.7 ms"),
        (480.2, "480 ms"),
        (1107.9, "1,108 ms"),
        (0.05234, "0.0523 ms"),
        (9.996, "10.0 ms"),
        (None, "not known"),
    ],
)
def test_latencies_have_three_significant_digits(value, written):
    assert units.milliseconds(value) == written


def test_tokens_a_second_count_those_of_every_row():
    assert units.tokens_per_second(14.66) == "68.2 tokens/s"
    assert units.tokens_per_second(200.0, 32) == "160 tokens/s"


def test_accuracy_has_two_decimals_of_a_percent():
    assert units.percent(0.91424) == "91.42 %"


@pytest.mark.parametrize(
    ("difference", "written"),
    [
        (-0.0042, f"{MINUS}0.42 points"),
        (0.0012, "+0.12 points"),
        (0.0, "\u00b10.00 points"),
        (-0.00001, "\u00b10.00 points"),
        (-0.0777, f"{MINUS}7.77 points"),
        (None, "not known"),
    ],
)
def test_differences_are_signed_points_with_a_true_minus(difference, written):
    assert units.points(difference) == written


@pytest.mark.parametrize(("ratio", "written"), [(2.5, "2.50"), (0.83, "0.83"), (12.34, "12.3"), (1.0, "1.00")])
def test_ratios_have_two_decimals_below_ten(ratio, written):
    assert units.times(ratio) == written + TIMES


def test_a_size_ratio_has_one_decimal():
    assert units.times(5.93, 1) == f"5.9{TIMES}"


@pytest.mark.parametrize(
    ("value", "people", "si"),
    [
        (1_810_000_000, "1.81 B", "1.81 G"),
        (11_270_000, "11.3 M", "11.3 M"),
        (1_000_000_000, "1 B", "1 G"),
        (999, "999", "999"),
        (999_800, "1 M", "1 M"),
        (0, "0", "0"),
        (None, "not known", "not known"),
    ],
)
def test_large_counts_are_short(value, people, si):
    assert units.short_number(value) == people
    assert units.short_number(value, si=True) == si


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.4, "0.4 s"),
        (3, "3 s"),
        (12.4, "12 s"),
        (192, "3 min 12 s"),
        (60, "1 min"),
        (1620, "27 min"),
        (4680, "1 h 18 min"),
        (7260, "2 h 1 min"),
        (7200, "2 h"),
        (3599.7, "1 h"),
        (259_200, "3 days"),
        (float("inf"), "not known"),
        (None, "not known"),
    ],
)
def test_durations_use_at_most_two_units(seconds, written):
    assert units.duration(seconds) == written


@pytest.mark.parametrize(
    ("seconds", "written"), [(2, "less than 10 s"), (43, "about 45 s"), (2900, "about 48 min"), (10, "about 10 s")]
)
def test_time_left_is_not_told_to_the_second(seconds, written):
    assert units.about(seconds) == written


@pytest.mark.parametrize(
    ("low", "high", "written"),
    [
        (2.44, 2.56, "2.44 to 2.56"),
        (14.53, 15.01, "14.53 to 15.01"),
        (41, 58, "41 to 58"),
        (-0.71, -0.13, f"{MINUS}0.71 to {MINUS}0.13"),
    ],
)
def test_a_range_shows_two_digits_of_its_width(low, high, written):
    assert units.span(low, high) == written


def test_one_thing_is_singular_and_none_are_many():
    assert [units.counted(of, "job") for of in (0, 1, 1055)] == ["0 jobs", "1 job", "1,055 jobs"]


def test_thousands_have_commas_and_negative_zero_has_no_sign():
    assert units.count(1055) == "1,055"
    assert units.number(-0.001, 2) == "0.00"


def test_a_moment_of_another_day_is_absolute():
    assert units.clock(datetime(2020, 11, 5, 9, 4, tzinfo=UTC)) == "5 Nov 2020, 09:04"
    assert units.day(datetime(2020, 11, 5, tzinfo=UTC)) == "5 Nov 2020"


@pytest.mark.parametrize(
    ("sizes", "dtype", "written"),
    [((1, 28, 28), "float32", "1 × 28 × 28, float32"), ((-1,), "int64", "any, int64"), ((), "text", "text")],
)
def test_one_sample_is_written_with_shape_and_type(sizes, dtype, written):
    assert units.shaped(sizes, dtype) == written
