"""The packaged tables: every row with its source, and an uploaded table in place of one of them."""

import pytest

from workers.errors import YoursToFix
from workers.serving.figures import figures
from workers.serving.machine import machine
from workers.serving.tables import FOLDER, tables
from workers.serving.worked_example import FP32, workload

HEADER = "provider,region,instance,usd_per_hour,tenancy,as_of,source,licence\n"


def test_every_row_has_a_source_and_a_licence():
    found = tables()

    for rows in (found.prices, found.grid, found.regions, found.instances, found.cpus, found.gpus, found.pue):
        assert rows and all(row.source and row.licence for row in rows.values())


def test_electricity_maps_stands_in_a_file_of_its_own_with_its_attribution():
    for path in FOLDER.glob("*.csv"):
        lines = path.read_text().splitlines()[1:]
        theirs = [line for line in lines if "Electricity Maps" in line]
        assert bool(theirs) == (path.name == "grid_electricity_maps.csv")
        assert all("ODbL" in line for line in theirs)
    assert "Contains information from Electricity Maps" in (FOLDER / "README.md").read_text()


def test_every_file_is_told_of_in_the_readme():
    told = (FOLDER / "README.md").read_text()

    assert [path.name for path in FOLDER.glob("*.csv") if f"`{path.name}`" not in told] == []


def test_whatever_a_row_points_to_is_there():
    found = tables()

    for row in found.instances.values():
        assert row.cpu in found.cpus and (row.gpu is None or row.gpu in found.gpus)
        assert bool(row.gpu) == bool(row.gpus)
    for region in found.regions.values():
        assert set(region.zones) <= set(found.grid)
    for provider, region_name, instance in found.prices:
        assert (provider, instance) in found.instances and (provider, region_name) in found.regions


def test_every_priced_instance_can_be_estimated_whole():
    found = tables()

    for provider, region, instance in found.prices:
        there = workload(
            provider=provider, region=region, instance=instance, predictions_per_month=1e6, sla_p95_ms=None
        )
        figures_there = figures(there, FP32, [])
        for slug in ("cost-autoscaled", "energy", "carbon"):
            assert figures_there.amount(slug, 0).is_known, (instance, slug)


def test_the_outlier_of_the_cpu_table_is_left_out():
    """Its fifth EPYC generation is four times its neighbours."""
    watts = [row.idle_w_per_vcpu for row in tables().cpus.values()]

    assert max(watts) < 1.5 and not any("5th" in row.title for row in tables().cpus.values())


def test_a_region_has_the_grid_band_of_its_zones():
    grid = machine(workload(), tables()).need("grid_g_per_kwh")

    assert (grid.low, grid.value, grid.high) == (323.05, 383.55, 418)
    assert "Electricity Maps" in grid.source and "ODbL-1.0" in grid.licence


def test_a_newer_table_is_used_and_the_old_one_stays_as_it_was():
    old = tables()
    newer = old.replaced("prices", HEADER + "aws,us-east-1,c6i.xlarge,0.34,on-demand Linux,2026-11-01,offer,own\n")

    before, after = (figures(workload(), FP32, [], data=each) for each in (old, newer))

    assert after.amount("cost-autoscaled", 0).value == pytest.approx(2 * before.amount("cost-autoscaled", 0).value)
    assert before.tables_version != after.tables_version
    assert tables().version == before.tables_version


def test_a_grid_table_without_a_regions_zone_gives_no_factor_rather_than_another():
    only = "zone,name,gco2e_per_kwh,basis,year,source,licence\nUS-MIDA-PJM,PJM,400,yearly,2026,typed,own\n"

    carbon = figures(workload(), FP32, [], data=tables().replaced("grid", only)).amount("carbon", 0)

    assert "No grid factor of us-east-1 is known" in carbon.reason


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEADER, "no rows"),
        (HEADER + "aws,us-east-1,x,0,on-demand,2026-01-01,s,l\n", "line 2: usd_per_hour"),
        (HEADER + "aws,us-east-1,x,nan,on-demand,2026-01-01,s,l\n", "line 2: usd_per_hour"),
        (HEADER + "aws,us-east-1,x,1,on-demand,yesterday,s,l\n", "line 2: as_of"),
        (HEADER + "aws,us-east-1,x,1,on-demand,2026-01-01,,l\n", "line 2: source"),
        (HEADER + "aws,us-east-1,x,1,on-demand,2026-01-01,s,l,more\n", "more columns"),
        (HEADER + 2 * "aws,us-east-1,x,1,on-demand,2026-01-01,s,l\n", "1 doubled"),
        (HEADER + 'aws,"us-east-1', "unexpected end of data"),
        (HEADER + "aws,us-east-1," + "x" * 200_000 + ",1,on-demand,2026-01-01,s,l\n", "field larger than field limit"),
        ("nonsense", "no rows"),
    ],
)
def test_a_table_that_is_none_is_refused_with_its_line(text, said):
    with pytest.raises(YoursToFix, match=said):
        tables().replaced("prices", text)


def test_an_unknown_instance_is_refused_with_the_known_ones():
    with pytest.raises(YoursToFix, match="found 'c99'") as refused:
        figures(workload(instance="c99"), FP32, [])

    assert "c6i.xlarge" in refused.value.hint
