"""What a job hands over: the artifact and what makes it run elsewhere, judged by the parent before it is stored."""

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from workers import bundle
from workers.contract import Contract
from workers.errors import OursToFix
from workers.intake import COMPANIONS
from workers.report import Report
from workers.ticket import CONTRACT_FILE, DECODER_FILE, MODEL_FILE, SAMPLE_FILE, Blob, Ticket

# A network is one file, or a few where its weights lie beside it.
MOST_FILES = 20
A_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Keep(Protocol):
    """How a file is hashed and stored."""

    def __call__(self, path: Path, *, name: str) -> Blob: ...


def deliver(steps: Path, work: Path, out: Path, *, report: Report, ticket: Ticket, keep: Keep) -> Sequence[Blob]:
    """Hash and store the artifact with its sample, report, recipe, manifest and bundle.

    Args:
        steps: the folder of the last step, below ``work``, which the child filled.
        out: an empty folder no child ever saw: in its own, a link may wait under any name.
    """
    beside = sorted(steps.glob(f"{MODEL_FILE}?*"))[:MOST_FILES]
    maybe = (*COMPANIONS, DECODER_FILE)
    companions = [work / "out" / name for name in maybe if os.path.lexists(work / "out" / name)]
    made = [steps / MODEL_FILE, *beside, work / "out" / SAMPLE_FILE, *companions]
    for path in made:
        see_it_is_the_childs_own(path, work)
    files = {path.name: path for path in made}
    files["report.json"] = out / "report.json"
    files["report.json"].write_text(report.model_dump_json(indent=1))
    if ticket.recipe is not None:
        files["recipe.yaml"] = out / "recipe.yaml"
        files["recipe.yaml"].write_text(ticket.recipe.as_yaml())
    blobs = [keep(path, name=name) for name, path in files.items()]
    files["manifest.json"] = bundle.write_manifest(
        out / "manifest.json", blobs, report=report, ticket=ticket, contract=_contract(ticket, work)
    )
    files[bundle.BUNDLE_FILE] = bundle.pack(out / bundle.BUNDLE_FILE, files)
    return [*blobs, *(keep(files[name], name=name) for name in ("manifest.json", bundle.BUNDLE_FILE))]


def _contract(ticket: Ticket, work: Path) -> dict[str, object]:
    """The contract of the ticket, or the one the child guessed and wrote down."""
    if ticket.contract is not None:
        return ticket.contract.model_dump(mode="json")
    path = work / "out" / CONTRACT_FILE
    see_it_is_the_childs_own(path, work)
    return Contract.model_validate_json(path.read_text()).model_dump(mode="json")


def see_it_is_the_childs_own(path: Path, work: Path) -> None:
    """A link out of the folder would make the parent store what the child may not read.

    Raises:
        OursToFix: if the path leads anywhere else, to no plain file, or has a name no bundle can hold.
    """
    expected = work.resolve() / path.relative_to(work)
    if path.resolve() != expected or not path.is_file() or not A_NAME.fullmatch(path.name):
        raise OursToFix(
            f"Expected {path.name[:60]!r} to be a plain file of the job's own, found a link or nothing.",
            hint="Run the job again; if it stays, report the model.",
            code="artifact.not-a-file",
        )


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
