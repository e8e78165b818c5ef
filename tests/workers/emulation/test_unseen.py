"""The trial of the predictor on made-up networks whose times on every profile follow from the fits on file."""

from dataclasses import replace

import numpy as np
import pytest

from tests.workers.emulation.synthetic import works
from workers.device import profiles
from workers.emulation import Layer
from workers.emulation.fit import asked
from workers.emulation.layers import op_costs
from workers.emulation.predictor import float_ms
from workers.emulation.tables import Tables
from workers.emulation.unseen import trials_without

KINDS = ("c1", "c3w", "dw", "gemm", "c1", "c3w", "c1", "cx", "c1")
MODELS = [f"network {number}" for number in range(len(KINDS))]
LEFT_OUT = MODELS[0]


@pytest.fixture(scope="module")
def tables() -> Tables:
    names, made = asked("cpu"), works(len(KINDS), seed=1)
    layers = {
        model: (
            Layer(kind=kind, macs=macs, weights=held / 16, act_in=held / 8, act_out=held / 16, count=round(count)),
            Layer(kind="other", macs=0, weights=0, act_in=1e5, act_out=1e5, count=10),
        )
        for model, kind, (macs, held, count) in zip(MODELS, KINDS, made, strict=True)
    }
    fits = [profiles()[key].fit for key in names]
    log_s = np.array([[np.log(float_ms(layers[model], fit) / 1e3) for model in MODELS] for fit in fits])
    keys = list(names.values())
    blank = Tables(
        keys, MODELS, layers, np.zeros((0, 3)), log_s, dict.fromkeys(keys, ()), dict.fromkeys(keys, "made up")
    )
    return blank.under(op_costs("cpu"))


def alone(tables: Tables) -> dict[str, float]:
    found = trials_without([LEFT_OUT], tables, op_costs("cpu"))
    return {each.device: each.predicted_ms for each in found if not each.host}


def test_times_that_follow_the_formula_are_foretold_without_having_been_seen(tables):
    found = list(trials_without([LEFT_OUT], tables, op_costs("cpu")))

    assert {each.device for each in found} == set(asked("cpu"))
    assert np.median([each.error for each in found]) < 0.05
    assert np.mean([each.held for each in found]) > 0.9


def test_a_network_left_out_does_not_touch_what_is_foretold_of_it(tables):
    changed = tables.log_s.copy()
    changed[:, 0] += 1.0

    assert alone(replace(tables, log_s=changed)) == alone(tables)


def test_a_network_that_was_seen_does(tables):
    changed = tables.log_s.copy()
    changed[:, 4] += 1.0

    assert alone(replace(tables, log_s=changed)) != alone(tables)


def test_only_x86_profiles_are_hosts_and_only_for_others(tables):
    found = [each for each in trials_without([LEFT_OUT], tables, op_costs("cpu")) if each.host]

    assert {profiles()[each.host].arch for each in found} == {"x86_64"}
    assert not {each.host for each in found} & {each.device for each in found}


def test_a_network_slower_than_foretold_on_all_machines_is_foretold_better_with_a_time_on_one(tables):
    slower = tables.log_s.copy()
    slower[:, 0] += 0.2

    found = list(trials_without([LEFT_OUT], replace(tables, log_s=slower), op_costs("cpu")))

    by_time = {timed: np.median([each.error for each in found if bool(each.host) == timed]) for timed in (False, True)}
    assert by_time[True] < by_time[False]
