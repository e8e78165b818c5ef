"""``manifest.json``: what a bundle holds and how to feed it. The fixed sample script reads it."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from workers.report import Report
from workers.ticket import Blob, Ticket

FORMAT = 1
RUN_SCRIPT = Path(__file__).parent / "bundle" / "run.py"


def write(path: Path, files: Sequence[Blob], *, report: Report, ticket: Ticket, contract: dict[str, object]) -> Path:
    """Write the manifest of an artifact.

    Args:
        files: the other files of the bundle, hashed.

    Returns:
        ``path``.
    """
    said = {
        "format": FORMAT,
        "model": "model.onnx",
        "sample": "sample.npz",
        "files": {blob.name: {"sha256": blob.sha256, "size_bytes": blob.size_bytes} for blob in files},
        "contract": contract,
        "recipe": ticket.recipe.model_dump(mode="json") if ticket.recipe else None,
        "seed": ticket.seed,
        "data_sha256": ticket.data.sha256 if ticket.data else None,
        "baseline_sha256": ticket.model.sha256 if ticket.model else None,
        "validated_on": [report.environment.device],
        "made_for": ticket.device,
        "isa": list(report.environment.isa),
        "versions": report.environment.versions,
        "metrics": {name: interval.model_dump() for name, interval in report.result.metrics.items()},
        "notes": list(report.notes),
    }
    path.write_text(json.dumps(said, indent=1, sort_keys=True))
    return path


def add_run_script(folder: Path) -> Path:
    """Copy the fixed sample script into a folder."""
    return Path(shutil.copyfile(RUN_SCRIPT, folder / "run.py"))
