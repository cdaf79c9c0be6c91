"""``fairseq-kd prepare``: from raw parallel text to cleaned lines cut into subwords.

A data set is a YAML file (``configs/data/NAME.yaml``). Its text is made by a generator (the toy) or
read from a folder with one file a split and language, plain or gzipped. White space is normalised,
so that no line holds a tab, a carriage return or a Unicode line separator. Training pairs that
cannot be learned from are dropped and counted by reason; valid and test sets keep every line.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sentencepiece
from omegaconf import OmegaConf

from ..commands.flags import declare
from ..errors import InputError
from ..files.whole import to_json, write_atomically
from . import raw
from .download import download

EXAMPLE = "  fairseq-kd prepare configs/data/multi30k.yaml --from multi30k --output text"


def add_command(commands: Any) -> None:
    """Register the command."""
    parser = declare(
        commands, "prepare", "clean raw parallel text and cut it into subwords", __doc__, EXAMPLE
    )
    add = parser.add_argument
    add("config", metavar="CONFIG", type=Path, help="a data set of configs/data")
    add("--output", required=True, type=Path, help="new folder: raw/, subwords/ and manifest.json")
    add("--from", dest="folder", type=Path, help="folder with the raw files")
    add("--download", action="store_true", help="fetch them from where CONFIG says they are public")
    add("--train-pairs", type=int, help="use only the first so many training pairs")
    parser.set_defaults(run=prepare)


def prepare(given: argparse.Namespace) -> None:
    """Write the folder beside and move it into place; a finished one is left alone."""
    cfg: Any = OmegaConf.to_container(OmegaConf.load(given.config))
    settings = {"config": cfg, "train_pairs": given.train_pairs}
    finished = given.output / "manifest.json"
    if finished.exists():
        print(f"{given.output} is complete: nothing to do")
        return
    if given.output.exists():
        raise InputError(f"--output {given.output} exists and is no prepared data; give another")
    part = given.output.with_name(given.output.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "raw").mkdir(parents=True)
    (part / "subwords").mkdir()
    splits = _read_splits(cfg, given)
    dropped = _clean_training_set(splits, cfg, given.train_pairs)
    for (split, code), lines in splits.items():
        (part / "raw" / f"{split}.{code}").write_text("".join(f"{x}\n" for x in lines), "utf-8")
    _cut(part, splits, cfg)
    counts = {f"{split}.{code}": len(lines) for (split, code), lines in splits.items()}
    manifest = {"settings": settings, "lines": counts, "dropped": dict(dropped)}
    write_atomically(part / "manifest.json", to_json(manifest))
    os.replace(part, given.output)
    print(f"{given.output}: {counts}, dropped {dict(dropped) or 'nothing'}")


Splits = dict[tuple[str, str], list[str]]


def _read_splits(cfg: Any, given: argparse.Namespace) -> Splits:
    folder = given.folder
    if cfg.get("generator") == "toy":
        from .toy import write_toy_corpus

        folder = given.output.with_name(given.output.name + ".toy")
        shutil.rmtree(folder, ignore_errors=True)
        write_toy_corpus(folder, **cfg["toy"])
    elif given.download:
        folder = _download(cfg, given)
    elif folder is None:
        more = ", or --download" if "download" in cfg else ""
        raise InputError(
            f"{given.config} has no generator; give --from FOLDER with its files ({cfg['where']})"
            f"{more}"
        )
    splits, source = {}, cfg["languages"][0]
    for split, stems in _stems(cfg).items():
        stem = next((name for name in stems if raw.exists(folder, f"{name}.{source}")), stems[-1])
        for code in _codes(cfg, split):
            expected = cfg.get("sha256", {}).get(f"{split}.{code}")
            splits[split, code] = raw.read_lines(folder, f"{stem}.{code}", expected)
        sizes = {code: len(splits[split, code]) for code in _codes(cfg, split)}
        if len(set(sizes.values())) != 1:
            raise InputError(f"{folder}/{stem}: the sides differ in their number of lines: {sizes}")
    if folder != given.folder:
        shutil.rmtree(folder)
    return splits


def _download(cfg: Any, given: argparse.Namespace) -> Path:
    if given.folder is not None:
        raise InputError(f"--from {given.folder} and --download are two places; give one of them")
    if "download" not in cfg:
        raise InputError(
            f"--download: {given.config} names no address (download:); give --from FOLDER"
        )
    folder: Path = given.output.with_name(given.output.name + ".download")
    files = {
        f"{stems[0]}.{code}": cfg.get("sha256", {}).get(f"{split}.{code}")
        for split, stems in _stems(cfg).items()
        for code in _codes(cfg, split)
    }
    download(cfg["download"], files, folder)
    return folder


def _stems(cfg: Any) -> dict[str, list[str]]:
    """Our name of each split (train, valid, test, test1, ...) and what its files may be called."""
    tests = {f"test{number or ''}": stem for number, stem in enumerate(cfg["tests"])}
    stems = {"train": cfg["train"], "valid": cfg["valid"], **tests}
    return {split: stem if isinstance(stem, list) else [stem] for split, stem in stems.items()}


def _codes(cfg: Any, split: str) -> list[str]:
    """Endings of a split's files: both languages, and further references of the test set."""
    more = [f"{cfg['languages'][1]}{number}" for number in range(1, cfg.get("references", 1))]
    return [*cfg["languages"], *(more if split == "test" else [])]


def _clean_training_set(splits: Splits, cfg: Any, first: int | None) -> Counter[str]:
    """Drop pairs in place; valid and test sets are refused where they are not UTF-8."""
    for (split, code), lines in splits.items():
        bad = [row for row, line in enumerate(lines) if "\ufffd" in line]
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
    for number, side in enumerate(sides):
        splits[side] = [pair[number] for pair in kept]
    return dropped


def _why_useless(pair: Sequence[str], rules: Any) -> str | None:
    sizes = [len(line.split()) for line in pair]
    if not all(sizes):
        return "empty"
    if any("\ufffd" in line for line in pair):
        return "not UTF-8"
    if max(sizes) > rules["max_words"]:
        return f"over {rules['max_words']} words"
    if max(sizes) > rules["max_ratio"] * min(sizes):
        return f"lengths differ by over {rules['max_ratio']}"
    return None


def _cut(part: Path, splits: Splits, cfg: Any) -> None:
    """Train SentencePiece on the training set, jointly or for each side, and cut every split."""
    source, target = cfg["languages"]
    rules = cfg["subwords"]
    joint = rules["joint"]
    models: dict[str, Any] = {}
    for code in [source] if joint else [source, target]:
        prefix = part / "subwords" / ("joint" if joint else code)
        text = [part / "raw" / f"train.{c}" for c in ((source, target) if joint else (code,))]
        sentencepiece.SentencePieceTrainer.train(
            input=",".join(map(str, text)),
            model_prefix=str(prefix),
            model_type=rules["type"],
            vocab_size=rules["size"],
            character_coverage=1.0,
            num_threads=1,
            minloglevel=2,
        )
        models[code] = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
    for (split, code), lines in splits.items():
        if code in (source, target):
            model = models[source if joint else code]
            pieces = (" ".join(p) for p in model.encode(lines, out_type=str))
            path = part / "subwords" / f"{split}.{code}"
            path.write_text("".join(f"{line}\n" for line in pieces), "utf-8")
