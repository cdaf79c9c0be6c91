"""What the files of a data set are called, and which text each must be."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from . import raw

Choices = list[list[str]]  # of which the first that exists counts; the files of each


def choices_of(cfg: Mapping[str, Any]) -> dict[str, Choices]:
    """Our name of each split (train, valid, test, test1, ...) and what its files may be called."""
    splits = {"train": cfg["train"], "valid": cfg["valid"]}
    splits |= {f"test{number or ''}": stem for number, stem in enumerate(cfg["tests"])}
    return {split: _choices(given) for split, given in splits.items() if every(given) is None}


def _choices(given: Any) -> Choices:
    if isinstance(given, dict):
        return [given["all"]]
    return [[stem] for stem in ([given] if isinstance(given, str) else given)]


def every(given: Any) -> int | None:
    """N of ``{every: N}``, a set that is no file."""
    return given.get("every") if isinstance(given, dict) else None


def codes_of(cfg: Mapping[str, Any], split: str) -> list[str]:
    """Endings of a split's files: both languages, and further references of the test set."""
    more = [f"{cfg['languages'][1]}{number}" for number in range(1, cfg.get("references", 1))]
    return [*cfg["languages"], *(more if split == "test" else [])]


def files_of(
    cfg: Mapping[str, Any], folder: Path | None, split: str, code: str
) -> Iterator[tuple[str, str | None]]:
    """The files of one language of a split, in order, with their sha256 where it is known.

    Args:
        cfg: of the data set.
        folder: that tells which of several choices exists; None: the first.
        split: train, valid, test, test1, ...
        code: of :func:`codes_of`.
    """
    source, choices = cfg["languages"][0], choices_of(cfg)[split]
    names = choices[0]
    if folder is not None:
        there = (n for n in choices if raw.exists(folder, file_name(n[0], source, source)))
        names = next(there, choices[-1])
    known = cfg.get("sha256", {}).get(f"{split}.{code}")
    hashes = known if isinstance(known, list) else [known]
    for name, expected in zip(names, hashes if known else [None] * len(names)):
        yield file_name(name, code, source), expected


def require_files(cfg: Mapping[str, Any], folder: Path) -> None:
    """Raises InputError where a file of a data set is missing."""
    for split in choices_of(cfg):
        for code in codes_of(cfg, split):
            for name, _ in files_of(cfg, folder, split, code):
                raw.require_file(folder, name)


def fingerprints(cfg: Mapping[str, Any], folder: Path | None) -> dict[str, list[str]]:
    """The sha256 of each file of a data set, unpacked.

    Args:
        cfg: of the data set.
        folder: where they lie; None: those that ``cfg`` knows.

    Returns:
        By split and language, as under ``sha256`` of ``cfg``, and by ``test.origlang``.

    Raises:
        InputError: a file is missing, or broken.
    """
    found: dict[str, list[str]] = {}
    for split in choices_of(cfg):
        for code in codes_of(cfg, split):
            names = list(files_of(cfg, folder, split, code))
            if folder is None:
                found[f"{split}.{code}"] = [expected for _, expected in names if expected]
                continue
            found[f"{split}.{code}"] = [_fingerprint(folder, name) for name, _ in names]
            told = [f"{name.removesuffix(f'.{code}')}.origlang" for name, _ in names]
            told = [name for name in told if raw.exists(folder, name)]
            if told and split.startswith("test"):
                found[f"{split}.origlang"] = [_fingerprint(folder, name) for name in told]
    return found


def _fingerprint(folder: Path, name: str) -> str:
    return hashlib.sha256(raw.read_bytes(folder, name)).hexdigest()


def file_name(stem: str, code: str, source: str) -> str:
    """The name of a file; ``{code}`` and ``{role}`` (src, ref) stand in it, or the code behind."""
    if "{code}" not in stem:
        return f"{stem}.{code}"
    return stem.replace("{code}", code).replace("{role}", "src" if code == source else "ref")


def origlang_of(cfg: Mapping[str, Any], folder: Path, split: str) -> list[str]:
    """The original language of each sentence of a test set, where ``origlang: true`` says so.

    By the documents of WMT's files, else by a file NAME.origlang with a code a line.

    Raises:
        InputError: they do not tell.
    """
    source, codes = cfg["languages"][0], list[str]()
    for name, _ in files_of(cfg, folder, split, source):
        if name.endswith((".sgm", ".xml")):
            codes += raw.read_origlang(folder, name)
        else:
            codes += raw.read_lines(folder, f"{name.removesuffix(f'.{source}')}.origlang")
    return codes


def check_hashes(cfg: Mapping[str, Any], where: str) -> None:
    """Refuse a hash of nothing, and another number of hashes than there are files.

    Raises:
        InputError: which names the key, and what it must be.
    """
    splits = choices_of(cfg)
    known = {f"{split}.{code}": split for split in splits for code in codes_of(cfg, split)}
    for key, value in cfg.get("sha256", {}).items():
        if key not in known:
            raise InputError(f"{where}: sha256 has {key!r}; give one of {', '.join(known)}")
        count = len(splits[known[key]][0])
        hashes = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str) for one in hashes) or len(hashes) != count:
            wanted = "one hash" if count == 1 else f"a list of {count} hashes, one for each file"
            raise InputError(f"{where}: sha256 has {key} {value!r}, which must be {wanted}")
