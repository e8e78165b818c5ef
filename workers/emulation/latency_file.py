"""A latency file: how long one network took on a real device, as the script of every bundle writes it.

``python run.py --bench out.json --device KEY`` measures on the device and writes this JSON; see
``docs/latency-files.md``. It is read by a strict parser that builds numbers and texts, and nothing else.
"""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from workers.device import DeviceProfile
from workers.emulation.layers import Layer
from workers.emulation.predictor import Anchor, Precision
from workers.errors import Frozen, YoursToFix

MOST_BYTES = 16 << 10
MOST_LAYERS = 50  # one row for each kind of layer and number format, with room
FEWEST_RUNS = 20
MACHINES = {"arm64": "aarch64", "amd64": "x86_64"}
HINT = "Make it with: python run.py --bench out.json --device KEY, on the device, in an unpacked bundle."

Text = Annotated[str, Field(max_length=200)]
Milliseconds = Annotated[float, Field(gt=0, le=1e7, allow_inf_nan=False)]


class LatencyFile(Frozen):
    """One network timed at batch 1. ``low_ms`` and ``high_ms`` hold nine of ten medians of the rounds.

    ``layers`` are the bundle's own, copied from its manifest; they make the time an anchor for other networks.
    """

    format: Literal["compressionhub-latency"]
    version: Literal[1]
    device: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,59}$")]
    machine: Text
    processor: Text = ""
    system: Text = ""
    runtime: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$")]
    runtime_version: Annotated[str, Field(max_length=40)]
    threads: int = Field(ge=1, le=1024)
    precision: Precision
    model_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    batch: Literal[1]
    runs: int = Field(ge=FEWEST_RUNS, le=10_000_000)
    p50_ms: Milliseconds
    p95_ms: Milliseconds
    p99_ms: Milliseconds
    low_ms: Milliseconds
    high_ms: Milliseconds
    layers: tuple[Layer, ...] = Field(min_length=1, max_length=MOST_LAYERS)
    measured_at: datetime

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if not self.p50_ms <= self.p95_ms <= self.p99_ms:
            raise ValueError("expected p50_ms <= p95_ms <= p99_ms")
        if not self.low_ms <= self.p50_ms <= self.high_ms:
            raise ValueError("expected low_ms <= p50_ms <= high_ms")
        return self

    def anchor(self, source: str) -> Anchor:
        """The time as the predictor takes it."""
        return Anchor(
            layers=self.layers, p50_ms=self.p50_ms, low_ms=self.low_ms, high_ms=self.high_ms, runtime=self.runtime,
            precision=self.precision, sha256=self.model_sha256, source=source,
        )  # fmt: skip


def read(content: bytes) -> LatencyFile:
    """Read a latency file.

    Raises:
        YoursToFix: naming the first thing that is not as expected.
    """
    if len(content) > MOST_BYTES:
        raise _not_as_expected(f"at most {MOST_BYTES >> 10} KiB", f"{len(content) / 1024:.0f} KiB")
    try:
        return LatencyFile.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise _not_as_expected("a latency file in JSON", f"in {where[:80]}: {first['msg'][:200]}") from None


def require_from(found: LatencyFile, there: DeviceProfile) -> None:
    """See that a file speaks of a profile, as far as it can be seen.

    Raises:
        YoursToFix: if it names another one, another kind of processor, or other threads.
    """
    if found.device != there.key:
        raise _not_as_expected(f"times of {there.key}", f"times of {found.device}")
    machine = MACHINES.get(found.machine.lower(), found.machine.lower())
    if there.runs_onnxruntime and machine != there.arch:
        raise _not_as_expected(f"a file made on {there.arch}", f"one made on {machine[:40] or 'nothing known'}")
    if found.threads != there.threads:
        threads = "thread" if there.threads == 1 else "threads"
        raise _not_as_expected(f"times with {there.threads} {threads}", f"times with {found.threads}")


def _not_as_expected(expected: str, found: str) -> YoursToFix:
    return YoursToFix(f"Expected {expected}, found {found}.", hint=HINT, code="latency-file.refused")
