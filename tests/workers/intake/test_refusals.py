"""What is refused before any library opens it. Each case is a file somebody could upload."""

import json
import pickle
import struct
import sys
import zipfile
from pathlib import Path

import pytest

from workers import intake
from workers.errors import YoursToFix
from workers.intake import gguf, program, safetensors

CONFIG = {"model_type": "bert", "architectures": ["BertModel"]}


def header(said: object, *, data: bytes = b"", length: int | None = None) -> bytes:
    text = said if isinstance(said, bytes) else json.dumps(said).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(begin: int, end: int, *, dtype: str = "F32", shape: tuple[int, ...] = (1,)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


TWICE = json.dumps({"a": entry(0, 4), "b": entry(4, 8)}).replace('"b"', '"a"').encode()
GOOD = header({"a": entry(0, 4), "b": entry(4, 8)}, data=bytes(8))
BROKEN = {
    "a header of 2^63 bytes": header({"a": entry(0, 4)}, data=bytes(4), length=1 << 63),
    "overlapping tensors": header({"a": entry(0, 4), "b": entry(2, 6)}, data=bytes(6)),
    "a hole": header({"a": entry(0, 4), "b": entry(8, 12)}, data=bytes(12)),
    "a name twice": header(TWICE, data=bytes(8)),
    "bytes that are no UTF-8": header(b'{"\xff\xfe": 1}'),
    "a type of another size": header({"a": entry(0, 4, dtype="F64")}, data=bytes(4)),
    "a shape of another size": header({"a": entry(0, 4, shape=(2, 3))}, data=bytes(4)),
    "a type nobody knows": header({"a": entry(0, 4, dtype="Q9")}, data=bytes(4)),
    "a negative offset": header({"a": entry(-4, 0)}, data=bytes(4)),
    "a shape that overflows": header({"a": entry(0, 4, shape=(1 << 62, 1 << 62))}, data=bytes(4)),
    "a true as length": header({"a": {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}}, data=bytes(4)),
    "data cut short": header({"a": entry(0, 4)}, data=bytes(2)),
    "a list": header([1, 2]),
    "nothing": b"",
    "deep nesting": header(b"[" * 100_000),
}  # fmt: skip


def upload(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return path


def refusal(path: Path, tmp_path: Path) -> YoursToFix:
    form = intake.form_of(path)
    assert form is not None
    with pytest.raises(YoursToFix) as caught:
        intake.convert(path, form, out=tmp_path / "out", scratch=tmp_path / "scratch", threads=1, log=lambda text: None)
    assert caught.value.message.count("xpected") and "found" in caught.value.message and caught.value.hint
    return caught.value


def test_a_whole_safetensors_header_passes(tmp_path):
    (tmp_path / "a").write_bytes(GOOD)

    with (tmp_path / "a").open("rb") as file:
        entries = safetensors.check(file, size_bytes=len(GOOD), name="a")

    assert [(one.name, one.begin, one.end) for one in entries] == [("a", 0, 4), ("b", 4, 8)]


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_safetensors_header_is_refused(case, tmp_path):
    path = upload(tmp_path / "u.zip", {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": BROKEN[case]})

    assert refusal(path, tmp_path).code == "model.safetensors-broken"


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"pytorch_model.bin": pickle.dumps(print)}, "model.refused-pickle"),
        ({"model.safetensors": GOOD, "optimizer.pt": b"x"}, "model.refused-pickle"),
        ({"model.safetensors": GOOD, "modeling_own.py": b"import os"}, "model.refused-code"),
        ({"model.safetensors": GOOD, "kernels/op.so": b"\x7fELF"}, "model.refused-code"),
        ({"model.safetensors": GOOD, "tokenizer_config.json": b'{"auto_map": {"AutoTokenizer": "x"}}'},
         "model.refused-remote-code"),
        ({"model.safetensors": GOOD, "modules.json": b'[{"type": "evil.Module"}]'}, "model.unknown-module"),
        ({"model.safetensors": GOOD, "tokenizer_config.json": b"{"}, "model.settings-broken"),
    ],
)  # fmt: skip
def test_pickles_code_and_strange_settings_are_refused(members, code, tmp_path):
    path = upload(tmp_path / "u.zip", {"config.json": json.dumps(CONFIG).encode(), **members})

    assert refusal(path, tmp_path).code == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"auto_map": {"AutoModel": "own--modeling.Own"}}, "model.refused-remote-code"),
        ({"nested": {"deep": [{"trust_remote_code": True}]}}, "model.refused-remote-code"),
        ({"model_type": "own"}, "model.unknown-architecture"),
        ({"architectures": ["BertForNextSentencePrediction"]}, "model.unknown-architecture"),
        ({"model_type": 7, "architectures": "x"}, "model.unknown-architecture"),
        ({"quantization_config": {"bits": 4}}, "model.already-quantized"),
    ],
)
def test_a_config_that_leads_elsewhere_is_refused_unread(change, code, tmp_path):
    path = upload(tmp_path / "u.zip", {"config.json": json.dumps(CONFIG | change).encode(), "model.safetensors": GOOD})

    assert refusal(path, tmp_path).code == code


def a_gguf(*, tensors: int = 0, settings: int = 0, body: bytes = b"", version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, settings) + body


