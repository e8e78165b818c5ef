"""The ticket a hub sends to a worker, and the order a worker gives to its child.

A ticket names store keys and the job; an order names neither: only files below the child's own
folder. Both are plain JSON.
"""

from enum import StrEnum
from typing import Literal

from workers.contract import Contract
from workers.emulation.emulator import Emulator
from workers.emulation.predictor import Anchor
from workers.errors import Frozen
from workers.facts import Fit
from workers.recipe import Recipe

GIB = 1 << 30
# The files of a child's folder: steps/<i>/ holds the first three, out/ the others.
MODEL_FILE = "model.onnx"
CHECKPOINT_FILE = "checkpoint.json"
OUTPUTS_FILE = "outputs.npy"
SAMPLE_FILE = "sample.npz"
DECODER_FILE = "decode.onnx"
TRIAL_FILE = "trial.json"
ROWS_FILE = "rows.npz"
CONTRACT_FILE = "contract.json"
# What an inspection leaves in out/ where it had to convert the network.
CONVERTED_FILES = ("model.zip", "model.onnx")


class Kind(StrEnum):
    COMPRESS = "compress"
    INSPECT = "inspect"
    TRY = "try"
    EVALUATE = "evaluate"
    SENSITIVITY = "sensitivity"


class Blob(Frozen):
    """A stored file: its key, and the name it was uploaded under (its ending helps recognise it)."""

    key: str
    name: str
    sha256: str
    size_bytes: int


class DataOptions(Frozen):
    """What the bytes of a dataset do not say: which column is the target, and the seed of a carved split."""

    target: str = ""
    split_seed: int = 0


class Limits(Frozen):
    """``alone_seconds`` bounds how long one child may keep the other jobs of its host waiting while it times."""

    memory_bytes: int = 8 * GIB
    disk_bytes: int = 20 * GIB
    wall_seconds: int = 4 * 3600
    alone_seconds: int = 30 * 60


class Ticket(Frozen):
    """``others``: the other networks that steps of the recipe go on with, by the names it gives them."""

    job: str
    number: int = 0
    kind: Kind
    attempt: int
    team: str
    model: Blob | None = None
    others: dict[str, Blob] = {}
    data: Blob | None = None
    options: DataOptions = DataOptions()
    contract: Contract | None = None
    recipe: Recipe | None = None
    device: str = "host-1t"
    anchors: tuple[Anchor, ...] = ()
    seed: int = 0
    limits: Limits = Limits()

    @property
    def inputs(self) -> tuple[Blob, ...]:
        """Every stored file the work needs."""
        return tuple(blob for blob in (self.model, *self.others.values(), self.data) if blob is not None)


class Order(Frozen):
    """One piece of work for a child, with paths relative to its folder.

    kinds: ``inspect`` reads facts; ``try`` runs ten samples; ``compress`` applies the steps;
    ``judge`` reloads what ``compress`` made, in a fresh process, and measures it;
    ``evaluate`` measures the task metrics of one model on test data;
    ``sensitivity`` treats each layer alone and measures it on validation data;
    ``emulate`` runs one network under a device's threads and memory; ``answer`` runs the result under another
    processor's instructions; ``calibrate`` times standard networks. ``profile`` and ``fit`` are what the node says of
    itself, for the report.
    """

    kind: Literal["inspect", "try", "sensitivity", "compress", "judge", "evaluate", "emulate", "answer", "calibrate"]
    model: str | None = None
    others: dict[str, str] = {}
    data: str | None = None
    options: DataOptions = DataOptions()
    contract: Contract | None = None
    recipe: Recipe | None = None
    device: str = "host-1t"
    threads: int = 1
    cores: int = 1
    seed: int = 0
    cached: tuple[int, ...] = ()
    quick: bool = False
    anchors: tuple[Anchor, ...] = ()
    emulator: Emulator | None = None
    profile: str = ""
    fit: Fit | None = None
