"""Battery life, against the worked example and a sum over single hours."""

import pytest

from workers.errors import YoursToFix
from workers.estimate import Grade, InputFact
from workers.estimates.battery import Battery, BatteryUse, keyword_spotting


def given(name: str, low: float, value: float, high: float, grade: Grade = Grade.ASSUMED) -> InputFact:
    return InputFact(name=name, title=name, low=low, value=value, high=high, unit="u", grade=grade, source="example")


def phone(rate: float) -> BatteryUse:
    """A Galaxy S24 and mobilenet_v2 on its NPU: 0.29 ms published, at about 2.5 W."""
    after = 0.29e-3 * 2.5
    return BatteryUse(
        capacity_wh=given("wh", 15.5, 15.5, 15.5), usable=given("eta", 0.8, 0.85, 0.9),
        base_w=given("base", 0.9, 1, 1.1),
        rate_per_s=given("rate", rate, rate, rate), before_j=given("before", after, 2 * after, 3 * after),
        after_j=given("after", after / 2, after, 1.5 * after),
    )  # fmt: skip


def test_keyword_spotting_on_a_coin_cell_lasts_464_hours_then_649():
    life = Battery.lasts(keyword_spotting())

    assert life.off.value == pytest.approx(1080)
    assert life.before.value == pytest.approx(464, abs=0.5)
    assert life.after.value == pytest.approx(649, abs=0.5)


def test_half_the_energy_is_40_percent_longer_not_twice():
    life = Battery.lasts(keyword_spotting())

    assert life.gain.value == pytest.approx(0.40, abs=0.005)
    assert life.sentence == "464 h to 649 h: +40 %."


def test_a_small_network_on_a_phone_is_noise_and_is_said_to_be():
    life = Battery.lasts(phone(rate=30))

    assert life.share_after.value == pytest.approx(0.02, abs=0.002)
    assert Battery.lasts(phone(rate=1)).sentence.endswith("which no one will notice.")


def test_capacity_and_age_cancel_in_the_gain():
    narrow, wide = keyword_spotting(), keyword_spotting()
    wide = wide.model_copy(update={"usable": given("eta", 0.1, 0.8, 1)})

    assert Battery.lasts(wide).before.high > 9 * Battery.lasts(wide).before.low
    assert Battery.lasts(wide).gain == Battery.lasts(narrow).gain
    assert {"capacity_wh", "usable"}.isdisjoint(each.name for each in Battery.lasts(wide).gain.inputs)


def test_ranges_hold_their_values_and_the_gain_is_paired():
    life = Battery.lasts(phone(rate=300))

    for amount in (life.off, life.before, life.after, life.gain, life.share_before, life.share_after):
        assert amount.low <= amount.value <= amount.high
    assert life.gain.low > 0, "both energies lie at the same end, so the smaller network never comes out worse"


def test_a_use_without_inferences_changes_nothing():
    life = Battery.lasts(phone(rate=0))

    assert life.before.value == life.after.value == life.off.value
    assert life.gain.value == 0


def test_a_device_that_draws_nothing_is_refused():
    with pytest.raises(YoursToFix, match="draws power"):
        Battery.lasts(phone(1).model_copy(update={"base_w": given("base", 0, 0, 0)}))


def test_it_is_as_firm_as_its_least_firm_input():
    assert Battery.lasts(keyword_spotting()).before.grade is Grade.ASSUMED
