"""The example behind every estimate's own example: a picture classifier on c6i.xlarge, before and after int8.

Service times are example values. Prices and factors are those of the packaged tables.
"""

from functools import cache

from workers.serving.figures import Figures
from workers.serving.figures import figures as estimate
from workers.serving.jobs import JobRun
from workers.serving.service import ServiceTime
from workers.serving.workload import OnPremises, Override, Triple, Workload

AUTHOR = "worked example"
PER_MONTH = 1e9
FP32 = ServiceTime(
    mean_s=0.040, p95_s=0.046, cs2=0.05, workers=4, device="c6i-xlarge-1t", source="example value",
    size_bytes=45_100_000, peak_memory_bytes=78_000_000,
)  # fmt: skip
INT8 = ServiceTime(
    mean_s=0.016, p95_s=0.019, cs2=0.05, workers=4, device="c6i-xlarge-1t", source="example value",
    size_bytes=7_600_000, peak_memory_bytes=31_000_000,
)  # fmt: skip
JOB = JobRun(
    title="the example's job", hours=2, watts=Triple(low=300, value=300, high=300), watts_source="one GPU at work",
    usd_per_hour=1.006, price_source="g5.xlarge, us-east-1, list price",
)  # fmt: skip


def workload(**changes: object) -> Workload:
    """The example's workload, with some fields changed."""
    fields: dict[str, object] = {
        "name": "A billion pictures a month", "author": AUTHOR, "predictions_per_month": PER_MONTH,
        "sla_p95_ms": 100, "provider": "aws", "region": "us-east-1", "instance": "c6i.xlarge",
        "stored_copies": 100, "downloads_per_month": 10_000, "overrides": typed_in(),
    }  # fmt: skip
    return Workload.model_validate({**fields, **changes})


def typed_in() -> tuple[Override, ...]:
    """Rates that no table holds."""
    return (
        Override(name="market_g_per_kwh", value=50, author=AUTHOR),
        Override(name="storage_usd_per_gb_month", value=0.023, author=AUTHOR),
        Override(name="transfer_usd_per_gb", value=0.09, author=AUTHOR),
    )


def owned_workload() -> Workload:
    """The same traffic on machines of one's own."""
    machine = OnPremises(
        title="Server in the shop", workers=16, memory_gb=64, idle_w=Triple(low=60, value=80, high=100),
        active_w=Triple(low=150, value=200, high=250), hardware_usd=6000, life_years=5, used_share=0.5,
        operations_usd_per_month=400, embodied_kg=Triple(low=525, value=900, high=1450), grid_zone="DEU",
    )  # fmt: skip
    price = Override(name="usd_per_kwh", value=0.20, author=AUTHOR)
    return workload(billing="on-premises", on_premises=machine, overrides=(*typed_in(), price))


@cache
def figures() -> Figures:
    """Baseline at 0, int8 at 1."""
    return estimate(workload(), FP32, [INT8], jobs=[JOB])


@cache
def owned_figures() -> Figures:
    return estimate(owned_workload(), FP32, [INT8], jobs=[JOB])
