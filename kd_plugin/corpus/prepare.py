"""From raw parallel text to cleaned lines cut into subwords; see ``fairseq-kd prepare --help``."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sentencepiece

from ..errors import InputError
from ..files.output import new_folder
from ..files.whole import difference, to_json, write_atomically
from . import raw
from .config import read_config
from .download import download
from .layout import choices_of, codes_of, every, files_of, origlang_of

ORIGLANG = "origlang"  # ending of the files with the original language of each test sentence


def prepare(
    config: Path,
    output: Path,
    folder: Path | None = None,
    fetch: bool = False,
    train_pairs: int | None = None,
    limit: int | None = None,
    halves: bool = False,
) -> str:
    """Write the folder beside and move it into place; a finished one is left alone.

    Args:
        config: a data set's YAML file.
        output: the new folder.
        folder: where the raw files are; a generator needs none.
        fetch: get them from where the configuration says that they are public.
        train_pairs: use only the first so many training pairs.
        limit: use only the first so many pairs of each split, and as many subwords as these allow:
            a trial of a large data set.
        halves: cut the training set in two by source; the second half becomes the last test set.

    Returns:
        What there is, in a line.

    Raises:
        InputError: the files are not there, not whole, or not the ones that were meant.
    """
    for flag, value in (("--train-pairs", train_pairs), ("--limit", limit)):
        if value is not None and value < 1:
            raise InputError(f"{flag} {value} is too small; give at least 1")
    cfg = read_config(config)
    settings = {"config": cfg, "train_pairs": train_pairs}
    if limit is not None:
        settings["limit"] = limit
    if halves:
        settings["halves"] = True
    if (output / "manifest.json").is_file():
        _require_same(output, settings)
        return f"{output} is complete: nothing to do"
    with new_folder(output) as part:
        (part / "raw").mkdir()
        (part / "subwords").mkdir()
        splits = _read_splits(cfg, config, part, folder, fetch)
        if limit is not None:
            splits = {side: lines[:limit] for side, lines in splits.items()}
        dropped = _clean_training_set(splits, cfg, train_pairs)
        _take_valid(splits, cfg)
        if halves:
            _halve(splits, cfg)
        for (split, code), lines in splits.items():
            text = "".join(f"{line}\n" for line in lines)
            (part / "raw" / f"{split}.{code}").write_text(text, "utf-8")
        size = _cut(part, splits, cfg, smaller=limit is not None)
        counts = {f"{split}.{code}": len(lines) for (split, code), lines in splits.items()}
        manifest = {"settings": settings, "lines": counts, "dropped": dict(dropped)}
        write_atomically(part / "manifest.json", to_json(manifest))
    told = f"{output}: {counts}, dropped {dict(dropped) or 'nothing'}"
    wanted = cfg["subwords"]["size"]
    return told if size == wanted else f"{told}; {size} subwords, not {wanted}, because of --limit"


def _require_same(output: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a finished folder that was made with other settings."""
    made = json.loads((output / "manifest.json").read_text("utf-8"))["settings"]
    ours = json.loads(json.dumps(settings))
    if found := difference({**made.pop("config"), **made}, {**ours.pop("config"), **ours}):
        raise InputError(
            f"--output {output} was prepared with {found}; give another --output, or remove that "
            "one"
        )


Splits = dict[tuple[str, str], list[str]]


def _read_splits(cfg: Any, config: Path, part: Path, raw_files: Path | None, fetch: bool) -> Splits:
    folder = raw_files
    if cfg.get("generator") == "toy":
        from .toy import write_toy_corpus

        folder = part / "toy"
        write_toy_corpus(folder, **cfg["toy"])
    elif fetch:
        folder = _download(cfg, config, part, raw_files)
    elif folder is None:
        where = f" ({cfg['where']})" if "where" in cfg else ""
        more = ", or --download" if "download" in cfg else ""
        raise InputError(
            f"no program writes the text of {config}; give --from FOLDER with its files{where}"
            f"{more}"
        )
    assert folder is not None
    splits: Splits = {}
    for split, choices in choices_of(cfg).items():
        for code in codes_of(cfg, split):
            splits[split, code] = _read_side(cfg, folder, split, code)
        sizes = {code: len(splits[split, code]) for code in codes_of(cfg, split)}
        if len(set(sizes.values())) != 1:
            told = ", ".join(f"{count:,} of {code}" for code, count in sizes.items())
            raise InputError(
                f"{folder} has lines of {' or '.join(choices[-1])} in different numbers ({told}), "
                "and line N of one must translate line N of the other; mend the files"
            )
        if cfg.get("origlang") and split.startswith("test"):
            splits[split, ORIGLANG] = _origlang(cfg, folder, split, len(splits[split, code]))
    if folder != raw_files:
        shutil.rmtree(folder)
    return splits


def _read_side(cfg: Any, folder: Path, split: str, code: str) -> list[str]:
    """Lines of one language of a split, from one file or several."""
    lines: list[str] = []
    for name, expected in files_of(cfg, folder, split, code):
        lines += raw.read_lines(folder, name, expected)
    if cfg.get("lowercase"):
        lines = [line if line == raw.BAD else line.lower() for line in lines]
    return lines


def _origlang(cfg: Any, folder: Path, split: str, sentences: int) -> list[str]:
    codes = origlang_of(cfg, folder, split)
    if len(codes) != sentences:
        raise InputError(
            f"{folder}: {split} has {sentences} sentences and {len(codes)} original languages; "
            "give one for each"
        )
    return codes


