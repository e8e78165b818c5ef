"""What is accepted as a network, and the way out for what is not. Nothing here is ever unpickled."""

import io
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.material import tiny_mlp, write, write_zip
from workers import formats
from workers.errors import YoursToFix


class Bomb:
    """Would write a file if anything unpickled it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def refusal(path: Path) -> YoursToFix:
    with pytest.raises(YoursToFix) as caught:
        formats.load(path)
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_of_any_protocol_is_refused_under_any_name_and_not_run(protocol, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "ran"), protocol=protocol))

    error = refusal(path)

    assert error.code == "model.refused-pickle"
    assert "torch.onnx.export" in error.hint
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "text",
    [
        b"cos\nsystem\n(S'true'\ntR.",  # GLOBAL, REDUCE
        b"(S'true'\nios\nsystem\n.",  # INST
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",  # STACK_GLOBAL
    ],
    ids=["reduce", "inst", "stack-global"],
)
@pytest.mark.parametrize("junk", [b"", b"\x00" * 100, b"\x08\x08:\x00"], ids=["bare", "zeros", "like-onnx"])
def test_hand_written_pickles_are_refused_also_with_junk_behind_them(text, junk, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(text + junk)

    assert refusal(path).code == "model.refused-pickle"


def test_a_torch_checkpoint_and_a_pickle_inside_a_zip_are_refused(tmp_path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "model.pt")
    write_zip(tmp_path / "both.zip", {"model.onnx": tiny_mlp().SerializeToString(), "extra.pkl": b"\x80\x04."})
    write_zip(tmp_path / "renamed.zip", {"model.onnx": pickle.dumps([1])})

    assert refusal(tmp_path / "model.pt").code == "model.refused-torch-zip"
    assert refusal(tmp_path / "both.zip").code == "model.refused-pickle"
    assert refusal(tmp_path / "renamed.zip").code == "model.refused-pickle"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_and_old_tar_files_are_refused(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "script.onnx")
    with tarfile.open(tmp_path / "old.onnx", "w") as tar:
        tar.addfile(tarfile.TarInfo("storages"), io.BytesIO())

    assert refusal(tmp_path / "script.onnx").code == "model.refused-torchscript"
    assert refusal(tmp_path / "old.onnx").code == "model.refused-tar"


def test_a_legacy_torch_file_without_zip_is_refused(tmp_path):
    torch.save(torch.zeros(3), tmp_path / "legacy.onnx", _use_new_zipfile_serialization=False)

    assert refusal(tmp_path / "legacy.onnx").code == "model.refused-pickle"


def test_arrays_are_sent_to_the_datasets(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "b.npz", x=np.zeros(3))

    assert refusal(tmp_path / "a.npy").code == "model.refused-npy"
    assert "dataset" in refusal(tmp_path / "b.npz").hint


@pytest.mark.parametrize(
    ("header_length", "code"), [(16, "model.refused-safetensors"), (1 << 63, "model.unknown-format")]
)
def test_safetensors_are_refused_however_long_their_header_claims_to_be(header_length, code, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(struct.pack("<Q", header_length) + b'{"a":{"dtype":"F' + b"\x00" * 64)

    assert refusal(path).code == code


@pytest.mark.parametrize(
    ("start", "code"),
    [
        (b"GGUF\x03\x00\x00\x00", "model.refused-gguf"),
        (b"\x89HDF\r\n\x1a\n", "model.refused-hdf5"),
        (b"\x1c\x00\x00\x00TFL3", "model.refused-tflite"),
        (b"version https://git-lfs.github.com/spec/v1\n", "model.refused-git-lfs"),
        (b"", "model.refused-empty"),
        (b"\x7fELF\x02", "model.refused-program"),
        (b"hello, this is no network", "model.unknown-format"),
    ],
)
def test_other_formats_are_named_with_their_way_out(start, code, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(start)

    assert refusal(path).code == code


def test_the_name_does_not_matter_where_the_bytes_are_right(tmp_path):
    assert formats.sniff(write(tiny_mlp(), tmp_path / "weights.pkl")) == "onnx"


def test_a_network_cut_short_says_so(tmp_path):
    path = write(tiny_mlp(), tmp_path / "model.onnx")
    path.write_bytes(path.read_bytes()[:-1000])

    assert refusal(path).code == "model.cut-short"


@pytest.mark.parametrize("names", [[], ["a.onnx", "b.onnx"]])
def test_a_zip_must_hold_exactly_one_network(names, tmp_path):
    data = tiny_mlp().SerializeToString()
    path = write_zip(tmp_path / "model.zip", {"README.md": b"hello", **dict.fromkeys(names, data)})

    assert refusal(path).code == "model.not-one-onnx"
