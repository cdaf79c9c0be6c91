"""Damage to the words of a data folder, of a kind and a rate; see ``fairseq-kd noise --help``.

Deletion, substitution and swapping are the three noises of Wei et al. (2023, withdrawn), who do not
say more than that; what follows is ours. Words are those that subwords make up.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch

from ..data.subset import read_sides
from ..errors import InputError
from ..version import versions
from .folder import new_data_folder
from .origin import origin_of
from .words import Splitter, Word

SIDES = {"source": (0,), "target": (1,), "both": (0, 1)}


@dataclass(frozen=True)
class Noise:
    """Of what kind and how much: the chance of each word, and what a word is."""

    delete: float = 0.0
    substitute: float = 0.0
    swap: float = 0.0  # with the next word
    by: str = "uniform"  # or frequency: what a word is replaced by
    side: str = "source"
    seed: int = 1
    subwords: str = "sentencepiece"


def add_noise(task: Any, noise: Noise, output: Path, subset: str = "train") -> dict[str, int]:
    """Write a data folder whose ``subset`` is damaged; the other sets are copied.

    The damage of a sentence is of the seed, its number and its side alone. Memory holds the
    different words of the subset where words are substituted.

    Returns:
        What was done, by kind.

    Raises:
        InputError: there is no such subset, or no such side of it, or the folder exists.
    """
    pairs = read_sides(task, task.cfg.data, subset)
    if pairs.tgt is None and noise.side != "source":
        raise InputError(
            f"--side {noise.side}: {task.cfg.data} has sources alone of {subset}; give --side "
            "source"
        )
    counts: Counter[str] = Counter()
    texts = (pairs.src,) if pairs.tgt is None else (pairs.src, pairs.tgt)
    damage: list[Callable[[Any, int], Any]] = [lambda tokens, row: tokens] * 2
    for side in SIDES[noise.side]:
        words = (pairs.src_dict, pairs.tgt_dict)[side]
        damage[side] = _Damage(noise, words, texts[side], side, counts)
    with new_data_folder(task, output, subset, targets=pairs.tgt is not None) as folder:
        for row in range(len(pairs)):
            before = _done(counts)
            folder.add(*(change(text[row], row) for change, text in zip(damage, texts)))
            counts["sentences changed"] += _done(counts) != before
        counts["sentences"] = folder.pairs
        data = origin_of(Path(task.cfg.data), [pairs])
        told = {
            "flags": {**asdict(noise), "subset": subset},
            **{
                f"{side}_sha256": data[f"{side}_sha256"][0]
                for side in ("sources", "targets")
                if f"{side}_sha256" in data
            },
            "counts": dict(counts),
            "versions": versions(torch),
        }
        folder.note("noise.json", told)
        folder.made_by("noise", {**asdict(noise), "subset": subset}, data)
    return dict(counts)


def _done(counts: Counter[str]) -> int:
    return counts["substituted"] + counts["swapped"] + counts["deleted"]


class _Damage:
    """Damages the sentences of one side: substitutes, then swaps, then deletes."""

    def __init__(self, noise: Noise, words: Any, text: Any, side: int, counts: Counter[str]):
        self.noise, self.counts = noise, counts
        self.name = ("source", "target")[side]
        self.split = Splitter(words, noise.subwords)
        self.end = words.eos()
        self.vocabulary: list[Word] = []
        self.weights: list[int] | None = None
        if noise.substitute:
            self._count(text, words.unk())

    def _count(self, text: Any, unknown: int) -> None:
        found: Counter[Word] = Counter()
        for row in range(len(text)):
            found.update(self.split(self._inside(text[row])))
        self.vocabulary = [word for word in found if unknown not in word]
        if len(self.vocabulary) < 2:
            known = f"{len(self.vocabulary)} different words"
            raise InputError(
                f"--substitute {self.noise.substitute}: the {self.name} side has {known} and none "
                "to replace another by; leave it out"
            )
        if self.noise.by == "frequency":
            self.weights = list(accumulate(found[word] for word in self.vocabulary))

    def _inside(self, tokens: Any) -> list[int]:
        """The ids without the end of sentence."""
        return [token for token in tokens.tolist() if token != self.end]

    def __call__(self, tokens: Any, row: int) -> Any:
        noise, draw = self.noise, random.Random(f"{self.noise.seed}:{self.name}:{row}")
        words = self.split(self._inside(tokens))
        self.counts["words"] += len(words)
        if noise.substitute:
            for place in range(len(words)):
                if draw.random() < noise.substitute:
                    words[place] = self._other(words[place], draw)
                    self.counts["substituted"] += 1
        if noise.swap:
            place = 0
            while place + 1 < len(words):
                if draw.random() < noise.swap:
                    words[place : place + 2] = words[place + 1], words[place]
                    self.counts["swapped"] += 1
                    place += 1  # no word moves twice
                place += 1
        if noise.delete and words:
            kept = [word for word in words if draw.random() >= noise.delete]
            kept = kept or [draw.choice(words)]  # no sentence becomes empty
            self.counts["deleted"] += len(words) - len(kept)
            words = kept
        return torch.tensor([*(token for word in words for token in word), self.end])

    def _other(self, word: Word, draw: random.Random) -> Word:
        while True:
            (other,) = draw.choices(self.vocabulary, cum_weights=self.weights)
            if other != word:
                return other
