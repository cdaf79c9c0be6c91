"""One training set of gold and teacher text, in any shares; see ``fairseq-kd mix --help``."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..data.subset import fingerprint, read_sides, require_same_dictionaries, sides_of
from ..errors import InputError
from ..files.names import MIX_NOTE
from ..files.shards import subset_name
from ..version import versions
from .binarise import Targets, require_corpus_of
from .derived import essentials
from .folder import new_data_folder
from .origin import Step, origin_of
from .records import ENDING, read_corpus

GOLD = "gold"
Pairs = Iterator[tuple[Any, Any]]  # token ids of both sides


@dataclass(frozen=True)
class Part:
    """``WHAT[:TIMES][@TAG]``: gold, a corpus or a data folder; times; its sources' first word."""

    what: str
    times: int = 1
    tag: str | None = None

    @classmethod
    def parse(cls, text: str) -> Part:
        """Read a value of ``--part``.

        Raises:
            InputError: it is no such thing.
        """
        found = re.fullmatch(r"(.+?)(?::(\d{1,4}))?(?:@(\S+))?", text)
        if not found or found[2] == "0":
            raise InputError(
                f"--part {text} is not understood; give {GOLD}, a corpus or a data folder, with "
                ":TIMES (1 or more) and @TAG where you like"
            )
        return cls(found[1], int(found[2] or 1), found[3])

    def suffix(self) -> str:
        """What stands behind its name."""
        times = f":{self.times}" if self.times > 1 else ""
        return times + (f"@{self.tag}" if self.tag else "")


def mix(
    task: Any,
    parts: Sequence[Part],
    output: Path,
    subset: str = "train",
    undecoded: str = "error",
    copies: Sequence[int] = (1,),
) -> dict[str, int]:
    """Write a data folder whose ``subset`` has the pairs of all parts, one after the other.

    Args:
        task: of the data whose dictionaries, valid and test sets the folder gets.
        parts: in order.
        output: the new folder.
        subset: the training set.
        undecoded, copies: of corpora; see :func:`.binarise.binarise`.

    Returns:
        Pairs of each part, by what was asked for.

    Raises:
        InputError: a part is none, of other dictionaries or sources; the folder exists.
    """
    opened = [_open(task, part, subset, undecoded, copies) for part in parts]
    tags = [_tag(task.src_dict, part.tag) for part in parts]
    told: list[dict[str, Any]] = []
    with new_data_folder(task, output, subset, joined=True) as folder:
        inputs: list[Step] = []
        spelled: list[list[Any]] = []
        for part, tag, (pairs, what) in zip(parts, tags, opened):
            before = folder.pairs
            for source, target in itertools.chain.from_iterable(pairs() for _ in range(part.times)):
                folder.add(torch.cat([tag, source]), target)
            found = what()
            entry = {"part": part.what, "times": part.times, "tag": part.tag, **found}
            told.append({**entry, "pairs": folder.pairs - before})
            spelled.append([GOLD if part.what == GOLD else len(inputs), part.suffix()])
            if part.what != GOLD:
                inputs.append(found.get("corpus") or _origin(task, part.what, subset))
        flags = {"copies": list(copies), "undecoded": undecoded, "subset": subset}
        folder.note(MIX_NOTE, {"flags": flags, "parts": told, "versions": versions(torch)})
        data = _origin(task, str(task.cfg.data), subset)
        folder.made_by("mix", {**flags, "part": spelled}, data, inputs)
    return {f"{n + 1}. {entry['part']}": entry["pairs"] for n, entry in enumerate(told)}


Opened = tuple[Callable[[], Pairs], Callable[[], dict[str, Any]]]


def _open(task: Any, part: Part, subset: str, undecoded: str, copies: Sequence[int]) -> Opened:
    """What gives a part's pairs each time it is called, and, then, what it is."""
    folder, data = Path(part.what), str(task.cfg.data)
    if part.what != GOLD and any(folder.glob(f"*.{ENDING}")):
        pairs = read_sides(task, data, subset)
        shards = require_corpus_of(task, pairs, folder, subset_name(task, subset), any_text=True)
        targets = Targets(folder, subset, pairs, undecoded, copies)

        def of_corpus() -> Pairs:
            for record in read_corpus(shards):
                for target in targets.of(record):
                    yield pairs.src[record["id"]], target

        return of_corpus, lambda: {"corpus": essentials(shards), "counts": targets.counts}
    where = data if part.what == GOLD else part.what
    if part.what != GOLD:
        _require_folder(task, where)
    sets = _all_parts(task, where, subset)

    def of_folder() -> Pairs:
        for one in sets:
            for row in range(len(one)):
                yield one.src[row], one.tgt[row]

    return of_folder, lambda: {
        "sources_sha256": [fingerprint(one.src, one.src_sizes) for one in sets],
        "targets_sha256": [fingerprint(one.tgt, one.tgt_sizes) for one in sets],
    }


def _origin(task: Any, folder: str, subset: str) -> Step:
    return origin_of(Path(folder), _all_parts(task, folder, subset))


def _all_parts(task: Any, folder: str, subset: str) -> list[Any]:
    """The set and its further parts (``train1``, ...), all of which fairseq trains on."""
    sets = [read_sides(task, folder, subset)]
    for number in itertools.count(1):
        more = sides_of(task, folder, f"{subset}{number}")
        if more is None:
            break
        sets.append(more)
    for one in sets:
        if one.tgt is None:
            raise InputError(f"--part {folder} has no targets in {subset}; name another folder")
    return sets


def _require_folder(task: Any, folder: str) -> None:
    if not Path(folder).is_dir():
        raise InputError(
            f"--part {folder} is no folder; give {GOLD}, a corpus, or a binarised data folder"
        )
    require_same_dictionaries(folder, task, "--part")


def _tag(words: Any, tag: str | None) -> torch.Tensor:
    """The token that a part's sources begin with, or none."""
    if tag is None:
        return torch.tensor([], dtype=torch.int64)
    index = words.index(tag)
    if index == words.unk():
        spare = [symbol for symbol in words.symbols if symbol.startswith("madeupword")]
        way = f"{' or '.join(spare[:2])} of fairseq's padding" if spare else "one of its entries"
        raise InputError(
            f"--part ...@{tag}: the dictionary of sources has no {tag!r}, and a student would see "
            f"the unknown token; give {way}, or add it to the dictionary before binarising"
        )
    return torch.tensor([index])
