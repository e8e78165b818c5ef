"""A stored file is sent whole, and never held whole."""

import hashlib

from compressionhub.library.sending import PIECE_BYTES, SentFile
from compressionhub.library.store import store


async def test_an_asgi_server_gets_the_file_in_pieces(tmp_path):
    source = tmp_path / "big.onnx"
    source.write_bytes(bytes(range(256)) * (PIECE_BYTES // 64))
    wanted = hashlib.sha256(source.read_bytes()).hexdigest()
    blob = store().put(source, name="big.onnx")

    answer = SentFile(blob.key, filename="big.onnx", sha256=blob.sha256)
    pieces = [piece async for piece in answer]

    assert hashlib.sha256(b"".join(pieces)).hexdigest() == wanted == answer["X-Content-SHA256"]
    assert max(map(len, pieces)) <= PIECE_BYTES
    assert len(pieces) == 4
    assert "no-store" in answer["Cache-Control"]
    assert 'filename="big.onnx"' in answer["Content-Disposition"]
