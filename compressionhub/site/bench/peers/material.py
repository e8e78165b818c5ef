"""Real data and networks that a machine can have: Debian and PyPI packages, read into what the engine takes.

Nothing is fetched here. What is absent raises ``Absent``, which names the package to install.
"""

import gzip
import html
import importlib.util
import json
import random
import re
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np

PICTURES = Path("/usr/share/datasets/fashion-mnist")
SPEECH = Path("/usr/share/pocketsphinx/test/data")
PROSE = Path("/usr/share/doc/debian-handbook/html/en-US")
LISTS = Path("/var/lib/apt/lists")
APT_HELPER = "/usr/lib/apt/apt-helper"
HERTZ = 16_000
WINDOW, CONTEXT = 512, 64  # samples that the speech detector reads at once, and of the window before
PAIRS = {"train": 6000, "validation": 500, "test": 1000}
SHORTEST, LONGEST = 120, 320  # characters of a description
SEED = 0


class Absent(Exception):
    """Material that this machine does not have; the text says what to install."""


def package_file(package: str, module: str, path: str) -> Path:
    """A file inside an installed PyPI package, found without importing it."""
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise Absent(f"pip install {package}")
    return Path(found.origin).parent / path


def debian(path: Path, package: str) -> Path:
    """A path that a Debian package brings."""
    if not path.exists():
        raise Absent(f"apt-get install {package}")
    return path


def pictures(folder: Path) -> Path:
    """Fashion-MNIST as it is: 60,000 and 10,000 pictures of 28 by 28 bytes."""
    where = debian(PICTURES, "dataset-fashion-mnist")

    def read(name: str, header: int) -> np.ndarray:
        return np.frombuffer(gzip.decompress((where / f"{name}.gz").read_bytes()), np.uint8, offset=header)

    arrays = {}
    for role, prefix in (("train", "train"), ("test", "t10k")):
        arrays[f"x_{role}"] = read(f"{prefix}-images-idx3-ubyte", 16).reshape(-1, 28, 28)
        arrays[f"y_{role}"] = read(f"{prefix}-labels-idx1-ubyte", 8)
    np.savez(folder / "fashion.npz", **arrays)  # type: ignore[arg-type]
    return folder / "fashion.npz"


