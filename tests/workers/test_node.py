"""A worker's settings, its name and its folders."""

import subprocess
import sys
from pathlib import Path

import pytest

from workers import device, node
from workers.errors import YoursToFix
from workers.node import Settings

URL = "redis://127.0.0.1:1/0"


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    return node.settings([], {"REDIS_URL": URL, "HUB_STORE": str(tmp_path / "store")})


def test_a_worker_without_a_broker_says_which_variable_it_wants():
    with pytest.raises(YoursToFix, match="REDIS_URL"):
        node.settings([], {})


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5"])
def test_a_slot_count_that_is_none_is_refused(text):
    with pytest.raises(YoursToFix, match="HUB_SLOTS"):
        node.settings([], {"REDIS_URL": URL, "HUB_SLOTS": text})


def test_an_unknown_queue_is_refused():
    with pytest.raises(YoursToFix, match="tpu"):
        node.settings(["--queues", "cpu,tpu"], {"REDIS_URL": URL})


def test_queues_on_the_command_line_win(chosen):
    told = node.settings(["--queues", "edge, cpu"], {"REDIS_URL": URL, "HUB_QUEUES": "gpu"})

    assert told.queues == ("edge", "cpu")


def test_threads_of_all_slots_fit_the_cores():
    for slots in ("1", "2", "3"):
        told = node.settings(["--slots", slots], {"REDIS_URL": URL})
        assert told.threads * told.slots <= max(node.host().cores, told.slots)


def test_scratch_and_cache_lie_beside_the_store(chosen, tmp_path):
    assert (chosen.cache, chosen.scratch) == (tmp_path / "steps", tmp_path / "scratch")


def test_two_workers_of_one_host_get_two_names(chosen):
    first, first_claim = node.claim_name(chosen)
    second, second_claim = node.claim_name(chosen)

    assert second == f"{first}-2"
    del first_claim, second_claim


def test_a_name_that_was_told_is_not_shared(tmp_path):
    told = node.settings([], {"REDIS_URL": URL, "HUB_STORE": str(tmp_path / "store"), "HUB_NODE": "edge-1"})
    name, claim = node.claim_name(told)

    with pytest.raises(YoursToFix, match="edge-1"):
        node.claim_name(told)
    assert name == "edge-1"
    del claim


def test_the_folder_of_a_killed_worker_is_removed_and_that_of_a_living_one_stays(chosen):
    living, claim = node.own_folder(chosen)
    killed = chosen.scratch / "jobs" / "killed"
    code = f"from pathlib import Path; from workers.node import Claim; Claim(Path({str(killed)!r}) / '.lock').take()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    assert killed.is_dir()

    node.own_folder(chosen)

    assert (living.exists(), killed.exists()) == (True, False)
    del claim


def test_what_the_host_says_of_itself_is_what_it_is(chosen):
    facts = node.facts("n", chosen)

    assert (facts.name, facts.cores, facts.slots) == ("n", node.host().cores, chosen.slots)
    assert facts.versions["onnxruntime"] and "onnxruntime" in facts.abilities
    assert facts.sandbox.says


def test_a_host_may_declare_which_profile_it_is(chosen):
    assert (chosen.profile, chosen.calibrates) == ("", True)
    known = device.profiles().items()
    here = next(key for key, each in known if each.arch == device.host().arch and each.kind != "host")

    told = node.settings(["--profile", here], {"REDIS_URL": URL, "HUB_PROFILE": "rpi4", "HUB_CALIBRATE": "0"})

    assert (told.profile, told.calibrates) == (here, False)
    assert node.facts("n", told).profile == here


def test_a_profile_that_is_none_or_another_architecture_is_refused():
    other = next(key for key, each in device.profiles().items() if each.arch and each.arch != device.host().arch)

    for key, said in (("nonsense", "nonsense"), (other, device.host().arch)):
        with pytest.raises(YoursToFix, match=said):
            node.settings([], {"REDIS_URL": URL, "HUB_PROFILE": key})
