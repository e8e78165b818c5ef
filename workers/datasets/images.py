"""A zip of pictures in class folders, optionally below folders named train, validation, test, calibration."""

import io
import warnings
import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from workers import archive
from workers.contract import InputSpec
from workers.datasets.raw import Array, BadData, Raw, digest_of
from workers.datasets.table import ROLE_WORDS
from workers.facts import Role

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif")
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF")
MOST_PIXELS = 64_000_000
GRAY_MODES = frozenset({"1", "L", "LA", "I", "I;16", "F"})
FOLDERS_HINT = "Pack one folder per class, optionally below train, validation, test and calibration."


class Pictures:
    """The pictures of an archive as one input of bytes, (height, width, channels)."""

    def __init__(self, path: Path, members: list[zipfile.ZipInfo], *, thorough: bool) -> None:
        self.archive = zipfile.ZipFile(path)  # its directory was checked before
        self.members = members
        sizes = Counter(self._describe(member) for member in (members if thorough else members[:1]))
        heights, widths, channels = ({size[axis] for size in sizes} for axis in range(3))
        self.dtype: str = "uint8"
        self.shape: tuple[int, ...] = (_only(heights), _only(widths), max(channels))

    def _describe(self, member: zipfile.ZipInfo) -> tuple[int, int, int]:
        """Height, width and channels, from the header alone."""
        with self._open(member) as picture:
            return picture.height, picture.width, 1 if picture.mode in GRAY_MODES else 3

    def _open(self, member: zipfile.ZipInfo) -> Image.Image:
        data = archive.read(self.archive, member)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow warns of large pictures; they are refused below
                picture = Image.open(io.BytesIO(data), formats=FORMATS)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise _broken(member, error) from None
        if picture.width * picture.height > MOST_PIXELS:
            raise BadData(
                f"Expected pictures of at most {MOST_PIXELS:,} pixels,"
                f" found {picture.width} x {picture.height} in {member.filename!r}.",
                hint="Shrink it before packing.",
                code="data.picture-too-large",
            )
        return picture

    def picture(self, row: int, mode: str) -> Image.Image:
        """One picture, decoded to ``L`` or ``RGB``."""
        member = self.members[row]
        try:
            with self._open(member) as opened:
                return opened.convert(mode)
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
            raise _broken(member, error) from None

    def take(self, rows: Array, spec: InputSpec | None = None) -> Array:
        channels = self.shape[2] if spec is None else channels_of(spec)
        decoded = [_fit(self.picture(int(row), "L" if channels == 1 else "RGB"), spec) for row in rows]
        if len({picture.shape for picture in decoded}) > 1:
            raise BadData(
                "Expected pictures of one size, found several, and the input contract names none.",
                hint="Set the size to resize to in the input contract.",
                code="data.picture-sizes",
            )
        stacked = np.stack(decoded)
        return stacked[..., None] if stacked.ndim == 3 else stacked

    def digest(self, rows: Array) -> list[bytes]:
        return [digest_of(archive.read(self.archive, self.members[int(row)])) for row in rows]


def _broken(member: zipfile.ZipInfo, error: Exception) -> BadData:
    return BadData(
        f"Expected a picture (PNG, JPEG, BMP, WebP or GIF) in {member.filename!r},"
        f" found one that cannot be read: {str(error)[:120]}.",
        hint="Replace or remove it and pack again.",
        code="data.picture-broken",
    )


def _only(values: set[int]) -> int:
    return values.pop() if len(values) == 1 else -1


def channels_of(spec: InputSpec) -> int:
    """How many channels a picture must be decoded to for an input."""
    if spec.channels in ("RGB", "BGR"):
        return 3
    if spec.channels == "gray" or spec.layout == "HW":
        return 1
    count = {"CHW": spec.shape[:1], "HWC": spec.shape[-1:]}.get(spec.layout, ())
    return 3 if count == (3,) else 1


def sides_of(spec: InputSpec) -> tuple[int, int] | None:
    """Height and width an input asks for, or None where they are free or it is no picture."""
    sides = {"CHW": spec.shape[1:], "HWC": spec.shape[:2], "HW": spec.shape}.get(spec.layout, ())
    return (sides[0], sides[1]) if len(sides) == 2 and min(sides) > 0 else None


