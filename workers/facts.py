"""What inspection found out about a model or a dataset. Plain values, no tensors."""

from datetime import date
from enum import StrEnum
from typing import Literal

from workers.errors import Frozen

PAIR = frozenset({"query", "document"})


class Span(Frozen):
    """A figure with its range."""

    value: float
    low: float
    high: float


class Role(StrEnum):
    TRAIN = "train"
    CALIBRATION = "calibration"
    VALIDATION = "validation"
    TEST = "test"


class TensorFacts(Frozen):
    """A tensor at the border of the network. A free axis is a name or ``-1``."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class LayerFacts(Frozen):
    """One node that holds weights or does work, in graph order. MACs are for one sample."""

    name: str
    op: str
    params: int = 0
    macs: int = 0
    output_shape: tuple[int, ...] = ()


class KindOfWork(Frozen):
    """All layers of one kind together, for one sample: products, and how many numbers they hold, read and write.

    Kinds: ``c1`` 1x1 convolution, ``c3w`` 3x3 with stride 1, ``cx`` any other, ``dw`` depthwise or grouped, ``fc``
    fully connected, ``gemm`` other matrix products, ``other`` everything that multiplies nothing.
    """

    kind: Literal["c1", "c3w", "cx", "dw", "fc", "gemm", "other"]
    count: int
    macs: int
    weights: int
    act_in: int
    act_out: int


class ModelFacts(Frozen):
    """What a network is. ``size_bytes`` counts the file with its external data; MACs are for batch 1.

    ``converted_from`` names the form it was uploaded in, where that was not ONNX.
    """

    format: str = "onnx"
    converted_from: str = ""
    size_bytes: int
    zip_bytes: int
    params: int
    macs: int
    opset: int
    producer: str = ""
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    layers: tuple[LayerFacts, ...] = ()
    work: tuple[KindOfWork, ...] = ()
    op_counts: dict[str, int] = {}
    weight_bytes: dict[str, int] = {}
    external_data: bool = False
    quantized: bool = False
    warnings: tuple[str, ...] = ()


class RoleFacts(Frozen):
    """The rows one role holds. ``declared`` is false where the rows were carved out by seed."""

    rows: int
    declared: bool
    class_counts: dict[str, int] = {}


class TargetFacts(Frozen):
    """What the labels are. ``classes`` names them in index order; empty for a number to predict. ``per``: of what."""

    kind: Literal["class", "number", "none"]
    name: str = ""
    classes: tuple[str, ...] = ()
    per: Literal["sample", "frame", "pixel"] = "sample"


class DatasetFacts(Frozen):
    """What a dataset holds. Input shapes are for one sample; ``overlaps`` counts test rows also in a role."""

    format: str
    size_bytes: int
    inputs: tuple[TensorFacts, ...]
    target: TargetFacts
    roles: dict[Role, RoleFacts]
    overlaps: dict[Role, int] = {}
    columns: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def are_pairs(self) -> bool:
        """Whether each row is a query with the document that answers it, which is what a label tells elsewhere."""
        return {one.name for one in self.inputs if one.dtype == "text"} >= PAIR

    def rows(self, role: Role) -> int:
        """How many rows a role has; 0 where it is not there."""
        return self.roles[role].rows if role in self.roles else 0


class SandboxFacts(Frozen):
    """The confinement a host reaches, in words a person can act on."""

    level: Literal["full", "partial", "minimal"]
    landlock_abi: int = 0
    seccomp: bool = False
    says: tuple[str, ...] = ()


class EdgeFacts(Frozen):
    """How a host stands in for other devices, and what it lacks with what would help, a sentence each."""

    memory_cap: Literal["cgroup v2", "cgroup v1", "RLIMIT_DATA"]
    answers: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


class Fit(Frozen):
    """What the latency predictor takes for a profile: effective parameters, fitted to published times.

    They answer "which three numbers reproduce this table?" and are no facts about the hardware. ``measured_on``
    is the device as its source calls it. ``log_residuals`` are ln(measured / predicted) of calibration models that
    the fit had not seen; ``int8_speedups`` are float ÷ int8 times of one network each, most of them near 1.
    """

    measured_on: str
    processor: Literal["cpu", "gpu"]
    runtime: str
    runtime_version: str
    threads: int
    precision: str = "float"
    grade: Literal["C", "D"] = "C"
    effective_macs_per_s: float
    effective_bytes_per_s: float
    effective_layer_s: float
    models: tuple[str, ...]
    dominated_by: tuple[str, ...]
    log_residuals: tuple[float, ...]
    int8_speedups: tuple[float, ...] = ()
    source: str
    fitted_on: date


class NodeFacts(Frozen):
    """What a worker host is and can do; sent with every beat.

    ``profile`` is the device profile on file that it declares to be, ``fit`` what it took for standard networks;
    ``meters`` are the energy counters it reads, ``meters_lack`` says why others cannot be read.
    """

    name: str
    queues: tuple[str, ...]
    slots: int
    cores: int
    memory_bytes: int
    device: str
    arch: str = ""
    isa: tuple[str, ...] = ()
    cpu: str = ""
    gpu: str = ""
    abilities: tuple[str, ...] = ()
    versions: dict[str, str] = {}
    profile: str = ""
    fit: Fit | None = None
    meters: tuple[str, ...] = ()
    meters_lack: tuple[str, ...] = ()
    sandbox: SandboxFacts
    edge: EdgeFacts | None = None
