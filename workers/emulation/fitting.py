"""Three parameters per table, in the logarithm of time, robust against single outliers, steadied by all other tables.

A dozen networks hardly tell bytes from layers apart. So the ratios of the three parameters are drawn towards those
usual among all tables of the same kind of processor, as firmly as those tables agree (empirical Bayes); how fast a
device is stays entirely its own. Pure arrays; nothing here reads a file.
"""

from dataclasses import dataclass

import numpy as np

NOISE = 0.2  # spread of ln(measured / predicted) within which a residual counts in full
STEPS, ROUNDS = 25, 4
LONGEST_STEP = 1.0
FLOOR_VARIANCE, SHRUNK = 0.02, 0.9
RATIOS = np.array([[-1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]])  # ln(1/B) - ln(1/G) and ln(c) - ln(1/G)


@dataclass(frozen=True)
class Usual:
    """What the parameters usually are: mean (3,) and precision (3, 3), which leaves the overall speed free."""

    mean: np.ndarray
    precision: np.ndarray


def fit(work: np.ndarray, log_s: np.ndarray, usual: Usual) -> np.ndarray:
    """Fit all tables at once.

    Args:
        work: (M, 3), positive: weighted multiply-accumulates, bytes and layers of each network.
        log_s: (P, M): logarithm of seconds, not-a-number where there is none.

    Returns:
        (P, 3): logarithms of seconds per multiply-accumulate, per byte and per layer.
    """
    return _descend(work, log_s, usual)[0]


def usual_parameters(work: np.ndarray, log_s: np.ndarray) -> Usual:
    """What the ratios of the parameters usually are over all tables, and how firmly."""
    scale = np.log(np.median(work, axis=0))
    start = scale[0] - scale  # each part of the work takes about as long
    spread = np.eye(2) * 2.0
    usual = Usual(start, RATIOS.T @ np.linalg.inv(spread) @ RATIOS)
    for _ in range(ROUNDS):
        found, curvature = _descend(work, log_s, usual)
        ratios = found @ RATIOS.T  # (P, 3) -> (P, 2)
        unsure = (RATIOS @ np.linalg.inv(curvature) @ RATIOS.T).mean(axis=0)
        spread = SHRUNK * (np.atleast_2d(np.cov(ratios.T)) if len(ratios) > 2 else spread) + SHRUNK * unsure
        spread += np.eye(2) * FLOOR_VARIANCE
        middle = np.median(ratios, axis=0)
        usual = Usual(np.array([0.0, *middle]), RATIOS.T @ np.linalg.inv(spread) @ RATIOS)
    return usual


def left_out(work: np.ndarray, log_s: np.ndarray) -> np.ndarray:
    """ln(measured / predicted) of each network by fits, and usual parameters, that have not seen it; (P, M)."""
    residuals = np.full(log_s.shape, np.nan)
    for model in range(log_s.shape[1]):
        seen = [i for i in range(log_s.shape[1]) if i != model]
        usual = usual_parameters(work[seen], log_s[:, seen])
        found = fit(work[seen], log_s[:, seen], usual)
        residuals[:, model] = log_s[:, model] - np.log(np.exp(found) @ work[model])
    return residuals


def _descend(work: np.ndarray, log_s: np.ndarray, usual: Usual) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Newton with weights that grow small for far residuals; the parameters and the last curvature."""
    known = ~np.isnan(log_s)
    times = np.where(known, log_s, 0.0)
    at_usual = np.log(np.exp(usual.mean) @ work.T)  # (M,)
    speed = np.where(known, times - at_usual, 0.0).sum(axis=1) / known.sum(axis=1)
    found = usual.mean + speed[:, None]
    for _ in range(STEPS):
        parts = np.exp(found)[:, None, :] * work  # (P, M, 3)
        whole = parts.sum(axis=2)
        residual = np.where(known, np.log(whole) - times, 0.0) / NOISE
        weight = np.where(known, 1 / np.sqrt(1 + residual**2), 0.0)
        slope = parts / whole[:, :, None] / NOISE
        curvature = np.einsum("pmi,pm,pmj->pij", slope, weight, slope) + usual.precision + np.eye(3) * 1e-6
        gradient = np.einsum("pmi,pm->pi", slope, weight * residual) + (found - usual.mean) @ usual.precision
        step = np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
        found = found - np.clip(step, -LONGEST_STEP, LONGEST_STEP)
    return found, curvature


def loss(work: np.ndarray, log_s: np.ndarray, usual: Usual) -> float:
    """How badly the best parameters explain all tables: far residuals count by their size, near ones by its square."""
    residual = (np.log(np.exp(fit(work, log_s, usual)) @ work.T) - log_s) / NOISE
    return float(np.nansum(np.sqrt(1 + residual**2) - 1))
