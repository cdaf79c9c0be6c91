"""Plain text as a data folder of sources alone; see ``fairseq-kd sources --help``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import torch

from ..data.subset import read_sides
from ..errors import InputError
from ..files.progress import Progress
from .folder import new_data_folder
from .foreign import read_text
from .origin import NAME, origin_of, step_of
from .pieces import find_model, load_model, require_its_model
from .references import sha256_of

COMMAND = "sources"


def write_sources(
    task: Any,
    text: Path,
    output: Path,
    subset: str = "train",
    subwords: str = "sentencepiece",
    model: Path | None = None,
) -> str:
    """Write the folder, a sentence a line, in order; a finished one is left alone.

    Args:
        task: of the data that gives dictionaries and the other subsets.
        text: lines of the source language, plain or gzipped.
        output: the new folder.
        subset: what the text becomes.
        subwords: what cuts it: ``sentencepiece`` does with ``model``; other text is cut already.
        model: of SentencePiece; None looks for it beside the data.

    Returns:
        What there is, in a line.

    Raises:
        InputError: no text, no model or another than the data's, or the folder exists.
    """
    data, language = Path(task.cfg.data), str(task.cfg.source_lang)
    path = (model or find_model(data, language)) if subwords == "sentencepiece" else None
    pairs = read_sides(task, str(data), subset)
    if path:
        require_its_model(pairs.src, pairs.src_dict, path)
    files = {"text": text, **({"sentencepiece": path} if path else {})}
    reads = {key: sha256_of(file, f"--{key}") for key, file in files.items()}
    flags = {"subset": subset, "subwords": subwords}
    if output.exists():
        _require_same(output, reads, flags)
        return f"{output} is complete: nothing to do"
    cut, words = load_model(path) if path else None, task.src_dict
    counts: Counter[str] = Counter()
    with new_data_folder(task, output, subset, joined=True, targets=False) as folder:
        progress = Progress(0)
        for line in read_text(text, "--text"):
            told = " ".join(line.split())
            pieces = cut.encode(told, out_type=str) if cut else told.split()
            tokens = [words.index(piece) for piece in pieces]
            folder.add(torch.tensor([*tokens, words.eos()]))
            counts["sentences"] += 1
            counts["empty"] += not pieces
            counts["pieces"] += len(pieces)
            counts["unknown pieces"] += tokens.count(words.unk())
            progress.add(1)
        progress.close()
        if not counts["pieces"]:
            raise InputError(f"--text {text} has no text; name a file of sentences, a line each")
        names = {key: str(file) for key, file in files.items()}
        folder.made_by(COMMAND, flags, origin_of(data, [pairs]), reads=reads, names=names)
    return f"{output}: " + ", ".join(f"{key} {value}" for key, value in counts.items())


def _require_same(output: Path, reads: dict[str, str], flags: dict[str, str]) -> None:
    """Refuse a folder that another text, another model or another command made."""
    step = step_of(output) if output.is_dir() else None
    if step is None or step["command"] != COMMAND:
        raise InputError(f"--output {output} exists; give another, or remove it")
    for what, ours, theirs in (("file", reads, step["reads"]), ("value", flags, step["flags"])):
        for name, value in ours.items():
            if theirs.get(name) != value:
                raise InputError(
                    f"--output {output} was made with another {what} of --{name}; give another "
                    f"--output, or remove it ({NAME} in it says how it was made)"
                )
