"""The predictor against published times, where ``REFERENCE_DATA`` names their folder: networks it has not seen."""

import os
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from workers.device import profiles
from workers.emulation import fitting
from workers.emulation.fit import best_costs, fit_all
from workers.emulation.layers import op_costs
from workers.emulation.predictor import DOUBT_SAME_RUNTIME
from workers.emulation.tables import FEATURES, MEASUREMENTS, Tables, published_costs, read_tables
from workers.emulation.unseen import Trial, trials

REFERENCE = Path(os.environ.get("REFERENCE_DATA", ""))
pytestmark = pytest.mark.skipif(
    not ((REFERENCE / MEASUREMENTS).is_file() and (REFERENCE / FEATURES).is_file()),
    reason="REFERENCE_DATA names no folder of reference tables: the predictor is NOT checked against published times",
)


@cache
def tables() -> Tables:
    return read_tables(REFERENCE, "cpu", op_costs("cpu"))


@cache
def residuals() -> np.ndarray:
    """ln(measured / predicted) of networks by fits that have not seen them; (P, M)."""
    return fitting.left_out(tables().work, tables().log_s)


@cache
def unseen() -> list[Trial]:
    """Networks left out of all that is fitted, costs and bands included, and then asked about as a user asks."""
    return trials(REFERENCE)


def error(residual: np.ndarray) -> np.ndarray:
    """|predicted / measured - 1| of the known ones."""
    return np.abs(np.expm1(-residual[~np.isnan(residual)]))


def test_the_shipped_fits_are_those_of_the_tables():
    again = fit_all(REFERENCE, on=date(2026, 11, 29))

    assert again == {key: profile.fit for key, profile in profiles().items() if profile.fit is not None}


def test_the_shipped_cost_of_matrix_products_is_the_one_that_explains_the_tables_best():
    given = published_costs(REFERENCE, "cpu")

    assert best_costs(read_tables(REFERENCE, "cpu", given), given).gemm == op_costs("cpu").gemm


def test_from_the_layers_alone_the_median_error_is_at_most_15_percent():
    off = [each.error for each in unseen() if not each.host]

    assert len(off) > 200
    assert np.median(off) <= 0.15
    assert np.mean(np.array(off) <= 0.5) >= 0.92


def test_unseen_networks_on_all_published_cpus_are_off_by_less_than_15_percent_in_the_median():
    assert len(tables().keys) > 150
    assert np.median(error(residuals())) <= 0.15


def test_with_the_time_on_one_x86_host_the_median_error_is_at_most_12_percent():
    off = [each.error for each in unseen() if each.host]

    assert len({each.host for each in unseen()} - {""}) == 3
    assert np.median(off) <= 0.12
    assert np.mean(np.array(off) <= 0.5) >= 0.92


@pytest.mark.parametrize("helped", [False, True])
def test_bands_made_without_a_network_hold_eight_of_ten_of_its_times(helped):
    assert np.mean([each.held for each in unseen() if bool(each.host) == helped]) >= 0.80


def test_one_time_under_the_fitted_runtime_hardly_tells_anything_of_another_network():
    made = tables()
    anchored, other = [], []
    for b in range(len(made.models)):
        for a in range(b):
            seen = [i for i in range(len(made.models)) if i not in (a, b)]
            usual = fitting.usual_parameters(made.work[seen], made.log_s[:, seen])
            found = np.exp(fitting.fit(made.work[seen], made.log_s[:, seen], usual))
            off = [made.log_s[:, i] - np.log(found @ made.work[i]) for i in (a, b)]
            anchored += [off[0], off[1]]
            other += [off[1], off[0]]
    first, second = np.concatenate(anchored), np.concatenate(other)
    median = {exponent: np.median(error(second - exponent * first)) for exponent in (0.0, 0.1, 1 / 3, 1.0)}

    assert 1 / (1 + DOUBT_SAME_RUNTIME) == 0.1
    assert median[0.1] <= median[0.0] < median[1 / 3] < median[1.0]
