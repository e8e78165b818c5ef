"""A measurement made on one profile, and what it is worth on another."""

import pytest

from workers.device import DeviceProfile
from workers.estimate import Grade, NotKnown
from workers.report import Ratio
from workers.serving.carry import Carriage, Network, carried, on_machine
from workers.serving.figures import figures
from workers.serving.machine import Machine, machine
from workers.serving.tables import tables
from workers.serving.worked_example import FP32, INT8, workload

VNNI = DeviceProfile(key="c6i", title="c6i", arch="x86_64", isa=("avx2", "avx512_vnni"))
OTHER_VNNI = DeviceProfile(key="c7i", title="c7i", arch="x86_64", isa=("avx2", "avx512_vnni"))
AVX2 = DeviceProfile(key="c6a", title="c6a", arch="x86_64", isa=("avx2",))
NPU = DeviceProfile(key="s24", title="S24", kind="phone-npu", arch="aarch64", isa=("asimddp",))
PAIR = (Network(service=FP32), Network(service=INT8, is_int8=True))
SLOWER = Carriage(ratio=Ratio(value=1.5, low=1.2, high=2.0))


def test_on_the_same_profile_they_are_as_measured():
    assert carried(PAIR, here=VNNI, there=VNNI, workers=4) == (FP32, INT8)


def test_elsewhere_without_a_prediction_there_is_no_figure_but_a_way_out():
    with pytest.raises(NotKnown, match="upload a latency file"):
        carried(PAIR, here=VNNI, there=AVX2, workers=4)


def test_with_the_same_instructions_both_are_scaled_alike():
    before, after = carried(PAIR, here=VNNI, there=OTHER_VNNI, workers=8, by=SLOWER)

    assert (before.mean_s, after.mean_s) == pytest.approx((0.06, 0.024))
    assert before.grade is after.grade is Grade.TABLE
    assert before.shared == after.shared and after.own.is_exact and after.workers == 8
    assert (before.shared.low, before.shared.high) == pytest.approx((0.8, 4 / 3))


def test_int8_on_a_cpu_without_its_instructions_may_be_slower_than_float():
    before, after = carried(PAIR, here=VNNI, there=AVX2, workers=4, by=SLOWER)

    assert after.mean_s == pytest.approx(before.mean_s / 1.09)
    assert after.mean_s * after.own.high == pytest.approx(before.mean_s / 0.56)
    assert after.mean_s * after.own.low == pytest.approx(before.mean_s / 1.53)
    share = figures(workload(instance="c6a.xlarge", sla_p95_ms=None, predictions_per_month=1e10), before, [after])
    assert share.relative_saving_amount("cost-autoscaled", 1).low < 0


def machine_of(instance: str) -> Machine:
    return machine(workload(instance=instance), tables())


def test_a_machine_that_is_the_profile_takes_the_measurement_as_it_is():
    here = DeviceProfile(key="c6i-xlarge-1t", title="c6i.xlarge")

    assert on_machine(PAIR, here=here, machine=machine_of("c6i.xlarge")) == (FP32, INT8)


def test_another_size_of_the_same_processor_takes_it_over_as_class_c():
    here = DeviceProfile(key="c6i-xlarge-1t", title="c6i.xlarge")

    before, after = on_machine(PAIR, here=here, machine=machine_of("c6i.4xlarge"))

    assert (before.mean_s, after.mean_s) == (FP32.mean_s, INT8.mean_s)
    assert before.grade is Grade.TABLE and before.workers == 16
    assert "same processor in another size" in before.source


def test_another_processor_takes_a_prediction_or_nothing():
    here, target = DeviceProfile(key="c6i-xlarge-1t", title="c6i.xlarge", arch="x86_64"), machine_of("c7g.xlarge")

    with pytest.raises(NotKnown, match="Nothing is measured on c7g"):
        on_machine(PAIR, here=here, machine=target)
    there = DeviceProfile(key="c7g-xlarge-1t", title="c7g.xlarge", arch="aarch64")
    assert on_machine(PAIR, here=here, machine=target, there=there, by=SLOWER)[0].mean_s == pytest.approx(0.06)


def test_a_machine_without_a_profile_is_never_taken_for_another_without():
    with pytest.raises(NotKnown):
        on_machine(PAIR, here=DeviceProfile(key="", title="undeclared"), machine=machine_of("c8g.xlarge"))


def test_int8_on_an_npu_takes_the_npus_distribution():
    before, after = carried(PAIR, here=VNNI, there=NPU, workers=1, by=SLOWER)

    assert after.mean_s == pytest.approx(before.mean_s / 2.64)
    assert "1559" in after.source
