"""A host's own times: the fit finds parameters that are known, and predicts networks of this host that it never saw."""

import math
from datetime import date
from pathlib import Path

import numpy as np
import onnx
import pytest

from workers import calibration
from workers.alone import Alone
from workers.calibration import Timed
from workers.device import host
from workers.emulation.layers import KINDS, op_costs
from workers.emulation.predictor import float_ms, spread_of
from workers.own_times import FILE, Kept, OwnTimes, fingerprint
from workers.sandbox import Nursery
from workers.standard_networks import STANDARD

DAY = date(2026, 11, 28)
DIGITS = Path(__file__).parents[2] / "examples" / "digits"
PER_MAC, PER_BYTE, PER_LAYER = 1 / 40e9, 1 / 30e9, 8e-6


@pytest.fixture(scope="module")
def layers():
    return {name: calibration.layers_of(build()) for name, build in STANDARD.items()}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """This host's own times, measured by a confined child: the fit, and how to ask for it again."""
    folder = tmp_path_factory.mktemp("own")
    with Nursery(spare=False) as nursery:
        times = OwnTimes(nursery, Alone(folder / "alone"), keep=folder / "kept", folder=folder / "scratch")
        yield times.fit(should_stop=lambda: False), times


def by_hand(layers) -> float:
    """Seconds by the formula, a loop over layers."""
    costs, seconds = op_costs("onnxruntime"), 0.0
    for layer in layers:
        moved = 4 * (layer.act_in + layer.act_out)
        if layer.kind == "other":
            seconds += (4 * layer.weights + 2.1 * moved) * PER_BYTE + 0.3 * layer.count * PER_LAYER
        else:
            seconds += getattr(costs, layer.kind) * layer.macs * PER_MAC
            seconds += (4 * layer.weights + moved) * PER_BYTE + layer.count * PER_LAYER
    return seconds


def test_known_parameters_are_found_again(layers):
    fit = calibration.fit({name: Timed(each, by_hand(each)) for name, each in layers.items()}, on=DAY)

    assert fit.effective_macs_per_s == pytest.approx(40e9, rel=0.1)
    assert fit.effective_layer_s == pytest.approx(8e-6, rel=0.1)
    assert fit.grade == "C" and max(map(abs, fit.log_residuals)) < 0.1


def test_times_that_follow_no_law_make_a_weak_fit_with_a_wide_band(layers):
    chance = np.random.default_rng(1)

    fit = calibration.fit(
        {name: Timed(each, by_hand(each) * math.exp(chance.normal(0, 1.0))) for name, each in layers.items()}, on=DAY
    )

    assert fit.grade == "D" and spread_of(fit).high >= math.log(1.5)


def test_the_standard_networks_cover_every_kind_of_layer(layers):
    assert {layer.kind for each in layers.values() for layer in each} == set(KINDS)


def test_networks_of_this_host_that_it_never_saw_lie_within_the_band(own):
    fit, _ = own
    networks = {path.stem: onnx.load(path) for path in sorted(DIGITS.glob("*.onnx"))}

    timed = calibration.time_all(networks)

    spread = spread_of(fit)
    for name, each in timed.items():
        off = math.log(each.seconds * 1e3 / float_ms(each.layers, fit))
        assert 1.5 * spread.low <= off <= 1.5 * spread.high, (name, off)


def test_a_host_times_itself_once(own):
    fit, times = own

    assert fit is not None and fit.runtime == "onnxruntime" and fit.measured_on == host().title
    kept, firm = times.keep / FILE, fit.model_copy(update={"grade": "C"})
    kept.write_text(Kept(host=fingerprint(), fit=firm).model_dump_json())
    before = kept.stat().st_mtime_ns
    assert times.fit(should_stop=lambda: False) == firm
    assert kept.stat().st_mtime_ns == before


def test_a_weak_fit_is_tried_again_and_kept_if_that_fails(own, monkeypatch):
    fit, times = own
    weak = fit.model_copy(update={"grade": "D"})
    (times.keep / FILE).write_text(Kept(host=fingerprint(), fit=weak).model_dump_json())
    answers = iter([None, fit])
    monkeypatch.setattr(OwnTimes, "_measured", lambda self, should_stop: next(answers))

    assert times.fit(should_stop=lambda: False) == weak
    assert times.fit(should_stop=lambda: False) == fit


def test_it_times_itself_again_when_the_host_has_changed(own, monkeypatch):
    fit, times = own
    monkeypatch.setattr("workers.own_times.versions", lambda: {"onnxruntime": "0.1"})
    asked = []
    monkeypatch.setattr(OwnTimes, "_measured", lambda self, should_stop: asked.append(1) or fit)

    assert times.fit(should_stop=lambda: False) == fit
    assert asked == [1]


def test_a_stop_leaves_nothing_behind(tmp_path):
    with Nursery(spare=False) as nursery:
        times = OwnTimes(nursery, Alone(tmp_path / "alone"), keep=tmp_path / "kept", folder=tmp_path / "scratch")

        assert times.fit(should_stop=lambda: True) is None
    assert not (tmp_path / "kept").exists() and not list((tmp_path / "scratch").iterdir())
