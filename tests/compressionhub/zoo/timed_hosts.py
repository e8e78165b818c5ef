"""Entries as hosts measured them that had said something of themselves."""

from compressionhub.estimates.models import Workload
from compressionhub.zoo.models import Entry
from tests.compressionhub.zoo.records import report_of

WORK = ({"kind": "c3w", "count": 2, "macs": 5_000_000, "weights": 300_000, "act_in": 20_000, "act_out": 20_000},)


def fit_of(macs_per_s: float, **more: object) -> dict[str, object]:
    made = {
        "measured_on": "a test", "processor": "cpu", "runtime": "onnxruntime", "runtime_version": "1", "threads": 1,
        "effective_macs_per_s": macs_per_s, "effective_bytes_per_s": 5e10, "effective_layer_s": 5e-6, "models": ["m"],
        "dominated_by": ["c3w"], "log_residuals": [0.0, 0.1, -0.1], "source": "a test", "fitted_on": "2026-11-28",
    }  # fmt: skip
    return {**made, **more}


def told(
    entry: Entry, *, isa: tuple[str, ...] = ("avx2", "avx512_vnni"), precision: str = "int8", **environment: object
) -> Entry:
    """The entry as a worker measured it that had said this of itself."""
    with report_of(entry) as report:
        report["environment"] |= {"arch": "x86_64", "isa": isa, **environment}
        report["work"] = {
            "baseline": {"precision": "float32", "layers": WORK}, "result": {"precision": precision, "layers": WORK}
        }  # fmt: skip
    return Entry.objects.get(pk=entry.pk)


def at(workload: Workload, instance: str) -> object:
    place = {"provider": "azure", "region": "eastus", "instance": instance}
    return workload.assumed.model_copy(update={"workload": workload.assumed.workload.model_copy(update=place)})
