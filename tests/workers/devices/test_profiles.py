"""Every profile is complete, and no figure stands without its source."""

import tomllib

import pytest

from workers.device import FOLDER, DeviceProfile, profile, profiles
from workers.errors import YoursToFix

FILES = sorted(FOLDER.glob("*.toml"))
CITED = {
    "isa", "cores", "memory_bytes", "power_w", "power_low_w", "power_high_w", "idle_w", "battery_wh", "price_usd",
}  # fmt: skip
SINGLE = {"mcu", "cloud-gpu", "desktop-gpu", "edge-npu"}  # kinds for which one core is no statement
CPU = {"cloud-cpu", "sbc-cpu", "phone-cpu", "laptop-cpu"}


def read(path) -> DeviceProfile:
    return DeviceProfile.model_validate(tomllib.loads(path.read_text()))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_profile_is_named_by_its_key(path):
    assert read(path).key == path.stem


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_figure_has_a_source_and_every_source_a_figure(path):
    found = tomllib.loads(path.read_text())
    stated = CITED & found.keys() - ({"cores"} if found["kind"] in SINGLE else set())

    assert set(read(path).sources) == stated
    assert all(len(source) > 20 for source in read(path).sources.values())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_was_not_fetched_again_is_marked_unverified(path):
    found = read(path)

    marks = ("not fetched again", "no reading", "assumed")
    doubted = {field for field, source in found.sources.items() if any(mark in source for mark in marks)}
    assert doubted <= set(found.unverified) <= set(found.sources)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_profile_names_architecture_threads_and_instructions(path):
    found = read(path)

    assert found.arch in {"x86_64", "aarch64", "armv7e-m", "armv8-m", "edgetpu"}
    assert 1 <= found.threads <= found.cores
    assert found.isa or found.kind not in CPU | {"mcu"}
    assert found.memory_bytes >= 256 << 20 or found.kind in {"mcu", "edge-npu"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_range_of_a_power_encloses_it(path):
    found = read(path)

    if found.power_low_w is not None:
        assert found.power_low_w <= found.power_w <= found.power_high_w
        assert found.idle_w is None or found.idle_w <= found.power_low_w


@pytest.mark.parametrize(
    "kind", ["cloud-cpu", "cloud-gpu", "sbc-cpu", "edge-gpu", "phone-cpu", "phone-npu", "edge-npu", "mcu"]
)
def test_every_kind_of_device_has_a_profile(kind):
    assert [key for key, found in profiles().items() if found.kind == kind]


@pytest.mark.parametrize(
    ("key", "dot_product"),
    [
        ("c6i-xlarge-1t", True),
        ("c6a-xlarge-1t", False),
        ("c7g-xlarge-1t", True),
        ("rpi5", True),
        ("rpi4", False),
        ("x86-c5.4xlarge", False),
        ("x86-d64s-v6-1t", True),
    ],
)
def test_the_dot_product_is_read_from_the_instructions(key, dot_product):
    assert profile(key).has_int8_dot_product is dot_product


def test_the_host_has_a_profile_beside_those_in_the_folder():
    assert set(profiles()) == {path.stem for path in FILES} | {"host-1t"}


def test_an_unknown_key_is_refused_with_the_known_ones():
    with pytest.raises(YoursToFix, match="toaster") as caught:
        profile("toaster")

    assert "rpi5" in caught.value.hint
