"""The ladder of an entry: measured arrows from its record, estimated ones from the team's usual workload."""

import re

import pytest

from compressionhub.zoo import label, savings
from compressionhub.zoo.measured import measured
from workers.estimate import Grade


def test_the_ladder_ends_with_money_energy_and_carbon_of_the_usual_workload(priced, workload, team):
    arrows = {each.key: each for each in label.arrows(priced.record, savings.usual(team, priced))}

    # ESTIMATES section 3: $0.900 to $0.434 per million, 83.8 to 36.1 kWh, 35.0 to 15.2 kg
    assert arrows["bill"].ratio == pytest.approx(899.73 / 434.35, rel=1e-3)
    assert arrows["energy"].ratio == pytest.approx(83.8 / 36.1, rel=3e-3)
    assert arrows["carbon"].ratio == pytest.approx((32.1 + 2.83) / (13.8 + 1.37), rel=3e-3)
    assert arrows["bill"].said == "$0.434/million" and arrows["bill"].why.grade == Grade.TABLE
    assert arrows["energy"].low < arrows["energy"].ratio < arrows["energy"].high


def test_without_a_workload_the_ladder_holds_measurements_alone(priced, team):
    arrows = label.arrows(priced.record, savings.usual(team, priced))

    assert {each.why.grade for each in arrows} == {Grade.MEASURED}


def test_what_leads_nowhere_is_not_known_on_the_ladder_too(entry, workload, team):
    arrows = {each.key: each for each in label.arrows(entry.record, savings.usual(team, entry))}

    assert arrows["bill"].ratio is None and "Nothing is measured on c6i.xlarge" in arrows["bill"].beside
    assert arrows["latency-1"].ratio == 2.0


def test_a_place_on_the_ladder_doubles_with_every_third_of_its_width():
    assert [label.place(ratio) for ratio in (0.5, 1, 2, 4, 8, 100)] == pytest.approx([0, 0, 100 / 3, 200 / 3, 100, 100])


def test_every_measured_figure_names_its_job_and_both_sides(entry):
    found = measured(entry.record)

    assert {"accuracy", "latency-1", "latency-32", "service", "size", "zip", "memory"} == found.keys()
    for amount in found.values():
        assert amount.grade == Grade.MEASURED and len(amount.inputs) == 2
        assert all("job #1" in each.source and each.as_of for each in amount.inputs)
    assert found["size"].value == 360_000 and found["size"].inputs[0].value == 1_400_000


def test_every_badge_of_the_entry_opens_its_reasons(client, vera, workload, priced):
    client.force_login(vera)

    page = client.get(priced.get_absolute_url()).content.decode()

    opened = re.findall(r'popovertarget="(why-[^"]+)"(?! popovertargetaction)', page)
    assert len(opened) == len(set(opened)) > 20
    assert all(f'id="{name}"' in page for name in opened)
    main = page.split("Against its baseline")[1].split("Facts")[0]
    assert '<td data-l="Class"><span class="cls' not in main
