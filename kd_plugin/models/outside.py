"""A student that translates outside of fairseq: a folder for CTranslate2; see docs/export.md."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sentencepiece
from fairseq.data import data_utils

from ..data import dictionaries
from ..errors import InputError
from ..files.output import new_folder
from ..host.conversion import converted
from ..host.convertible import library, why_not_convertible
from ..host.paths import absolute
from ..teachers.checkpoints import build_model, own_data, read_checkpoint, recorded_dictionaries
from .parameters import task_of_sizes

JOINT = "sentencepiece.model"
SIDES = ("sentencepiece.source.model", "sentencepiece.target.model")


def export_outside(
    checkpoint: Path,
    output: Path,
    data: str | None = None,
    subwords: Sequence[Path] = (),
    quantization: str | None = None,
) -> None:
    """Write ``model.bin``, vocabularies, ``config.json`` and the models of subwords.

    Args:
        checkpoint: of the student.
        output: the folder, new.
        data: the folder with its dictionaries; None: the one that it was trained from.
        subwords: SentencePiece's model of both languages, or that of the source and of the target.
        quantization: int8, int16 or float16; None: float32.

    Raises:
        InputError: CTranslate2 is not installed or has no place for a part of the model; no
            dictionaries, or others; the models of subwords are of other text.
    """
    library()
    state = read_checkpoint(str(checkpoint), str(checkpoint))
    words = _dictionaries(state, checkpoint, data)
    model = build_model(
        state["cfg"], state["model"], task_of_sizes(*map(len, words)), str(checkpoint)
    ).eval()
    if part := why_not_convertible(model):
        raise InputError(
            f"--format ctranslate2: CTranslate2 has no place for {part}, as {checkpoint} has it; "
            "give --format fairseq, or translate with the checkpoint itself and --user-dir"
        )
    if len(subwords) > 2:
        raise InputError(f"--subwords names {len(subwords)} files; give one or two")
    for path, side in zip((*subwords, *subwords)[:2], words):
        _require_pieces(path, side)
    source, target = words
    spec = converted(
        model, _names(source), _names(target), target.eos(), target.unk(), target.bos(),
        add_source_eos=True,
    )  # fmt: skip
    spec.optimize(quantization)
    with new_folder(output, "OUTPUT") as part_folder:
        spec.save(str(part_folder))
        for path, name in zip(subwords, (JOINT,) if len(subwords) == 1 else SIDES):
            shutil.copyfile(path, part_folder / name)


def _dictionaries(state: Any, checkpoint: Path, data: str | None) -> tuple[Any, Any]:
    """Those of the source and of the target, shown to be the checkpoint's where it tells."""
    recorded, cfg = recorded_dictionaries(state), state["cfg"]
    codes = [getattr(cfg.task, f"{side}_lang", None) for side in ("source", "target")]
    codes = list(recorded) if None in codes and len(recorded) == 2 else codes
    folder = absolute(data) if data else own_data(cfg)
    if folder is None or not os.path.isdir(folder):
        what = f"--data {data} is no folder" if data else f"{checkpoint}: its data folder is gone"
        raise InputError(f"{what}; give --data, the folder with its dict.*.txt")
    if None in codes:
        codes = list(data_utils.infer_language_pair(folder))
    if None in codes:
        raise InputError(
            f"neither {checkpoint} nor {folder} tells the languages; give --data, the binarised "
            "corpus that it was trained from"
        )
    found = []
    for side, code in zip(("encoder", "decoder"), codes):
        words = dictionaries.load_dictionary(folder, str(code))
        table = state["model"].get(f"{side}.embed_tokens.weight")
        if words is None:
            raise InputError(
                f"{folder} holds no dict.{code}.txt; give --data, the folder that {checkpoint} was "
                "trained from"
            )
        other = code in recorded and recorded[code] != dictionaries.fingerprint(words)
        if other or (table is not None and len(table) != len(words)):
            raise InputError(
                f"{folder}: its dict.{code}.txt is not that of {checkpoint}; give --data, the "
                "folder that it was trained from"
            )
        found.append(words)
    return found[0], found[1]


def _names(words: Any) -> list[str]:
    """The entries by id, each once: of one that stands twice fairseq uses the last."""
    return [
        entry if words.indices[entry] == i else f"<{entry}, entry {i}>"
        for i, entry in enumerate(words.symbols)
    ]


def _require_pieces(path: Path, words: Any) -> None:
    """Half of a model's pieces are in the dictionary, or it is of another text."""
    try:
        model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError):
        raise InputError(
            f"--subwords {path} is no model of SentencePiece; give the one that cut "
            "the training text"
        ) from None
    pieces = [i for i in range(len(model)) if not (model.is_control(i) or model.is_unknown(i))]
    known = sum(model.id_to_piece(i) in words.indices for i in pieces)
    if 2 * known < len(pieces):
        raise InputError(
            f"--subwords {path}: the dictionary knows {known} of its {len(pieces)} pieces; give "
            "the model that cut the training text"
        )
