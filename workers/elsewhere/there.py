"""Run as another processor: answer every row of a file. Needs numpy and onnxruntime alone.

Arguments: a folder of packages or nothing, the network, the rows (``input__NAME``, one row after the other on the
first axis), and where to write the answers (``output__NUMBER``).
"""

import os
import sys

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def main(packages: str, model: str, rows: str, answers: str) -> None:
    if packages:
        sys.path.insert(0, packages)
    import numpy as np
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    given = np.load(rows, allow_pickle=False)
    feeds = {name.removeprefix("input__"): given[name] for name in given.files}
    found = [
        session.run(None, {name: array[row : row + 1] for name, array in feeds.items()})
        for row in range(len(next(iter(feeds.values()))))
    ]
    outputs = {f"output__{number}": np.concatenate(made) for number, made in enumerate(zip(*found, strict=True))}
    np.savez(answers, allow_pickle=False, **outputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
