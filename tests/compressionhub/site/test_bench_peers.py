"""The comparison with peers reads what it needs, says what is missing, and counts only what was measured."""

import numpy as np
import pytest
import yaml

from compressionhub.env import ROOT
from compressionhub.site import bench
from compressionhub.site.bench import peers
from compressionhub.site.bench.peers import cnn, material, tabular
from compressionhub.site.bench.peers.line import Line, Took
from workers.recipe import Recipe, techniques


def test_bench_without_names_leaves_the_slow_comparison_out():
    assert "peers" not in bench.figures()


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_that_a_user_may_take_is_one_the_engine_knows(path):
    steps = yaml.safe_load(path.read_text())["steps"]

    recipe = Recipe.model_validate({"steps": steps})

    assert [step.technique for step in recipe.steps] == [step["technique"] for step in steps]
    assert {step["technique"] for step in steps} <= set(techniques())


def test_a_network_whose_material_is_absent_is_skipped_by_name(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(material, "PICTURES", tmp_path / "nowhere")

    status = peers.main(["cnn", "--folder", str(tmp_path)])

    assert status == 0
    assert "apt-get install dataset-fashion-mnist" in capsys.readouterr().out


def test_a_work_that_fails_counts_as_not_reached_and_the_next_one_is_measured(tmp_path, monkeypatch, capsys):
    def fail(folder, options):
        raise ValueError("no weights")

    monkeypatch.setattr(cnn, "WORKS", {"chain": fail})
    monkeypatch.setattr(tabular, "WORKS", {"narrow": lambda folder, options: Line("w", "p", "o", "r", good=True)})

    status = peers.main(["cnn", "tabular/narrow", "--folder", str(tmp_path), "--table", str(tmp_path / "t.md")])

    assert status == 1
    assert "BROKEN cnn/chain" in capsys.readouterr().out
    rows = (tmp_path / "t.md").read_text().splitlines()
    assert rows[-1] == "| tabular anomaly perceptron: w | p | o | r | reached |  |"
    assert "| Fashion-MNIST CNN: chain |  |  |  | not measured |  |" in rows


def test_a_case_nobody_knows_is_refused(capsys):
    with pytest.raises(SystemExit):
        peers.main(["resnet"])

    assert "found resnet" in capsys.readouterr().err


def test_descriptions_are_pairs_of_a_short_and_a_long_one():
    said = (
        "Package: a\nDescription-md5: 1\nDescription-en: keeps time\n A clock for the desktop,\n with hands.\n .\n"
        + " It rings as well, which few clocks of its kind do, and shows the moon.\n It is a small one in all, and runs"
        + " on its own."
        + "\n\nPackage: b\nDescription-en: too short\n Nothing.\n"
    )

    pairs = list(material._described(said))

    assert [query for query, _ in pairs] == ["keeps time"]
    assert pairs[0][1].startswith("A clock for the desktop, with hands. It rings")


def test_windows_thirty_decibels_below_the_loud_ones_hold_no_speech():
    loud, quiet = np.full(material.WINDOW, 0.5), np.full(material.WINDOW, 0.5 * 10 ** (-31 / 20))

    held = material._loudness(np.concatenate([loud, quiet, loud, loud]))

    assert held.tolist() == [True, False, True, True]


def test_processor_time_is_told_in_minutes_beside_the_clock():
    assert str(Took(seconds=75.4, processor_seconds=90)) == "75 s, 1.5 CPU-minutes"
