"""Every profile is complete, and no figure stands without its source."""

import tomllib

import pytest

from workers.device import FOLDER, DeviceProfile, profile, profiles
from workers.errors import YoursToFix

FILES = sorted(FOLDER.glob("*.toml"))
CITED = {"isa", "cores", "memory_bytes", "power_w", "price_usd"}


def read(path) -> DeviceProfile:
    return DeviceProfile.model_validate(tomllib.loads(path.read_text()))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_profile_is_named_by_its_key(path):
    assert read(path).key == path.stem


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_figure_has_a_source_and_every_source_a_figure(path):
    stated = CITED & tomllib.loads(path.read_text()).keys()

    assert set(read(path).sources) == stated
    assert all(len(source) > 20 for source in read(path).sources.values())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_was_not_fetched_again_is_marked_unverified(path):
    found = read(path)

    marks = ("not fetched again", "no reading")
    doubted = {field for field, source in found.sources.items() if any(mark in source for mark in marks)}
    assert doubted <= set(found.unverified) <= set(found.sources)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_profile_names_architecture_threads_and_instructions(path):
    found = read(path)

    assert found.arch in {"x86_64", "aarch64"}
    assert 1 <= found.threads <= found.cores
    assert found.isa
    assert found.memory_bytes >= 1 << 30


@pytest.mark.parametrize(
    ("key", "dot_product"),
    [("c6i-xlarge-1t", True), ("c6a-xlarge-1t", False), ("c7g-xlarge-1t", True), ("rpi5", True), ("rpi4", False)],
)
def test_the_dot_product_is_read_from_the_instructions(key, dot_product):
    assert profile(key).has_int8_dot_product is dot_product


def test_the_host_has_a_profile_beside_those_in_the_folder():
    assert set(profiles()) == {path.stem for path in FILES} | {"host-1t"}


def test_an_unknown_key_is_refused_with_the_known_ones():
    with pytest.raises(YoursToFix, match="toaster") as caught:
        profile("toaster")

    assert "rpi5" in caught.value.hint
