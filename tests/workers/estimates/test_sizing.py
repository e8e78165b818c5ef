"""Which instance to rent, whether CPUs replace a GPU, and why the others do not do."""

import pytest

from workers.estimates.gpu_to_cpu import GpuToCpu
from workers.estimates.right_sizing import RightSizing
from workers.serving.candidates import Candidate
from workers.serving.figures import figures
from workers.serving.service import Factor, ServiceTime
from workers.serving.worked_example import FP32, INT8, workload


def taking(mean_ms: float, *, device: str = "d", **more) -> ServiceTime:
    given = {"mean_s": mean_ms / 1000, "p95_s": mean_ms * 1.15 / 1000, "device": device, **more}
    return FP32.model_copy(update=given)


def reasons(sizing) -> dict[str, str]:
    return {each.instance: each.reason for each in sizing.others}


def test_the_cheapest_that_keeps_the_limit_is_chosen_and_every_other_has_its_reason():
    candidates = [
        Candidate(instance="c6i.xlarge", service=taking(40)),
        Candidate(instance="c7i.xlarge", service=taking(30)),
        Candidate(instance="c6a.xlarge", service=taking(110)),
        Candidate(instance="c6i.large", service=taking(40, peak_memory_bytes=3_000_000_000)),
        Candidate(instance="c7g.xlarge", service=None),
        Candidate(instance="no.such", service=taking(40)),
    ]

    sizing = RightSizing.choose(workload(), candidates)

    bills = {
        name: figures(workload(), taking(mean), [], instance=name).amount("cost-autoscaled", 0).value
        for name, mean in (("c6i.xlarge", 40), ("c7i.xlarge", 30))
    }
    assert sizing.chosen.instance == min(bills, key=bills.get) == "c7i.xlarge"
    assert sizing.runner_up.instance == "c6i.xlarge"
    said = reasons(sizing)
    assert (
        said["c6i.xlarge"] == f"Price: ${bills['c6i.xlarge'] - bills['c7i.xlarge']:,.2f} a month more than c7i.xlarge."
    )
    assert said["c6a.xlarge"].startswith("Limit: one request alone takes 126 ms")
    assert said["c6i.large"] == "Memory: 2 at a time need 6 GB, it has 4 GB."
    assert "upload a latency file" in said["c7g.xlarge"]
    assert "no.such" in said["no.such"]
    assert "Next is c6i.xlarge." in sizing.sentence


def test_the_high_end_of_the_service_time_decides():
    unsure = taking(30, own=Factor(low=0.9, high=3))
    candidates = [
        Candidate(instance="c6a.xlarge", service=unsure),
        Candidate(instance="c6i.xlarge", service=taking(40)),
    ]

    sizing = RightSizing.choose(workload(), candidates)

    assert sizing.chosen.instance == "c6i.xlarge"
    assert "at its high end" in reasons(sizing)["c6a.xlarge"]


def test_without_a_price_an_instance_is_not_chosen():
    elsewhere = workload(region="eu-central-1")

    sizing = RightSizing.choose(elsewhere, [Candidate(instance="c6i.xlarge", service=taking(40))])

    assert sizing.chosen is None and sizing.sentence == "None of 1 instances keeps the limit."
    assert "No price of c6i.xlarge in eu-central-1" in reasons(sizing)["c6i.xlarge"]


def test_nothing_to_choose_from_is_said():
    assert RightSizing.choose(workload(), []).sentence == "There is no instance to choose from."


GPU = Candidate(instance="g4dn.xlarge", service=taking(6, device="g4dn.xlarge", workers=1))


def test_cpus_replace_a_gpu_where_they_keep_its_limit():
    answer = GpuToCpu.replace(workload(), GPU, [Candidate(instance="c6i.xlarge", service=INT8)])

    gpu, cpu = answer.gpu.bill.value, answer.cpu.bill.value
    assert cpu == pytest.approx(434.35) and gpu > cpu
    assert answer.saving.value == pytest.approx(gpu - cpu)
    assert answer.relative_saving.value == pytest.approx(1 - cpu / gpu)
    assert answer.sentence.startswith("8 × c6i.xlarge at peak keeps the limit of 100 ms that ")
    assert answer.sentence.endswith(f"for $434 a month instead of ${gpu:,.0f}: no GPU is needed.")
    names = {each.name for each in answer.saving.inputs}
    assert {"gpu_price_usd_per_hour", "cpu_price_usd_per_hour"} <= names


def test_a_dearer_replacement_is_said_to_be_dearer():
    slow = Candidate(instance="c6i.xlarge", service=taking(80))

    answer = GpuToCpu.replace(workload(), GPU, [slow])

    assert answer.saving.value < 0
    assert "but it costs no less" in answer.sentence


def test_no_cpu_that_keeps_the_limit_is_an_answer():
    answer = GpuToCpu.replace(workload(), GPU, [Candidate(instance="c6i.xlarge", service=taking(100))])

    assert answer.cpu is None and not answer.saving.is_known
    assert answer.sentence == "No CPU instance keeps the limit of 100 ms that g4dn.xlarge keeps."
    assert "Limit:" in answer.others[0].reason


def test_a_gpu_that_misses_the_limit_itself_or_no_limit_are_said():
    late = Candidate(instance="g4dn.xlarge", service=taking(200, workers=1))
    cpus = [Candidate(instance="c6i.xlarge", service=INT8)]

    assert "does not keep the limit itself" in GpuToCpu.replace(workload(), late, cpus).sentence
    assert "sets no limit" in GpuToCpu.replace(workload(sla_p95_ms=None), GPU, cpus).sentence


def test_a_gpu_draws_more_than_its_host():
    card = figures(workload(), taking(6, workers=1), [], instance="g4dn.xlarge")

    assert card.load.machine.workers == 1
    assert card.load.watts[0, 1, 0] > 8 + 4 * 0.69
    assert card.amount("energy", 0).grade == "D"
