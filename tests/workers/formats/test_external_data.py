"""Weights in a file of their own: read where they belong, refused wherever else they point."""

import os
import shutil

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.material import refer, tiny_mlp, write, write_with_external_data, write_zip
from workers import formats
from workers.errors import YoursToFix


def pointing(folder, **said):
    """A model whose first weight (8,192 bytes) points somewhere else; ``weights.bin`` lies beside it."""
    proto = tiny_mlp()
    refer(proto.graph.initializer[0], **said)
    folder.mkdir(exist_ok=True)
    (folder / "weights.bin").write_bytes(bytes(8192))
    return write(proto, folder / "model.onnx")


def code_of(path):
    with pytest.raises(YoursToFix) as caught:
        formats.load(path)
    assert caught.value.hint
    return caught.value.code


def weights(proto):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}


def test_a_file_a_folder_and_a_zip_give_the_weights_onnx_itself_reads(tmp_path):
    path = write_with_external_data(tiny_mlp(), tmp_path / "model")
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "model")
    expected = weights(onnx.load(path))

    for way in (path, path.parent, tmp_path / "packed.zip"):
        found = weights(formats.load(way))
        assert found.keys() == expected.keys()
        assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_facts_count_both_files_and_say_that_the_data_were_outside(tmp_path):
    path = write_with_external_data(tiny_mlp(), tmp_path)

    _, facts = formats.inspect(path)

    assert facts.external_data
    assert facts.size_bytes == path.stat().st_size + (tmp_path / "weights.bin").stat().st_size


def test_a_missing_file_is_named_and_a_zip_is_suggested(tmp_path):
    path = write_with_external_data(tiny_mlp(), tmp_path)
    (tmp_path / "weights.bin").unlink()

    with pytest.raises(YoursToFix) as caught:
        formats.load(path)

    assert caught.value.code == "model.external-data-missing"
    assert "weights.bin" in caught.value.message
    assert "zip with both" in caught.value.hint


@pytest.mark.parametrize(
    "location",
    [
        "../weights.bin",
        "sub/../../weights.bin",
        "/etc/passwd",
        "C:\\weights.bin",
        "..\\weights.bin",
        "C:weights.bin",
        "file:///etc/passwd",
        "https://example.org/weights.bin",
        "weights.bin\x00.txt",
        "*/_ORT_MEM_ADDR_/*",
        "",
        ".",
        "a" * 300,
    ],
)
def test_a_location_outside_the_upload_is_refused(location, tmp_path):
    (tmp_path / "weights.bin").write_bytes(bytes(8192))

    assert code_of(pointing(tmp_path / "model", location=location)) == "model.external-data-outside"


@pytest.mark.parametrize("kind", ["symlink", "symlinked folder", "hardlink", "folder"])
def test_links_and_folders_are_no_weights(kind, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.bin").write_bytes(bytes(8192))
    location = "sub/secret.bin" if kind == "symlinked folder" else "linked.bin"
    path = pointing(tmp_path / "model", location=location)
    place = tmp_path / "model" / location
    if kind == "symlink":
        place.symlink_to(outside / "secret.bin")
    elif kind == "symlinked folder":
        (tmp_path / "model" / "sub").symlink_to(outside)
    elif kind == "hardlink":
        os.link(outside / "secret.bin", place)
    else:
        place.mkdir()

    assert code_of(path) == "model.external-data-link"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"offset": 4096}, "model.external-data-length"),
        ({"offset": 1 << 62}, "model.external-data-length"),
        ({"length": 1 << 62}, "model.external-data-length"),
        ({"length": 100}, "model.external-data-length"),
        ({"offset": -1}, "model.external-data-number"),
        ({"length": -8192}, "model.external-data-number"),
        ({"offset": "0x10"}, "model.external-data-number"),
        ({"offset": 10**40}, "model.external-data-number"),
    ],
)
def test_offsets_and_lengths_must_fit_the_file_and_the_tensor(said, code, tmp_path):
    assert code_of(pointing(tmp_path / "model", location="weights.bin", **said)) == code


def test_a_key_given_twice_is_refused(tmp_path):
    proto = tiny_mlp()
    refer(proto.graph.initializer[0], location="weights.bin")
    proto.graph.initializer[0].external_data.add(key="location", value="../other.bin")

    assert code_of(write(proto, tmp_path / "model.onnx")) == "model.external-data-number"


def test_a_reference_hidden_in_a_constant_or_a_branch_is_found(tmp_path):
    secret = numpy_helper.from_array(np.zeros(4, np.float32), "secret")
    refer(secret, location="/etc/passwd")
    constant = tiny_mlp()
    constant.graph.node.append(helper.make_node("Constant", [], ["unused"], value=secret))
    inside = helper.make_graph([], "branch", [], [helper.make_tensor_value_info("secret", 1, [4])], [secret])
    branching = tiny_mlp()
    branching.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=inside, else_branch=inside))

    assert code_of(write(constant, tmp_path / "constant.onnx")) == "model.external-data-outside"
    assert code_of(write(branching, tmp_path / "branch.onnx")) == "model.external-data-outside"


def test_a_zip_resolves_names_from_the_networks_own_folder_only(tmp_path):
    proto = tiny_mlp()
    refer(proto.graph.initializer[0], location="weights.bin")
    good = write_zip(
        tmp_path / "good.zip", {"net/model.onnx": proto.SerializeToString(), "net/weights.bin": bytes(8192)}
    )
    bad = write_zip(tmp_path / "bad.zip", {"net/model.onnx": proto.SerializeToString(), "weights.bin": bytes(8192)})

    assert not weights(formats.load(good))["w1"].any()
    assert code_of(bad) == "model.external-data-missing"


def test_a_large_network_is_saved_with_its_weights_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr("workers.formats.onnx_file.EMBED_BELOW_BYTES", 1000)
    proto = tiny_mlp(512, 512)

    formats.save(proto, tmp_path / "model.onnx")

    assert (tmp_path / "model.onnx.data").stat().st_size > 1_000_000
    for read in (onnx.load(tmp_path / "model.onnx"), formats.load(tmp_path / "model.onnx")):
        assert all(np.array_equal(value, weights(proto)[name]) for name, value in weights(read).items())


def test_a_small_network_is_saved_in_one_file_that_reads_back_equal(tmp_path):
    formats.save(tiny_mlp(), tmp_path / "deep" / "model.onnx")

    assert formats.load(tmp_path / "deep" / "model.onnx") == tiny_mlp()
    assert [item.name for item in (tmp_path / "deep").iterdir()] == ["model.onnx"]


def test_as_file_leaves_a_plain_file_alone_and_writes_out_a_zip(tmp_path):
    plain = write(tiny_mlp(), tmp_path / "model.onnx")
    packed = write_zip(tmp_path / "model.zip", {"model.onnx": plain.read_bytes()})

    assert formats.as_file(plain, tmp_path / "out") == plain
    assert onnx.load(formats.as_file(packed, tmp_path / "out")) == tiny_mlp()
