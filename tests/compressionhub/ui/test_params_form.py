from enum import StrEnum
from typing import ClassVar, Literal

import pytest
from pydantic import Field

from compressionhub.ui import params_form
from workers.technique import About, Family, Technique


class Rank(StrEnum):
    L1 = "l1"
    TAYLOR = "taylor"


class Toy(Technique):
    """A technique with one field of every kind."""

    about: ClassVar = About(title="Toy", family=Family.PRUNING, source="made up for the test")
    technique: Literal["toy"]
    share: float = Field(
        0.5, gt=0, lt=1, title="Share", description="Part to remove.", json_schema_extra={"unit": "fraction"}
    )
    samples: int = Field(256, ge=1, le=10_000, title="Samples", json_schema_extra={"unit": "rows", "step": 32})
    method: Literal["min-max", "entropy"] = Field("min-max", title="Method")
    rank: Rank = Field(Rank.L1, title="Rank by")
    per_channel: bool = Field(True, title="Per channel")
    kept: tuple[str, ...] = Field((), title="Kept")
    cap: float | None = Field(None, ge=0, title="Cap")

    def forecast(self, facts):
        raise NotImplementedError

    def apply(self, model, bench):
        raise NotImplementedError


class Odd(Toy):
    technique: Literal["odd"]
    table: dict[str, int] = Field(default={}, title="Table")


def by_name(form):
    return {one.name: one for one in form.inputs}


def test_each_type_becomes_its_own_kind_of_input():
    inputs = by_name(params_form.blank(Toy))

    kinds = {name: one.kind for name, one in inputs.items()}

    assert kinds == {
        "share": "number",
        "samples": "number",
        "method": "select",
        "rank": "select",
        "per_channel": "checkbox",
        "kept": "text",
        "cap": "number",
    }


def test_words_limits_and_units_come_from_the_field():
    samples = by_name(params_form.blank(Toy, "s1-"))["s1-samples"]

    assert (samples.label, samples.least, samples.most, samples.unit, samples.value) == (
        "Samples",
        "1",
        "10000",
        "rows",
        "256",
    )
    assert by_name(params_form.blank(Toy))["rank"].options == ("l1", "taylor")


def test_a_fraction_is_shown_and_read_as_percent():
    share = by_name(params_form.blank(Toy))["share"]

    form = params_form.read(Toy, {"share": "12.5"})

    assert (share.value, share.least, share.most, share.unit) == ("50", "0", "100", "%")
    assert form.value.share == 0.125


def test_what_was_sent_becomes_the_technique():
    sent = {
        "s2-share": "20",
        "s2-samples": "512",
        "s2-method": "entropy",
        "s2-rank": "taylor",
        "s2-kept": "conv1, fc ,",
        "s2-cap": "",
        "s1-samples": "7",
    }

    form = params_form.read(Toy, sent, "s2-")

    expected = Toy(
        share=0.2, samples=512, method="entropy", rank=Rank.TAYLOR, per_channel=False, kept=("conv1", "fc"), cap=None
    )
    assert form.value == expected


def test_a_form_shows_what_it_reads_back():
    before = Toy(share=0.07, samples=33, kept=("a",), cap=1.5, per_channel=False)

    shown = params_form.filled(before, "p-")
    after = params_form.read(Toy, {one.name: one.value for one in shown.inputs if one.value}, "p-")

    assert after.value == before


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("samples", "0", "Must be 1 or more."),
        ("samples", "many", "Expected a whole number."),
        ("samples", "2.5", "Expected a whole number."),
        ("method", "magic", "Choose one of 'min-max' or 'entropy'."),
        ("share", "nan", "Expected a finite number."),
        ("samples", "inf", "Expected a finite number."),
        ("cap", "x", "Expected a number."),
    ],
)
def test_a_fault_stands_beside_its_field_and_keeps_what_was_typed(field, typed, said):
    form = params_form.read(Toy, {field: typed})

    wrong = by_name(form)[field]

    assert form.value is None
    assert (wrong.value, wrong.errors) == (typed, (said,))
    assert [one.name for one in form.inputs if one.errors] == [field]


def test_a_limit_of_a_fraction_is_told_in_percent():
    assert by_name(params_form.read(Toy, {"share": "100"}))["share"].errors == ("Must be below 100.",)


def test_a_type_without_an_input_is_refused_aloud():
    with pytest.raises(TypeError, match="table"):
        params_form.blank(Odd)


def test_every_technique_has_a_form_that_reads_back_its_defaults():
    from workers.recipe import techniques

    for kind in techniques().values():
        shown = params_form.blank(kind)

        sent = {one.name: one.value for one in shown.inputs if one.value}

        assert params_form.read(kind, sent).value == kind.model_validate({})
