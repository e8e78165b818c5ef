"""Energy of jobs from counters: a tree as the kernel shows it, whose counters begin anew; shares, rest, and gaps."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from workers import energy
from workers.energy import Meter, counters

RANGE_UJ = 262_143_328_850


class Host:
    """A powercap tree and a clock of one's own."""

    def __init__(self, root: Path) -> None:
        self.root, self.seconds = root, 0.0
        self.zone("intel-rapl:0", "package-0", 1_000_000)
        self.zone("intel-rapl:0:0", "core", 5)
        self.zone("intel-rapl:0:1", "dram", 2_000_000)
        self.zone("intel-rapl:1", "psys", 7)

    def zone(self, folder: str, name: str, energy_uj: int) -> Path:
        path = self.root / folder
        path.mkdir(parents=True, exist_ok=True)
        for file, value in (("name", name), ("energy_uj", energy_uj), ("max_energy_range_uj", RANGE_UJ)):
            (path / file).write_text(f"{value}\n")
        return path / "energy_uj"

    def draw(self, watts: float, seconds: float) -> None:
        """Two thirds in the package, one third in memory; the counters begin anew as real ones do."""
        self.seconds += seconds
        for folder, share in (("intel-rapl:0", 2 / 3), ("intel-rapl:0:1", 1 / 3)):
            file = self.root / folder / "energy_uj"
            file.write_text(str((int(file.read_text()) + round(watts * seconds * share * 1e6)) % RANGE_UJ))


@pytest.fixture
def host(tmp_path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def meter(host) -> Meter:
    return Meter(counters(host.root)[0], clock=lambda: host.seconds)


def test_packages_and_memory_are_counted_and_nothing_twice(meter):
    assert meter.names == ("package-0", "dram")


def test_a_job_is_told_gross_and_net_of_the_host_at_rest(host, meter):
    host.draw(30, 60)
    with meter.job() as share:
        for _ in range(10):
            host.draw(90, 6)
            meter.sample()

        told = meter.told(share)

    assert told.gross_wh == pytest.approx(90 * 60 / 3600)
    assert told.net_wh == pytest.approx(60 * 60 / 3600)
    assert (told.seconds, told.shared, told.meter) == (60, False, "package-0, dram")


def test_counters_that_begin_anew_lose_nothing(host, meter):
    (host.root / "intel-rapl:0" / "energy_uj").write_text(str(RANGE_UJ - 10_000_000))
    meter.sample()
    with meter.job() as share:
        for _ in range(12):  # 93 kJ of the package each: it begins anew four times
            host.draw(500, 280)
            meter.sample()

        told = meter.told(share)

    assert told.gross_wh == pytest.approx(500 * 12 * 280 / 3600)


def test_jobs_at_the_same_time_share_equally_and_say_so(host, meter):
    with meter.job() as first:
        host.draw(60, 10)
        with meter.job() as second:
            host.draw(100, 10)
            told = meter.told(second)
        host.draw(60, 10)
        whole = meter.told(first)

    assert told.gross_wh == pytest.approx(500 / 3600) and told.shared
    assert whole.gross_wh == pytest.approx((600 + 500 + 600) / 3600) and whole.shared


def test_without_a_quiet_moment_net_is_not_known(host, meter):
    with meter.job() as share:
        host.draw(90, 20)

        told = meter.told(share)

    assert told.net_wh is None and told.gross_wh == pytest.approx(0.5)


def test_rest_is_the_quietest_span(host, meter):
    for watts in (50, 20, 40):
        host.draw(watts, 10)
        meter.sample()
    with meter.job() as share:
        host.draw(20, 10)

        told = meter.told(share)

    assert told.net_wh == pytest.approx(0, abs=1e-9)


def test_a_counter_out_of_sight_for_too_long_is_not_believed(host, meter):
    with meter.job() as share:
        host.draw(90, 3600)

        assert meter.told(share) is None


def test_a_counter_that_vanishes_is_not_believed(host, meter):
    with meter.job() as share:
        host.draw(90, 10)
        (host.root / "intel-rapl:0" / "energy_uj").unlink()

        assert meter.told(share) is None


def test_without_a_meter_nothing_is_metered(tmp_path):
    found, lacks = counters(tmp_path / "none")
    meter = Meter(found)

    with meter.job() as share:
        assert meter.told(share) is None
    assert lacks == ()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_counter_that_may_not_be_read_is_told(host):
    (host.root / "intel-rapl:0" / "energy_uj").chmod(0)

    found, lacks = counters(host.root)

    assert [each.name for each in found] == ["dram"] and "may not read it" in lacks[0]


def test_a_refused_counter_is_told_whoever_asks(host, monkeypatch):
    def refuse(path: Path) -> str:
        raise PermissionError(path)

    monkeypatch.setattr(Path, "read_text", refuse)

    found, lacks = counters(host.root)

    assert not found and lacks == (energy.NOT_READABLE,)


def test_nvml_counts_where_its_package_is_installed(tmp_path, monkeypatch):
    millijoules = iter([1_000, 4_600])
    fake = SimpleNamespace(
        NVMLError=RuntimeError, nvmlInit=lambda: None, nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetTotalEnergyConsumption=lambda device: next(millijoules),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "pynvml", fake)

    found, _ = counters(tmp_path)

    assert [each.name for each in found] == ["gpu-0"] and found[0].step() == pytest.approx(3.6)
