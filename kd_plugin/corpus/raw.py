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
DOCUMENT = re.compile(rb"<(doc)\b([^>]*)>|<seg\b", re.IGNORECASE)  # a document, or a segment of it
ORIGLANG = re.compile(rb"""\borig-?lang=["']([^"']*)["']""", re.IGNORECASE)
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
    content = read_bytes(folder, name)
    require_text(content, expected, folder / name)
    return [_text_of(line) for line in _lines_of(content, Path(name).name)]


def read_bytes(folder: Path, name: str) -> bytes:
    """A file, plain or unpacked.

    Raises:
        InputError: there is no such file, or it is broken.
    """
    require_file(folder, name)
    plain, packed = folder / name, folder / f"{name}.gz"
    return plain.read_bytes() if plain.exists() else unpack(packed.read_bytes(), packed)


def require_folder(folder: Path) -> None:
    """Raises InputError where there is none."""
    if not folder.is_dir():
        raise InputError(f"--from {folder} is no folder; name the one with the raw files")


def require_file(folder: Path, name: str) -> None:
    """Raises InputError where there is no such file, plain or packed."""
    require_folder(folder)
    if not exists(folder, name):
        raise InputError(f"--from {folder} holds neither {name} nor {name}.gz; name another folder")


def read_origlang(folder: Path, name: str) -> list[str]:
    """The original language of each line of a file, by the ``<doc origlang=...>`` of WMT's.

    Raises:
        InputError: there is no such file, or a document does not say.
    """
    content, language, found = read_bytes(folder, name), "", []
    for tag in DOCUMENT.finditer(content):
        if tag[1]:
            told = ORIGLANG.search(tag[2])
            language = told[1].decode("utf-8", "replace").strip() if told else ""
        else:
            found.append(language)
    if not found or not all(found):
        raise InputError(
            f"{folder / name} does not tell the original language of each document (<doc "
            "origlang=...>); leave origlang out of the configuration"
        )
    return found


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
