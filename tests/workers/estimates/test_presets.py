"""Each preset can be estimated as it comes."""

import pytest

from workers.serving.figures import figures
from workers.serving.presets import PRESETS
from workers.serving.worked_example import INT8


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS.keys())
def test_it_can_be_estimated_as_it_comes(preset):
    place = {"provider": "aws", "region": "us-east-1", "instance": "c6i.xlarge"}
    setting = preset.workload(author="Lena").model_copy(update=place)

    bill = figures(setting, INT8, []).amount("cost-autoscaled", 0)

    assert bill.is_known
    assert {each.author for each in bill.choices()} == {"Lena"}
    assert setting.hourly_rates().max() == pytest.approx(preset.peak_factor * setting.rate_per_s)
    assert preset.sentence.endswith(".")
