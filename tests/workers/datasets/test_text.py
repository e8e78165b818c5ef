"""Text as data: rows, roles, tokens, and what is refused."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.workers.intake import tiny
from workers import datasets, evaluation, trial
from workers.contract import Contract, InputSpec, OutputSpec, Task, TokenizerSpec
from workers.datasets.text import PASSAGE_CHARACTERS, is_prose, passages
from workers.errors import YoursToFix
from workers.facts import Role
from workers.numerics.next_token import NOTHING
from workers.ticket import DataOptions

PROSE = "\n\n".join(
    " ".join(f"In sentence {number} of part {part} somebody walks home, slowly." for number in range(30))
    for part in range(12)
)


def contract(task: Task, *, length: int = 16, inputs: tuple[str, ...] = ("input_ids", "attention_mask")) -> Contract:
    specs = tuple(InputSpec(name=name, dtype="int64", shape=(-1,)) for name in inputs)
    return Contract(
        task=task, inputs=specs, outputs=(OutputSpec(name="o"),), tokenizer=TokenizerSpec(max_length=length)
    )


def lines(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def opened(path: Path, under: Contract, beside: Path):
    tiny.tokenizer(beside)
    return datasets.open_data(path, options=DataOptions(), contract=under, seed=0, companions=beside)


def mean_of_words(path: Path) -> Path:
    """A network whose vector is the mean of its words' random vectors."""
    vectors = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["vectors", "input_ids"], ["words"]),
        helper.make_node("ReduceMean", ["words"], ["o"], axes=[1], keepdims=0),
    ]
    taken = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"]) for name in ("input_ids", "attention_mask")
    ]
    given = helper.make_tensor_value_info("o", TensorProto.FLOAT, ["n", 8])
    graph = helper.make_graph(nodes, "g", taken, [given], [numpy_helper.from_array(vectors, "vectors")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def everything(data, role: Role, size: int = 7):
    parts = list(data.batches(role, size=size))
    joined = {name: np.concatenate([part.inputs[name] for part in parts]) for name in parts[0].inputs}
    return joined, np.concatenate([part.labels for part in parts]), np.concatenate([part.rows for part in parts])


def test_classes_come_with_tokens_mask_and_padding(tmp_path):
    rows = [{"text": " ".join(["word1"] * (1 + i % 5)), "label": "ab"[i % 2]} for i in range(60)]
    path = lines(tmp_path / "d.jsonl", [row | {"text": f"{row['text']} word{i % 50}"} for i, row in enumerate(rows)])
    names = ("input_ids", "attention_mask", "token_type_ids")

    data = opened(path, contract(Task.CLASSIFICATION, inputs=names), tmp_path)
    inputs, labels, at = everything(data, Role.TRAIN)

    for ids, mask, row in zip(inputs["input_ids"], inputs["attention_mask"], at, strict=True):
        expected = [2, *[4] * (1 + row % 5), 3 + row % 50]  # the start token, then each word's number
        assert ids[: len(expected)].tolist() == expected and not ids[len(expected) :].any()
        assert mask.sum() == len(expected)
    assert labels.tolist() == [row % 2 for row in at] and not inputs["token_type_ids"].any()


def test_long_texts_are_cut(tmp_path):
    path = lines(tmp_path / "d.jsonl", [{"text": f"word{i} " * 40, "label": i % 2} for i in range(40)])

    inputs, _, _ = everything(opened(path, contract(Task.CLASSIFICATION, length=10), tmp_path), Role.TEST)

    assert inputs["input_ids"].shape[1] == 10 and inputs["attention_mask"].all()


def test_pairs_stay_together_and_equal_documents_share_a_number(tmp_path):
    path = lines(tmp_path / "d.jsonl", [{"query": f"word{i}", "document": f"word{i // 2} word7"} for i in range(40)])

    data = opened(path, contract(Task.EMBEDDING), tmp_path)
    seen = []
    for role in (Role.TRAIN, Role.VALIDATION, Role.TEST):
        inputs, labels, rows = everything(data, role, size=3)
        assert (rows[0::2] + 1 == rows[1::2]).all() and (labels[0::2, 0] == labels[1::2, 0]).all()
        assert labels[:, 1].tolist() == [0, 1] * (len(rows) // 2)
        pair = rows[0::2] // 2
        assert (inputs["input_ids"][0::2, 1] == 3 + pair).all() and (
            inputs["input_ids"][1::2, 1] == 3 + pair // 2
        ).all()
        assert len(np.unique(labels[:, 0])) == len(np.unique(pair // 2))
        assert data.facts.roles[role].rows == len(rows)
        seen += pair.tolist()
    assert sorted(seen) == list(range(40))


def test_a_tried_query_says_at_which_place_its_document_comes(tmp_path):
    path = lines(tmp_path / "d.jsonl", [{"query": f"word{i}", "document": f"word{i + 1} word7"} for i in range(40)])
    under = contract(Task.EMBEDDING)
    data = opened(path, under, tmp_path)
    session = evaluation.open_session(mean_of_words(tmp_path / "m.onnx"))

    tried = trial.attempt(session, data, under, seed=0, check=lambda: None)

    seen = evaluation.predict(session, data, Role.VALIDATION)
    queries, documents = seen.outputs[0::2], seen.outputs[1::2]
    for position, sample in enumerate(tried.samples):
        near = [np.dot(queries[position], one) / np.linalg.norm(one) for one in documents]
        place = 1 + sum(value > near[position] + 1e-6 for value in near)
        said = "first" if place == 1 else f"at place {place}"
        assert sample.text == f"word{sample.row}" and sample.right == (place == 1)
        assert sample.prediction == f"its document comes {said} of {len(documents)}"


def test_lines_may_name_their_split(tmp_path):
    path = lines(
        tmp_path / "d.jsonl",
        [{"text": f"word{i} word{i}", "label": i % 2, "split": "test" if i < 10 else "train"} for i in range(50)],
    )

    facts = datasets.inspect(path, options=DataOptions())

    assert facts.roles[Role.TEST].rows == 10 and facts.roles[Role.TEST].declared
    assert facts.format == "jsonl" and facts.target.classes == ("0", "1")


def test_passages_hold_every_word_once_and_no_role_shares_one(tmp_path):
    found = list(passages(PROSE))
    (tmp_path / "d.txt").write_text(PROSE)

    facts = datasets.inspect(tmp_path / "d.txt", options=DataOptions())

    assert " ".join(found).split() == PROSE.split()
    assert max(map(len, found)) <= PASSAGE_CHARACTERS and len(set(found)) == len(found)
    assert facts.format == "text" and sum(facts.roles[r].rows for r in (Role.TRAIN, Role.VALIDATION, Role.TEST)) == len(
        found
    )
    assert facts.overlaps[Role.TRAIN] == facts.overlaps[Role.CALIBRATION] == 0


def test_a_language_model_foretells_its_own_tokens(tmp_path):
    (tmp_path / "d.txt").write_text(PROSE)

    data = opened(tmp_path / "d.txt", contract(Task.CAUSAL_LM, length=24), tmp_path)
    inputs, labels, _ = everything(data, Role.TEST)

    real = inputs["attention_mask"] == 1
    assert (labels[real] == inputs["input_ids"][real]).all() and (labels[~real] == NOTHING).all()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("[1, 2", "data.jsonl"),
        ('{"other": 1}', "data.jsonl"),
        ('{"text": 7}', "data.jsonl"),
        ('{"text": "  "}', "data.jsonl"),
        ('{"text": "a", "label": null}', "data.jsonl"),
        ('{"text": "a", "split": "holdout"}', "data.jsonl"),
        ('{"query": "a", "document": "b"}', "data.jsonl"),
        ('{"text": "a", "label": 1}', "data.labels-differ"),
        ('{"text": ' + '[' * 100_000, "data.jsonl"),
    ],
)  # fmt: skip
def test_a_line_unlike_the_others_is_named(line, code, tmp_path):
    (tmp_path / "d.jsonl").write_text('{"text": "word1"}\n' + line)

    with pytest.raises(YoursToFix) as caught:
        datasets.inspect(tmp_path / "d.jsonl", options=DataOptions())

    assert caught.value.code == code and caught.value.hint


def test_text_for_a_network_without_a_tokenizer_says_how_to_bring_one(tmp_path):
    path = lines(tmp_path / "d.jsonl", [{"text": f"word{i}", "label": i % 2} for i in range(40)])

    with pytest.raises(YoursToFix) as caught:
        datasets.open_data(path, options=DataOptions(), contract=contract(Task.CLASSIFICATION), seed=0)

    assert caught.value.code == "data.no-tokenizer" and "tokenizer.json" in caught.value.hint


def test_tables_are_not_taken_for_prose():
    table = b"name,age,city\nAnn,3,Rome\nBob,4,Oslo\nEve,5,Bern\n" * 20

    assert not is_prose(table) and is_prose(PROSE.encode()[:4096])
