"""A measurement made on one profile, and what it is worth on another."""

import pytest

from workers.device import DeviceProfile
from workers.estimate import Grade, NotKnown
from workers.report import Ratio
from workers.serving.carry import Network, carried
from workers.serving.figures import figures
from workers.serving.worked_example import FP32, INT8, workload

VNNI = DeviceProfile(key="c6i", title="c6i", arch="x86_64", isa=("avx2", "avx512_vnni"))
OTHER_VNNI = DeviceProfile(key="c7i", title="c7i", arch="x86_64", isa=("avx2", "avx512_vnni"))
AVX2 = DeviceProfile(key="c6a", title="c6a", arch="x86_64", isa=("avx2",))
NPU = DeviceProfile(key="s24", title="S24", kind="phone-npu", arch="aarch64", isa=("asimddp",))
PAIR = (Network(service=FP32), Network(service=INT8, is_int8=True))
SLOWER = Ratio(value=1.5, low=1.2, high=2.0)


def test_on_the_same_profile_they_are_as_measured():
    assert carried(PAIR, here=VNNI, there=VNNI, workers=4) == (FP32, INT8)


def test_elsewhere_without_a_prediction_there_is_no_figure_but_a_way_out():
    with pytest.raises(NotKnown, match="upload a latency file"):
        carried(PAIR, here=VNNI, there=AVX2, workers=4)


def test_with_the_same_instructions_both_are_scaled_alike():
    before, after = carried(PAIR, here=VNNI, there=OTHER_VNNI, workers=8, ratio=SLOWER)

    assert (before.mean_s, after.mean_s) == pytest.approx((0.06, 0.024))
    assert before.grade is after.grade is Grade.TABLE
    assert before.shared == after.shared and after.own.is_exact and after.workers == 8
    assert (before.shared.low, before.shared.high) == pytest.approx((0.8, 4 / 3))


def test_int8_on_a_cpu_without_its_instructions_may_be_slower_than_float():
    before, after = carried(PAIR, here=VNNI, there=AVX2, workers=4, ratio=SLOWER)

    assert after.mean_s == pytest.approx(before.mean_s / 1.09)
    assert after.mean_s * after.own.high == pytest.approx(before.mean_s / 0.56)
    assert after.mean_s * after.own.low == pytest.approx(before.mean_s / 1.53)
    share = figures(workload(instance="c6a.xlarge", sla_p95_ms=None, predictions_per_month=1e10), before, [after])
    assert share.relative_saving_amount("cost-autoscaled", 1).low < 0


def test_int8_on_an_npu_takes_the_npus_distribution():
    before, after = carried(PAIR, here=VNNI, there=NPU, workers=1, ratio=SLOWER)

    assert after.mean_s == pytest.approx(before.mean_s / 2.64)
    assert "1559" in after.source
