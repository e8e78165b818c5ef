"""Networks and devices made up for tests: their parameters are known, so a fit can be held against them."""

from datetime import date

import numpy as np

from workers.device import DeviceProfile, Fit
from workers.emulation import Layer

PER_MAC, PER_BYTE, PER_LAYER = 1 / 20e9, 1 / 8e9, 30e-6


def network(**changes: object) -> tuple[Layer, ...]:
    """One 1×1 convolution of 20 million products, 1 MB of weights and 1 MB of activations."""
    row = {"kind": "c1", "macs": 20e6, "weights": 250e3, "act_in": 125e3, "act_out": 125e3} | changes
    return (Layer.model_validate(row),)


def a_fit(**changes: object) -> Fit:
    values = {
        "measured_on": "A made-up board",
        "processor": "cpu",
        "runtime": "ncnn",
        "runtime_version": "1",
        "threads": 1,
        "effective_macs_per_s": 1 / PER_MAC,
        "effective_bytes_per_s": 1 / PER_BYTE,
        "effective_layer_s": PER_LAYER,
        "models": tuple("abcdefgh"),
        "dominated_by": ("c1",),
        "log_residuals": (-0.05, 0.0, 0.05),
        "int8_speedups": (0.9, 1.2, 1.6),
        "source": "made up for a test",
        "fitted_on": date(2026, 11, 22),
    }
    return Fit.model_validate(values | changes)


def a_profile(fit: Fit | None, *, runtime: str = "ncnn") -> DeviceProfile:
    return DeviceProfile(key="board", title="A made-up board", runtime=runtime, fit=fit)


def works(models: int, seed: int) -> np.ndarray:
    """(models, 3): products, bytes and layers of networks that differ in what they are made of."""
    random = np.random.default_rng(seed)
    typical = np.array([4e8, 4e7, 60.0])
    return typical * np.exp(random.normal(0, [1.2, 0.9, 0.7], (models, 3)))


def times(work: np.ndarray, parameters: np.ndarray, *, noise: float, seed: int) -> np.ndarray:
    """(P, M): logarithms of the seconds that devices with (P, 3) parameters take, with noise."""
    exact = np.log(parameters @ work.T)
    return exact + np.random.default_rng(seed).normal(0, noise, exact.shape)


def devices(count: int, seed: int, *, spread: float) -> np.ndarray:
    """(count, 3): seconds per product, byte and layer; speeds differ widely, the ratios by ``spread``."""
    random = np.random.default_rng(seed)
    speed = np.exp(random.normal(0, 1.0, (count, 1)))
    return np.array([PER_MAC, PER_BYTE, PER_LAYER]) * speed * np.exp(random.normal(0, spread, (count, 3)))