def text(said: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(said) if length is None else length) + said


TENSOR = text(b"w") + struct.pack("<IQIQ", 1, 8, 0, 0)
GGUFS = {
    "2^63 tensors": a_gguf(tensors=1 << 63),
    "2^63 settings": a_gguf(settings=1 << 63),
    "version 99": a_gguf(version=99),
    "a key of 2^60 bytes": a_gguf(settings=1, body=text(b"k", 1 << 60)),
    "a text past the end": a_gguf(settings=1, body=text(b"k") + struct.pack("<I", 8) + text(b"v", 1 << 40)),
    "an array of 2^62 members": a_gguf(settings=1, body=text(b"k") + struct.pack("<IIQ", 9, 8, 1 << 62)),
    "an array of 2^62 numbers": a_gguf(settings=1, body=text(b"k") + struct.pack("<IIQ", 9, 4, 1 << 62)),
    "arrays in arrays": a_gguf(settings=1, body=text(b"k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 1000),
    "an unknown type": a_gguf(settings=1, body=text(b"k") + struct.pack("<I", 77)),
    "a setting twice": a_gguf(settings=2, body=(text(b"k") + struct.pack("<II", 4, 1)) * 2),
    "a tensor past the end": a_gguf(tensors=1, body=TENSOR),
    "a tensor of 2^64 weights": a_gguf(tensors=1, body=text(b"w") + struct.pack("<IQQIQ", 2, 1 << 62, 4, 0, 0)),
    "99 axes": a_gguf(tensors=1, body=text(b"w") + struct.pack("<I", 99)),
    "two tensors in one place": a_gguf(
        tensors=2, body=TENSOR + text(b"v") + struct.pack("<IQIQ", 1, 8, 0, 0) + bytes(4096)),
    "cut short": b"GGUF\x03",
}  # fmt: skip


@pytest.mark.parametrize("case", GGUFS)
def test_a_broken_gguf_header_is_refused(case, tmp_path):
    (tmp_path / "m.gguf").write_bytes(GGUFS[case])

    assert refusal(tmp_path / "m.gguf", tmp_path).code == "model.gguf-broken"


def test_a_gguf_of_another_architecture_is_refused(tmp_path):
    said = text(b"general.architecture") + struct.pack("<I", 8) + text(b"mamba")
    (tmp_path / "m.gguf").write_bytes(a_gguf(settings=1, body=said))

    assert gguf.check(tmp_path / "m.gguf").architecture == "mamba"
    assert refusal(tmp_path / "m.gguf", tmp_path).code == "model.unknown-architecture"


class Runs:
    """A pickle that runs something when it is opened."""

    def __reduce__(self):
        return (exec, ("import sys; sys.modules['the_pickle_ran'] = sys",))


def a_torch_file(tmp_path: Path, payload: bytes) -> bytes:
    return upload(tmp_path / "inner.pt", {"archive/data.pkl": payload, "archive/version": b"3"}).read_bytes()


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"data/aotinductor/model/x.so": b"\x7fELF"}, "model.pt2-compiled-code"),
        ({"data/aotinductor/model/x.cubin": b"x"}, "model.pt2-compiled-code"),
        ({"extra/native.so": b"x"}, "model.pt2-compiled-code"),
        ({"data/constants/custom_obj_0": b"x"}, "model.pt2-pickle"),
        ({"data/weights/model_weights_config.json": b'{"config": {"w": {"use_pickle": true}}}'}, "model.pt2-pickle"),
        ({"data/weights/w.pkl": b"x"}, "model.pt2-pickle"),
        ({"data/sample_inputs/model.pt": b"no zip"}, "model.pt2-pickle"),
        ({"models/model.json": b"{"}, "model.pt2-broken"),
        ({"hooks/run.txt": b"x"}, "model.pt2-unknown-member"),
    ],
)
def test_a_program_with_compiled_code_or_pickles_is_refused(members, code, tmp_path):
    path = upload(
        tmp_path / "u.pt2", {"m/archive_format": b"pt2", **{f"m/{name}": data for name, data in members.items()}}
    )

    assert refusal(path, tmp_path).code == code


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickled_inputs_that_run_something_are_refused_unopened(protocol, tmp_path):
    evil = a_torch_file(tmp_path, pickle.dumps(Runs(), protocol=protocol))
    path = upload(tmp_path / "u.pt2", {"m/archive_format": b"pt2", "m/data/sample_inputs/model.pt": evil})

    assert refusal(path, tmp_path).code == "model.pt2-pickle"
    assert "the_pickle_ran" not in sys.modules


def test_plain_inputs_are_left_behind_unopened(tmp_path):
    import torch

    torch.save(((torch.rand(2, 3),), {"flag": torch.tensor([True])}), tmp_path / "plain.pt")
    members = {"m/archive_format": b"pt2", "m/data/sample_inputs/model.pt": (tmp_path / "plain.pt").read_bytes()}

    program.take_over(upload(tmp_path / "u.pt2", members), tmp_path / "clean.pt2")

    with zipfile.ZipFile(tmp_path / "clean.pt2") as clean:
        assert clean.read("m/data/sample_inputs/model.pt") != members["m/data/sample_inputs/model.pt"]
