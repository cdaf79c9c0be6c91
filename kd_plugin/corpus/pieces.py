"""The SentencePiece model that cut a data folder: where it stands, and the proof that it is it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import sentencepiece

from ..errors import InputError

PLACES = ("", "subwords", "text/subwords", "../subwords", "../text/subwords")  # of a model


def find_model(data: Path, target: str) -> Path:
    """The SentencePiece model that stands beside the data as ``prepare`` leaves it.

    Raises:
        InputError: there is none, or several.
    """
    files = (
        (data / place / f"{stem}.model").resolve()
        for place, stem in itertools.product(PLACES, ("joint", target))
    )
    found = sorted({file for file in files if file.is_file()})
    if len(found) != 1:
        told = f"{len(found)} SentencePiece models" if found else "no SentencePiece model"
        raise InputError(
            f"{told} of {target} stand beside {data}; give --sentencepiece MODEL, or, for text "
            "that is cut already, --subwords none"
        )
    return found[0]


def require_its_model(sentences: Any, words: Any, path: Path) -> None:
    """Refuse a model that does not cut the data's own text as it is cut.

    Args:
        sentences: token ids of one side of the data.
        words: its dictionary.
        path: of the model.

    Raises:
        InputError: it is none, or most of the first sentences come out otherwise.
    """
    model = load_model(path)
    lines = [words.string(sentences[row]) for row in range(min(len(sentences), 100))]
    lines = [line for line in lines if line and words.unk_word not in line.split()]
    again = [
        " ".join(model.encode(line.replace(" ", "").replace("\u2581", " "), out_type=str))
        for line in lines
    ]
    same = sum(ours == theirs for ours, theirs in zip(lines, again))
    if same * 2 < len(lines):
        raise InputError(
            f"--sentencepiece {path} cuts {len(lines) - same} of {len(lines)} sentences of the "
            "data otherwise than they are; name the model that cut the data"
        )


def load_model(path: Path) -> Any:
    """The model.

    Raises:
        InputError: the file is none.
    """
    try:
        return sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError) as error:
        told = " ".join(str(error).split())
        raise InputError(
            f"--sentencepiece {path} is no model of SentencePiece ({told}); name another"
        ) from None
