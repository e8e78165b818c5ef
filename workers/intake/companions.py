"""Files that travel beside a network because it cannot be used without them.

They lie beside ``model.onnx`` in one zip, the form in which such a version is stored; the contract says what they are
for. The list is fixed: a name somebody chose never becomes a path.
"""

import shutil
import zipfile
from pathlib import Path, PurePosixPath

from workers import archive

TOKENIZER_FILE = "tokenizer.json"
COMPANIONS = (TOKENIZER_FILE,)
LARGEST_BYTES = 64 << 20


def pack(path: Path, files: dict[str, Path]) -> Path:
    """Zip a network with its companions, stored. The same files give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as packed:
        for name, source in sorted(files.items()):
            with packed.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member, source.open("rb") as file:
                shutil.copyfileobj(file, member, 1 << 20)
    return path


def unpack(model: Path, folder: Path) -> tuple[Path, ...]:
    """Take the companions out of a version's zip; nothing where there are none.

    Raises:
        BadArchive: if a member is damaged.
    """
    if model.is_dir() or not zipfile.is_zipfile(model):
        return ()
    taken = []
    with archive.open_zip(model) as opened:
        for member in archive.files(opened):
            name = PurePosixPath(member.filename).name
            if name in COMPANIONS and member.file_size <= LARGEST_BYTES and not (folder / name).exists():
                folder.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(archive.read(opened, member))
                taken.append(folder / name)
    return tuple(taken)
