"""A newcomer's way through the pages: sign in, upload, confirm, compose, watch, publish, download, run."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from playwright.sync_api import Page, expect
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from tests.material import model_of

JOB_WITHIN_MS = 120_000


def network(x: np.ndarray, y: np.ndarray) -> bytes:
    """A fully connected network of 64 hidden units, trained here in about a second."""
    trained = MLPClassifier((64,), max_iter=25, random_state=0).fit(x.reshape(len(x), -1), y)
    named = zip(("w1", "w2", "b1", "b2"), (*trained.coefs_, *trained.intercepts_), strict=True)
    nodes = [
        onnx.helper.make_node("Flatten", ["pixels"], ["flat"]),
        onnx.helper.make_node("Gemm", ["flat", "w1", "b1"], ["hidden"]),
        onnx.helper.make_node("Relu", ["hidden"], ["active"]),
        onnx.helper.make_node("Gemm", ["active", "w2", "b2"], ["logits"]),
    ]
    weights = [onnx.numpy_helper.from_array(values.astype(np.float32), name) for name, values in named]
    shapes = {"inputs": {"pixels": ("n", 1, 8, 8)}, "outputs": {"logits": ("n", 10)}}
    return model_of(nodes, weights, **shapes).SerializeToString()


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A network and data of the newcomer's own."""
    digits = load_digits()
    x, y = (digits.images / 16).astype("float32")[:, None], digits.target
    data = tmp_path / "my digits.npz"
    np.savez(data, x_train=x[:1200], y_train=y[:1200], x_test=x[1200:], y_test=y[1200:])
    model = tmp_path / "my network.onnx"
    model.write_bytes(network(x[:1200], y[:1200]))
    return model, data


def upload(page: Page, button: str, file: Path) -> None:
    page.get_by_role("link", name=button).first.click()
    page.locator("input[type=file]").set_input_files(file)
    page.wait_for_url(re.compile(r"/(models|datasets)/[0-9a-f-]{36}/"))


def test_a_newcomer_gets_a_smaller_model_that_runs(
    signed_in: Page, complaints: list[str], files: tuple[Path, Path], tmp_path: Path
) -> None:
    page, (model, data) = signed_in, files

    page.get_by_role("link", name="Datasets").first.click()
    upload(page, "Upload dataset", data)
    page.get_by_role("link", name="Models").first.click()
    upload(page, "Upload model", model)

    page.get_by_role("button", name="Try ten samples").click()
    expect(page.get_by_text(re.compile(r"\d % right"))).to_be_visible(timeout=JOB_WITHIN_MS)
    page.get_by_role("button", name="Confirm contract").click()
    expect(page.get_by_text("Confirmed by")).to_be_visible()

    page.get_by_role("link", name="New job").first.click()
    for technique in ("Magnitude pruning", "Static INT8"):
        page.get_by_role("button", name="Add step").click()
        page.get_by_role("button", name=f"Add {technique}").click()
        expect(page.locator("#recipe-steps")).to_contain_text(technique)
    page.get_by_label("Sparsity").fill("20")
    page.get_by_label("Largest drop").fill("3")
    page.get_by_role("button", name="Submit job").click()

    page.wait_for_url(re.compile(r"/jobs/[0-9a-f-]{36}/"))
    expect(page.locator("main")).to_contain_text("Evaluate and verify")
    expect(page.get_by_role("link", name="Publish to zoo")).to_be_visible(timeout=JOB_WITHIN_MS)
    page.get_by_role("link", name="Publish to zoo").click()
    page.get_by_label("Name").fill("my-digits-int8")
    page.get_by_role("button", name="Publish to zoo").click()

    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download bundle").first.click()
    bundle = tmp_path / "bundle.zip"
    waiting.value.save_as(bundle)
    assert waiting.value.suggested_filename == "my-digits-int8-bundle.zip"
    assert not complaints

    with zipfile.ZipFile(bundle) as packed:
        packed.extractall(tmp_path / "bundle")
    ran = subprocess.run(
        [sys.executable, str(tmp_path / "bundle" / "run.py")], cwd="/", capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "class" in ran.stdout
