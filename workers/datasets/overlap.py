"""Rows that stand in the test data and elsewhere."""

import numpy as np

from workers.datasets.raw import Array, BadData, Raw
from workers.facts import Role

WARN_ABOVE_SHARE = 0.01


def digests(raw: Raw) -> Array:
    """One number per row, (rows,); rows whose inputs are equal byte by byte have the same one."""
    every = np.arange(raw.rows)
    columns = [column.digest(every) for column in raw.inputs.values()]
    seen: dict[bytes, int] = {}
    return np.array(
        [seen.setdefault(b"".join(parts), len(seen)) for parts in zip(*columns, strict=True)], dtype=np.int64
    )


def stands_in(fingerprints: Array, rows: Array) -> Array:
    """One bool per row of the dataset: whether it equals one of ``rows``."""
    return np.isin(fingerprints, fingerprints[rows])


def count(fingerprints: Array, rows: dict[Role, Array]) -> dict[Role, int]:
    """How many test rows also stand in each other role."""
    test = rows.get(Role.TEST, np.arange(0))
    return {
        role: int(np.isin(fingerprints[test], fingerprints[span]).sum())
        for role, span in rows.items()
        if role is not Role.TEST and len(test)
    }


def judge(overlaps: dict[Role, int], rows: dict[Role, Array]) -> tuple[str, ...]:
    """What to say about overlaps.

    Returns:
        Warnings.

    Raises:
        BadData: if calibration data hold test rows.
    """
    held = overlaps.get(Role.CALIBRATION, 0)
    if held:
        raise BadData(
            f"Expected no test rows in the calibration data, found {held}.",
            hint="Take the calibration rows from the training data, or leave them out: they are then chosen for you.",
            code="data.calibration-overlaps-test",
        )
    said = []
    for role in (Role.TRAIN, Role.VALIDATION):
        shared = overlaps.get(role, 0)
        if shared and shared > WARN_ABOVE_SHARE * min(len(rows[role]), len(rows[Role.TEST])):
            said.append(
                f"{shared:,} of {len(rows[Role.TEST]):,} test rows also stand in the {role} rows:"
                f" the figures on test data flatter."
            )
    return tuple(said)