def _download(cfg: Any, config: Path, part: Path, raw_files: Path | None) -> Path:
    if raw_files is not None:
        raise InputError(f"--from {raw_files} and --download are two places; give one of them")
    if "download" not in cfg:
        raise InputError(f"--download: {config} names no address (download:); give --from FOLDER")
    folder: Path = part.with_suffix(".kd-download")  # kept where one of them fails
    files = {
        name: expected
        for split in choices_of(cfg)
        for code in codes_of(cfg, split)
        for name, expected in files_of(cfg, None, split, code)
    }
    download(cfg["download"], files, folder)
    return folder


def _clean_training_set(splits: Splits, cfg: Any, first: int | None) -> Counter[str]:
    """Drop pairs in place; valid and test sets are refused where they are not UTF-8."""
    for (split, code), lines in splits.items():
        bad = [row for row, line in enumerate(lines) if line == raw.BAD]
        if split != "train" and bad:
            raise InputError(f"{split}.{code}, line {bad[0] + 1} is not UTF-8; mend the file")
    sides = [("train", code) for code in cfg["languages"]]
    dropped: Counter[str] = Counter()
    kept: list[tuple[str, ...]] = []
    for pair in zip(*(splits[side][:first] for side in sides)):
        reason = _why_useless(pair, cfg["clean"])
        if reason:
            dropped[reason] += 1
        else:
            kept.append(pair)
    if not kept:
        raise InputError(
            f"no training pair is left: {dict(dropped) or 'the training set is empty'}; see clean "
            "in the configuration"
        )
    for number, side in enumerate(sides):
        splits[side] = [pair[number] for pair in kept]
    return dropped


def _take_valid(splits: Splits, cfg: Any) -> None:
    """With ``valid: {every: N}``: each N-th pair of the cleaned training set, as fairseq does."""
    n = every(cfg["valid"])
    if n is None:
        return
    for code in cfg["languages"]:
        lines = splits["train", code]
        if len(lines) < n:
            raise InputError(
                f"valid: {{every: {n}}} takes none of {len(lines)} training pairs; give more pairs"
            )
        splits["valid", code] = lines[n - 1 :: n]
        splits["train", code] = [line for row, line in enumerate(lines, 1) if row % n]


def half_of(source: str) -> int:
    """1 or 2, by a hash: the same for all pairs of a source."""
    return 1 + (hashlib.sha256(source.encode()).digest()[0] & 1)


def _halve(splits: Splits, cfg: Any) -> None:
    """Half 1 of the cleaned training set stays, half 2 becomes the last test set."""
    last = f"test{len(cfg['tests'])}"
    halves = [half_of(source) for source in splits["train", cfg["languages"][0]]]
    for code in cfg["languages"]:
        pairs = list(zip(splits["train", code], halves, strict=True))
        splits["train", code] = [line for line, half in pairs if half == 1]
        splits[last, code] = [line for line, half in pairs if half == 2]
    if cfg.get("origlang"):
        splits[last, ORIGLANG] = [""] * halves.count(2)
    if len({*halves}) < 2:
        raise InputError(
            f"--halves: all {len(halves)} training pairs have sources of one half; give more pairs"
        )


def _why_useless(pair: Sequence[str], rules: Any) -> str | None:
    sizes = [len(line.split()) for line in pair]
    if not all(sizes):
        return "empty"
    if raw.BAD in pair:
        return "not UTF-8"
    if max(sizes) > rules["max_words"]:
        return f"over {rules['max_words']} words"
    if max(sizes) > rules["max_ratio"] * min(sizes):
        return f"lengths differ by over {rules['max_ratio']}"
    return None


def _cut(part: Path, splits: Splits, cfg: Any, smaller: bool) -> int:
    """Train SentencePiece on the training set, jointly or for each side, and cut every split.

    Returns the size of the (last) vocabulary, which is another one only with ``smaller``.
    """
    source, target = cfg["languages"]
    rules = cfg["subwords"]
    joint: bool = rules["joint"]
    size: int = rules["size"]
    models: dict[str, Any] = {}
    for code in [source] if joint else [source, target]:
        prefix = part / "subwords" / ("joint" if joint else code)
        text = [part / "raw" / f"train.{c}" for c in ((source, target) if joint else (code,))]
        try:
            size = _train(text, prefix, rules["type"], rules["size"], smaller)
        except RuntimeError as error:
            raise InputError(
                f"subwords: no {rules['type']} of size {rules['size']} can be learned from the "
                f"{len(splits['train', code])} training lines ({str(error).split(']')[-1].strip()})"
                "; give a smaller size, or more text"
            ) from None
        models[code] = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
    for (split, code), lines in splits.items():
        if code in (source, target):
            model = models[source if joint else code]
            pieces = (" ".join(p) for p in model.encode(lines, out_type=str))
            path = part / "subwords" / f"{split}.{code}"
            path.write_text("".join(f"{line}\n" for line in pieces), "utf-8")
    return size


def _train(text: list[Path], prefix: Path, kind: str, size: int, smaller: bool) -> int:
    """Train a SentencePiece model; with ``smaller`` of the largest size that the text allows."""
    try:
        sentencepiece.SentencePieceTrainer.train(
            input=",".join(map(str, text)),
            model_prefix=str(prefix),
            model_type=kind,
            vocab_size=size,
            character_coverage=1.0,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        largest = re.search(r"value <= (\d+)", str(error))
        if not (smaller and largest):
            raise
        return _train(text, prefix, kind, int(largest[1]), False)
    return size