def _fit(picture: Image.Image, spec: InputSpec | None) -> Array:
    """Scale a picture until it covers ``resize``, keeping its proportions, then cut the centre out."""
    cut = None if spec is None else sides_of(spec)
    cover = cut if spec is None or spec.resize is None else spec.resize
    if cover is not None and (picture.height, picture.width) != cover:
        factor = max(cover[0] / picture.height, cover[1] / picture.width)
        size = (max(cover[1], round(picture.width * factor)), max(cover[0], round(picture.height * factor)))
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    height, width = cut or cover or (picture.height, picture.width)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    if left < 0 or top < 0:
        raise BadData(
            f"Expected pictures of at least {height} x {width} after resizing,"
            f" found {picture.height} x {picture.width}.",
            hint="Set a larger size to resize to in the input contract.",
            code="data.picture-too-small",
        )
    return np.asarray(picture.crop((left, top, left + width, top + height)))


def open_images(path: Path, *, thorough: bool) -> Raw:
    """Read the folders of a zip of pictures.

    Args:
        path: the zip.
        thorough: look into the header of every picture, not only of the first.

    Raises:
        YoursToFix: for archives that are unsafe, hold anything but pictures, or name no classes.
    """
    with archive.open_zip(path) as opened:
        members = sorted(_pictures(opened), key=lambda member: member.filename)
    places = _without_common_folder([PurePosixPath(member.filename).parts for member in members])
    roles = {parts[0].lower() for parts in places if len(parts) > 1}
    has_roles = bool(roles) and roles <= set(ROLE_WORDS) and all(len(parts) > 1 for parts in places)
    role_of = np.array([ROLE_WORDS[parts[0].lower()] if has_roles else "" for parts in places])
    folders = [parts[1:-1] if has_roles else parts[:-1] for parts in places]
    unlabelled = _unlabelled(role_of, folders, members)
    labels = np.array([folder[0] if folder else "" for folder in folders])
    known = labels[[bool(folder) for folder in folders]]
    labels[labels == ""] = known[0] if len(known) else ""
    return Raw(
        format="images",
        size_bytes=path.stat().st_size,
        rows=len(members),
        labels=labels if len(known) else None,
        inputs={"x": Pictures(path, members, thorough=thorough)},
        unlabelled=unlabelled,
        target="folder",
        declared={role: np.flatnonzero(role_of == role) for role in Role if (role_of == role).any()},
        loose=np.arange(0 if has_roles else len(members)),
    )


def _pictures(opened: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    members = archive.files(opened)
    strange = next((member for member in members if not member.filename.lower().endswith(ENDINGS)), None)
    if strange is not None:
        raise BadData(
            f"Expected only pictures ({', '.join(ENDINGS)}), found {strange.filename!r}.",
            hint=FOLDERS_HINT,
            code="data.not-a-picture",
        )
    if not members:
        raise BadData("Expected pictures in the zip, found none.", hint=FOLDERS_HINT, code="data.no-rows")
    return members


def _without_common_folder(places: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Drop folders that everything lies in, as long as class folders remain."""
    while len(tops := {parts[0] for parts in places}) == 1 and min(len(parts) for parts in places) > 2:
        if tops <= set(ROLE_WORDS):
            break
        places = [parts[1:] for parts in places]
    return places


def _unlabelled(role_of: Array, folders: list[tuple[str, ...]], members: list[zipfile.ZipInfo]) -> frozenset[Role]:
    """Roles whose pictures lie in no class folder: allowed for calibration, which needs no labels."""
    bare = [row for row, folder in enumerate(folders) if not folder]
    wrong = next((row for row in bare if role_of[row] != Role.CALIBRATION), None)
    if wrong is not None:
        raise BadData(
            f"Expected every picture in the folder of its class, found {members[wrong].filename!r} in none.",
            hint=FOLDERS_HINT,
            code="data.no-classes",
        )
    return frozenset({Role.CALIBRATION}) if bare else frozenset()
