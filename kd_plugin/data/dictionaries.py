"""Two dictionaries are the same when they have the same entries in the same order."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from typing import Any

from fairseq.data import Dictionary

from ..errors import InputError


def fingerprint(dictionary: Any) -> str:
    """sha256 of the symbols in their order; counts do not matter."""
    return hashlib.sha256("\n".join(dictionary.symbols).encode()).hexdigest()


def load_dictionary(folder: str, language: str) -> Any | None:
    """``folder/dict.language.txt``, or None where there is none."""
    path = os.path.join(folder, f"dict.{language}.txt")
    return Dictionary.load(path) if os.path.isfile(path) else None


def languages(task: Any) -> tuple[tuple[str, Any], tuple[str, Any]]:
    """Language code and dictionary of a task's source and of its target."""
    cfg = task.cfg
    return (str(cfg.source_lang), task.src_dict), (str(cfg.target_lang), task.tgt_dict)


def require_of_folder(folder: str, languages: Iterable[tuple[str, Any]], whose: str) -> None:
    """Compare the dictionaries of a folder, as far as it has them, with those of languages.

    Args:
        folder: of ``dict.LANGUAGE.txt``.
        languages: code and dictionary of each.
        whose: begins the message.

    Raises:
        InputError: one differs.
    """
    for language, ours in languages:
        theirs = load_dictionary(folder, language)
        if theirs is not None:
            require_equal(theirs, ours, f"{whose}: its dictionary of {language}")


def require_recorded(theirs: Mapping[str, str], ours: Mapping[str, str], data: str) -> None:
    """Compare the fingerprints that a checkpoint has of dictionaries with those of ``data``.

    Raises:
        InputError: one differs.
    """
    for language, hashed in ours.items():
        if theirs.get(language, hashed) != hashed:
            raise InputError(
                f"the checkpoint was trained with another dictionary of {language} than "
                f"dict.{language}.txt in {data}; name the data folder that it was trained from"
            )


def require_equal(theirs: Any, ours: Any, whose: str) -> None:
    """Compare two dictionaries by content and order.

    Raises:
        InputError: they differ; ``whose`` starts the message, the first difference ends it.
    """
    if theirs.symbols == ours.symbols:
        return
    if len(theirs) != len(ours):
        difference = f"it has {len(theirs)} entries and this run's {len(ours)}"
    else:
        pairs = enumerate(zip(theirs.symbols, ours.symbols))
        row, (their, our) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
        if sorted(theirs.symbols) == sorted(ours.symbols):
            their = f"{their!r} (the same entries in another order)"
        else:
            their = repr(their)
        difference = f"entry {row} is {our!r} here and there {their}"
    raise InputError(
        f"{whose} is not this run's: {difference}; binarise both corpora with one dictionary "
        "(fairseq-preprocess --srcdict/--tgtdict)"
    )