def descriptions(folder: Path) -> Path:
    """Debian packages: the short description as query, the long one as document, in random order."""
    lists = sorted(LISTS.glob("*Translation-en*"))
    absent = Absent("long descriptions of packages: apt-get update -o Acquire::Languages=en")
    try:
        said = subprocess.run([APT_HELPER, "cat-file", *lists], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise absent from error
    pairs = sorted(dict(_described(said)).items())
    if len(pairs) < sum(PAIRS.values()):
        raise absent
    random.Random(SEED).shuffle(pairs)
    rows = iter(pairs)
    with (folder / "descriptions.jsonl").open("w") as file:
        for role, count in PAIRS.items():
            for _ in range(count):
                query, document = next(rows)
                file.write(json.dumps({"query": query, "document": document, "split": role}) + "\n")
    return folder / "descriptions.jsonl"


def _described(said: str) -> Iterator[tuple[str, str]]:
    """Short and long description of each package with a long one of its own."""
    seen = set()
    for entry in said.split("\n\n"):
        found = re.search(r"^Description-en: (.+)\n((?: .*\n?)+)", entry, re.MULTILINE)
        if found is None:
            continue
        text = " ".join(line.strip() for line in found[2].splitlines() if line.strip() != ".")
        if SHORTEST <= len(text) <= LONGEST and text not in seen:
            seen.add(text)
            yield found[1].strip(), text


def prose(folder: Path) -> Path:
    """A fifth of the Debian Administrator's Handbook in English, its paragraphs parted by empty lines."""
    pages = sorted(debian(PROSE, "debian-handbook").glob("*.html"))
    paragraphs = (
        " ".join(html.unescape(re.sub(r"<[^>]+>", "", found)).split())
        for page in pages
        for found in re.findall(r'<div class="para">(.*?)</div>', page.read_text(), re.DOTALL)
    )
    text = "\n\n".join(list(dict.fromkeys(one for one in paragraphs if len(one) > 80))[::5])
    (folder / "handbook.txt").write_text(text)
    return folder / "handbook.txt"


def anomalies(folder: Path) -> Path:
    """The Shuttle table: nine readings in seven classes, as nominal (class 1) or not."""
    where = package_file("river", "river", "datasets/shuttle.csv.gz")
    lines = gzip.decompress(where.read_bytes()).decode().splitlines()
    values = np.array([[float(word) for word in line.split(",")] for line in lines[1:]], np.float32)
    labels = values[:, -1].astype(np.int64)
    order = np.random.default_rng(SEED).permutation(len(values))
    train, test = order[: 3 * len(order) // 4], order[3 * len(order) // 4 :]
    readings = values[:, :-1]
    mean, std = readings[train].mean(0), readings[train].std(0)
    readings = np.clip((readings - mean) / std, -10, 10)
    np.savez(
        folder / "shuttle.npz",
        x_train=readings[train],
        y_train=labels[train],
        x_test=readings[test],
        y_test=labels[test],
    )
    return folder / "shuttle.npz"


def frames(folder: Path, detector: Path) -> Path:
    """Spoken English under noise, window by window with the state the float detector had; labels from the clean sound.

    A window holds speech where the clean signal is within 30 dB of its recording's loudest windows. The detector hears
    it under white noise 10 dB below the recording.
    """
    from workers import evaluation
    from workers.evaluation.sessions import run

    session = evaluation.open_session(detector, threads=1)
    rng = np.random.default_rng(SEED)
    taken: dict[str, list[np.ndarray]] = {}
    for place, sound in enumerate(_recordings(debian(SPEECH, "pocketsphinx-testdata"))):
        role = "test" if place % 2 else "train"
        noisy = sound + rng.normal(size=sound.shape).astype(np.float32) * sound.std() * 0.316
        state = np.zeros((2, 1, 128), np.float32)
        before = np.zeros((1, CONTEXT), np.float32)
        loud = _loudness(sound)
        for number, heard in enumerate(noisy.reshape(-1, 1, WINDOW)):
            feed = {"input": np.concatenate([before, heard], 1), "state": state, "sr": np.array(HERTZ, np.int64)}
            rows = {
                f"x_{role}__input": feed["input"],
                f"x_{role}__state": state[:, 0][None],
                f"x_{role}__sr": np.full(1, HERTZ, np.int64),
                f"y_{role}": np.array([int(loud[number])]),
            }
            for name, value in rows.items():
                taken.setdefault(name, []).append(value)
            _, state = run(session, feed)
            before = heard[:, -CONTEXT:]
    arrays = {name: np.concatenate(parts) for name, parts in taken.items()}
    np.savez(folder / "speech.npz", **arrays)  # type: ignore[arg-type]
    return folder / "speech.npz"


def _recordings(folder: Path) -> Iterator[np.ndarray]:
    """Sound of 16 kHz from -1 to 1, whole windows of it."""
    for path in sorted([*folder.glob("*.raw"), *folder.glob("*/*.wav")]):
        if path.suffix == ".wav":
            with wave.open(str(path)) as file:
                if file.getframerate() != HERTZ:
                    continue
                values = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        else:
            values = np.frombuffer(path.read_bytes(), np.int16)
        whole = len(values) // WINDOW * WINDOW
        yield values[:whole].astype(np.float32) / 32768


def _loudness(sound: np.ndarray) -> np.ndarray:
    """Whether each window is within 30 dB of the loudest tenth; (windows,) booleans."""
    level = 20 * np.log10(np.sqrt(np.square(sound.reshape(-1, WINDOW)).mean(1)) + 1e-6)
    held: np.ndarray = level > np.quantile(level, 0.9) - 30
    return held
