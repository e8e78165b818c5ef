"""Give every row its role: as the file declares it, else carved out by seed."""

from dataclasses import dataclass

import numpy as np

from workers.datasets.raw import Array, BadData, Raw
from workers.facts import Role

TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1
CALIBRATION_ROWS = 512
FEWEST_ROWS = 10
SALT = {Role.TEST: 1, Role.VALIDATION: 2, Role.CALIBRATION: 3, Role.TRAIN: 4}


@dataclass(frozen=True)
class Split:
    """The rows of each role, in the order they are served, and which roles the file itself declared."""

    rows: dict[Role, Array]
    declared: frozenset[Role]


def split(raw: Raw, labels: Array | None, *, split_seed: int, seed: int, not_for_calibration: Array) -> Split:
    """Complete the declared roles.

    Test rows (20 %) and validation rows (10 % of what is left) are taken class by class, so that
    shares are kept; calibration rows, at most 512, are chosen among the train rows and stay there.
    A file with test rows only keeps them and gets no other role.

    Args:
        raw: the dataset.
        labels: class index per row, or None or floats where there is nothing to keep the shares of.
        split_seed: decides test and validation; part of the dataset.
        seed: decides the calibration rows; part of the job.
        not_for_calibration: one bool per row; true for rows that also stand in the test data.
    """
    rows = {role: span for role, span in raw.declared.items() if len(span)}
    declared = frozenset(rows)
    classes = labels if labels is not None and labels.dtype.kind == "i" and labels.ndim == 1 else None
    _carve(rows, raw.loose, classes, split_seed)
    ordered = {role: _shuffled(rows[role], split_seed, role) for role in Role if role in rows and len(rows[role])}
    if Role.CALIBRATION not in ordered and Role.TRAIN in ordered:
        free = ordered[Role.TRAIN][~not_for_calibration[ordered[Role.TRAIN]]]
        if len(free):
            ordered[Role.CALIBRATION] = _shuffled(free, seed, Role.CALIBRATION)[:CALIBRATION_ROWS]
    return Split({role: ordered[role] for role in Role if role in ordered}, declared)


def _carve(rows: dict[Role, Array], loose: Array, classes: Array | None, seed: int) -> None:
    """Take test and validation rows out of the train rows where the file has none of its own."""
    if len(loose):
        if Role.TRAIN in rows:
            raise BadData(
                "Expected either x or x_train, found both.", hint="Keep one of the two.", code="data.npz-names"
            )
        rows[Role.TRAIN] = loose
    if Role.TRAIN not in rows:
        return
    shares = ((Role.TEST, TEST_SHARE), (Role.VALIDATION, VALIDATION_SHARE))
    for role, share in shares:
        if role in rows:
            continue
        if len(rows[Role.TRAIN]) < FEWEST_ROWS:
            raise BadData(
                f"Expected at least {FEWEST_ROWS} rows to carve {role} rows out of, found {len(rows[Role.TRAIN])}.",
                hint=f"Add rows, or declare the {role} rows yourself.",
                code="data.too-few-rows",
            )
        taken = take_share(rows[Role.TRAIN], share, classes, np.random.default_rng([seed, SALT[role]]))
        rows[role], rows[Role.TRAIN] = taken, np.setdiff1d(rows[Role.TRAIN], taken)


def take_share(rows: Array, share: float, classes: Array | None, generator: np.random.Generator) -> Array:
    """A share of the rows, class by class; the classes with the largest remainders fill up to the whole."""
    wanted = max(1, round(share * len(rows)))
    groups = [rows] if classes is None else [rows[classes[rows] == one] for one in np.unique(classes[rows])]
    quotas = np.array([share * len(group) for group in groups])
    counts = np.floor(quotas).astype(int)
    order = np.argsort(-(quotas - counts), kind="stable")
    counts[order[: max(0, wanted - int(counts.sum()))]] += 1
    taken = [generator.permutation(group)[:count] for group, count in zip(groups, counts, strict=True)]
    return np.sort(np.concatenate(taken))


def _shuffled(rows: Array, seed: int, role: Role) -> Array:
    """A fixed order in which the first rows are a fair sample, also of a file sorted by class."""
    return np.random.default_rng([seed, SALT[role]]).permutation(rows)
