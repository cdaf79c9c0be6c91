"""Raw text files, plain or gzipped, and the proof that they are the ones that were meant."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import zlib
from pathlib import Path

from ..errors import InputError

TAGGED = re.compile(rb"\s*<(?!title|description)")  # a line of train.tags.* that is no text
TITLE = re.compile(rb"</?(title|description)>")
SEGMENT = re.compile(rb"<seg\b[^>]*>(.*?)</seg>", re.IGNORECASE | re.DOTALL)
BAD = "\udcff"  # a character that no UTF-8 text has
RATIO = 200  # text shrinks 3 to 20 times, the toy's 30 times, and a bomb 1,000 times
FLOOR = 1 << 26  # bytes that any file may unpack to


def exists(folder: Path, name: str) -> bool:
    """Whether the folder holds the file, plain or with ``.gz``."""
    return (folder / name).exists() or (folder / f"{name}.gz").exists()


def read_lines(folder: Path, name: str, expected: str | None = None) -> list[str]:
    """Lines with white space normalised; :data:`BAD` stands in those that are not UTF-8.

    Of WMT's and IWSLT's ``.sgm`` and ``.xml`` files the segments are the lines, with their entities
    as they are, as sacrebleu reads them; of IWSLT's ``train.tags.*`` the lines without a tag, and
    titles and descriptions, as fairseq's ``prepare-iwslt14.sh`` does.

    Args:
        folder: where ``name`` or ``name.gz`` lies.
        name: of the file.
        expected: sha256 of the unpacked text, where it is known.

    Raises:
        InputError: there is no such file, it is broken, or it is another text.
    """
    if not folder.is_dir():
        raise InputError(f"--from {folder} is no folder; name the one with the raw files")
    if not exists(folder, name):
        raise InputError(f"--from {folder} holds neither {name} nor {name}.gz; name another folder")
    plain, packed = folder / name, folder / f"{name}.gz"
    content = plain.read_bytes() if plain.exists() else unpack(packed.read_bytes(), packed)
    require_text(content, expected, folder / name)
    return [_text_of(line) for line in _lines_of(content, Path(name).name)]


def _lines_of(content: bytes, name: str) -> list[bytes]:
    if name.endswith((".sgm", ".xml")):
        return SEGMENT.findall(content)
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    if name.startswith("train.tags."):
        return [TITLE.sub(b"", line) for line in lines if not TAGGED.match(line)]
    return lines


def _text_of(line: bytes) -> str:
    try:
        return " ".join(line.decode().split())
    except UnicodeDecodeError:
        return BAD


def unpack(packed: bytes, name: object) -> bytes:
    """The text of a gzipped file.

    Raises:
        InputError: it is broken, or unpacks to over 64 MiB and 200 times its size.
    """
    limit = max(FLOOR, RATIO * len(packed))
    try:
        with gzip.open(io.BytesIO(packed)) as file:
            text = file.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name} is no whole gzip file ({error}); fetch it again") from None
    if len(text) > limit:
        raise InputError(
            f"{name} has {len(packed)} bytes and unpacks to over {limit}, which no text does; "
            "fetch it from a source that you trust, or give it unpacked"
        )
    return text


def require_text(content: bytes, expected: str | None, name: object) -> None:
    """Refuse a text whose sha256 is not the expected one."""
    if expected and hashlib.sha256(content).hexdigest() != expected:
        raise InputError(f"{name} is not the file that the configuration names (sha256)")
