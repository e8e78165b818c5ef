import numpy as np

from tests.workers.emulation.synthetic import a_fit, devices, times, works
from workers.emulation.fitting import fit, left_out, usual_parameters
from workers.emulation.predictor import spread_of


def test_the_parameters_of_made_up_devices_are_found_again():
    work, truth = works(12, seed=1), devices(20, seed=2, spread=0.0)
    log_s = times(work, truth, noise=0.0, seed=3)

    found = np.exp(fit(work, log_s, usual_parameters(work, log_s)))

    np.testing.assert_allclose(found, truth, rtol=0.05)


def test_devices_that_differ_in_kind_are_told_apart_by_their_times():
    work, truth = works(12, seed=1), devices(20, seed=2, spread=0.3)
    log_s = times(work, truth, noise=0.0, seed=3)

    found = np.exp(fit(work, log_s, usual_parameters(work, log_s)))

    alike = np.log(truth.mean(axis=0) @ work.T)
    one_shape = np.exp(alike + (log_s - alike).mean(axis=1)[:, None])
    off, off_without_shape = (np.abs(np.log(times_s) - log_s).mean() for times_s in (found @ work.T, one_shape))
    assert off < 0.03
    assert off < off_without_shape / 2


def test_one_time_that_is_far_off_hardly_moves_the_others():
    work, truth = works(12, seed=4), devices(20, seed=5, spread=0.3)
    log_s = times(work, truth, noise=0.05, seed=6)
    log_s[0, 0] += np.log(8)

    found = np.exp(fit(work, log_s, usual_parameters(work, log_s)))

    off = np.abs(np.log(found[0] @ work[1:].T) - np.log(truth[0] @ work[1:].T))
    assert np.median(off) < 0.1


def test_a_table_that_lacks_networks_is_fitted_from_the_others():
    work, truth = works(12, seed=7), devices(20, seed=8, spread=0.2)
    log_s = times(work, truth, noise=0.02, seed=9)
    log_s[3, 4:] = np.nan

    found = np.exp(fit(work, log_s, usual_parameters(work, log_s)))

    np.testing.assert_allclose(found[3] @ work.T, truth[3] @ work.T, rtol=0.25)


def test_a_device_twice_as_slow_gets_parameters_twice_as_large():
    work = works(12, seed=10)
    log_s = times(work, devices(20, seed=11, spread=0.3), noise=0.1, seed=12)
    usual = usual_parameters(work, log_s)

    slower = fit(work, log_s + np.log(2), usual) - fit(work, log_s, usual)

    np.testing.assert_allclose(slower, np.log(2), atol=1e-3)


def test_the_residual_of_a_network_does_not_depend_on_its_own_time():
    work = works(8, seed=13)
    log_s = times(work, devices(20, seed=14, spread=0.3), noise=0.1, seed=15)
    changed = log_s.copy()
    changed[:, 2] += 1.0

    moved = left_out(work, changed)[:, 2] - left_out(work, log_s)[:, 2]

    np.testing.assert_allclose(moved, 1.0, atol=1e-9)


def test_the_band_covers_eight_of_ten_times_of_networks_that_nobody_fitted():
    work, truth = works(36, seed=16), devices(40, seed=17, spread=0.3)
    log_s = times(work, truth, noise=0.3, seed=18)
    seen, unseen = slice(0, 12), slice(12, 36)
    parameters = fit(work[seen], log_s[:, seen], usual_parameters(work[seen], log_s[:, seen]))
    residuals = left_out(work[seen], log_s[:, seen])

    held = []
    for device in range(len(truth)):
        spread = spread_of(a_fit(log_residuals=tuple(residuals[device])))
        off = log_s[device, unseen] - np.log(np.exp(parameters[device]) @ work[unseen].T)
        held += list((spread.low <= off) & (off <= spread.high))

    assert 0.80 <= np.mean(held) <= 0.99
