"""A bundle: the artifact, ``manifest.json`` that says what it is and how to feed it, and a sample script.

The script is one fixed file that reads the manifest: nothing a person typed becomes code.
"""

import json
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from workers.device import profile
from workers.report import Report
from workers.ticket import DECODER_FILE, Blob, Ticket

FORMAT = 1
RUN_SCRIPT = Path(__file__).parent / "run.py"
BUNDLE_FILE = "bundle.zip"
TOKENIZER_FILE = "tokenizer.json"


def write_manifest(
    path: Path, files: Sequence[Blob], *, report: Report, ticket: Ticket, contract: dict[str, object]
) -> Path:
    """Write the manifest of an artifact.

    Args:
        files: the other files of the bundle, hashed.

    Returns:
        ``path``.
    """
    result = report.work.get("result")
    said = {
        "format": FORMAT,
        "model": "model.onnx",
        "sample": "sample.npz",
        "tokenizer": next((blob.name for blob in files if blob.name == TOKENIZER_FILE), None),
        "decoder": next((blob.name for blob in files if blob.name == DECODER_FILE), None),
        "files": {blob.name: {"sha256": blob.sha256, "size_bytes": blob.size_bytes} for blob in files},
        "contract": contract,
        "recipe": ticket.recipe.model_dump(mode="json") if ticket.recipe else None,
        "seed": ticket.seed,
        "data_sha256": ticket.data.sha256 if ticket.data else None,
        "baseline_sha256": ticket.model.sha256 if ticket.model else None,
        "others": [other.model_dump() for other in report.others],
        "validated_on": list(report.validated_on),
        "emulation": report.emulation.model_dump(mode="json") if report.emulation else None,
        "made_for": ticket.device,
        "threads": profile(ticket.device).threads,
        "precision": result.precision if result else "float32",
        "layers": [row.model_dump(mode="json") for row in result.layers] if result else [],
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


def pack(path: Path, files: dict[str, Path]) -> Path:
    """Zip the files of a bundle with the sample script, stored, not compressed: weights hardly shrink.

    The same files give the same bytes: members are sorted and carry no time.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as bundle:
        for name, source in sorted({**files, "run.py": RUN_SCRIPT}.items()):
            with bundle.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member, source.open("rb") as file:
                shutil.copyfileobj(file, member, 1 << 20)
    return path
