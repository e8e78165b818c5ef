"""Queries and documents teach a network of vectors: from their pairs, from a teacher, or both."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.workers.intake import tiny
from tests.workers.techniques.transformers import bench_for, bert
from tests.workers.training.test_padding import FREE
from workers import datasets
from workers.evaluation import open_session, predict
from workers.facts import Role
from workers.model import LoadedModel
from workers.numerics.retrieval import ranks
from workers.techniques.fine_tune import FineTune
from workers.techniques.transformer_pruning import TransformerPruning
from workers.ticket import DataOptions

WORDS = 40
QUICK = {"epochs": 3, "batch": 32, "learning_rate": 0.003, "schedule": "one-cycle"}


@pytest.fixture
def bench(tmp_path):
    """Queries of words with even numbers; a document has the odd neighbours of its query's words, and no other."""
    tiny.tokenizer(tmp_path)
    rng = np.random.default_rng(0)
    rows = []
    for split, count in (("train", 240), ("validation", 60), ("test", 10)):
        for _ in range(count):
            chosen = 2 * rng.choice(WORDS // 2, 3, replace=False)
            said = (" ".join(f"word{word + more}" for word in chosen) for more in (0, 1))
            rows.append(dict(zip(("query", "document"), said, strict=True)) | {"split": split})
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    made = bench_for(bert(), tmp_path)
    data = datasets.open_data(
        tmp_path / "pairs.jsonl", options=DataOptions(), contract=FREE, seed=0, companions=tmp_path
    )
    return replace(made, data=data, contract=FREE, baseline=model())


def model():
    return LoadedModel(proto=bert().proto, contract=FREE)


def recall(network, bench):
    said = predict(open_session(network.proto.SerializeToString(), threads=1), bench.data, Role.VALIDATION)
    return float(np.mean(ranks(said.outputs, said.labels) == 1))


def test_pairs_alone_teach_a_network_which_document_answers_a_query(bench):
    before = recall(model(), bench)

    after = recall(FineTune(learn_from="labels", **QUICK).apply(model(), bench), bench)

    assert before < 0.3 and after > before + 0.3


def test_a_teacher_weighs_beside_the_pairs(bench):
    bench = replace(bench, baseline=FineTune(learn_from="labels", **QUICK).apply(model(), bench))
    narrow = TransformerPruning(heads=0.25, neurons=0.5, criterion="taylor").apply(bench.baseline, bench)

    for share in (0.2, 1.0):
        tuned = FineTune(teacher_weight=share, **QUICK).apply(narrow, bench)

        assert recall(tuned, bench) > recall(narrow, bench)
