"""How fast a model translates: by fairseq's search, and outside of fairseq by CTranslate2."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fairseq
import torch

from ..data.subset import read_subset
from ..errors import InputError
from ..host.convertible import library
from ..teachers.live import LiveTeacher
from ..version import versions
from .decoding import Decoder, Search
from .engine_ctranslate2 import TOGETHER
from .engines import Engine, compute_type, why_not

Translate = Callable[[Sequence[int]], int]  # sentences; tokens of the best translations


def speed(
    task: Any,
    teacher: LiveTeacher,
    search: Search,
    subset: str,
    export: Callable[[Path], None],
    device: torch.device,
    sentences: int,
    repetitions: int,
) -> dict[str, Any]:
    """Tokens and seconds of each search, and the megabytes of the export, as JSON.

    Args:
        task: of the binarised corpus; with ``knnmt_datastore`` fairseq's search uses it.
        teacher: the model.
        search: how it translates.
        subset: whose sources are translated.
        export: writes the model's folder for CTranslate2.
        device: where it computes; a CPU does with one thread.
        sentences: so many, from the first.
        repetitions: that are timed.

    Raises:
        InputError: there is nothing to translate.
    """
    pairs = read_subset(task, task.cfg.data, subset)
    most = teacher.max_positions()[0]
    rows = [row for row in range(min(sentences, len(pairs))) if 1 < pairs.src_sizes[row] <= most]
    if not rows:
        raise InputError(f"--subset {subset}: {task.cfg.data} holds no sentence that can be read")
    if device.type == "cpu":
        torch.set_num_threads(1)
    reason = why_not(task, teacher, search, device, compute_type(Engine(), search))
    outside: dict[str, Any] = {"why_not": ", ".join(reason)} if reason else {}
    if not reason:  # before fairseq's search makes the model its own
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            export(folder)
            size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
            translate = _outside(task, pairs, folder, search, teacher.max_positions()[1], device)
            outside = {**_timed(translate, rows, device, repetitions), "megabytes": size}
    inside = _timed(_inside(task, teacher, pairs, search, device), rows, device, repetitions)
    return {
        "subset": subset,
        "sentences": len(rows),
        "search": search.told(),
        "neighbours": bool(task.cfg.knnmt_datastore),
        "device": device.type,
        "repetitions": repetitions,
        "teacher_sha256": teacher.files,
        "fairseq": inside,
        "ctranslate2": outside,
        "versions": versions(fairseq, torch, *([] if reason else [library()])),
    }


def _timed(
    translate: Translate, rows: Sequence[int], device: torch.device, repetitions: int
) -> dict[str, Any]:
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    tokens, seconds = translate(rows), []
    for _ in range(repetitions):
        begin = clock()
        translate(rows)
        seconds.append(clock() - begin)
    return {"tokens": tokens, "seconds": statistics.median(seconds)}


def _inside(
    task: Any, teacher: LiveTeacher, pairs: Any, search: Search, device: torch.device
) -> Translate:
    decoder = Decoder(task, teacher.models, search, device)

    def translate(rows: Sequence[int]) -> int:
        found = decoder.decode(pairs, rows)
        return sum(len(best[0]["tokens"]) for best in found.values() if best)

    return translate


def _outside(
    task: Any, pairs: Any, folder: Path, search: Search, positions: float, device: torch.device
) -> Translate:
    """As docs/export.md translates: pieces in, pieces out, batches of :data:`.TOGETHER` tokens."""
    translator = library().Translator(
        str(folder), device=device.type, device_index=device.index or 0, inter_threads=1,
        intra_threads=1, compute_type=compute_type(Engine(), search),
    )  # fmt: skip
    symbols = task.src_dict.symbols

    def translate(rows: Sequence[int]) -> int:
        sources = [[symbols[i] for i in pairs.src[row].tolist()[:-1]] for row in rows]
        longest = search.length_limit(max(map(len, sources)) + 1, positions)
        found = translator.translate_batch(
            sources, beam_size=search.beam, length_penalty=search.lenpen, max_input_length=0,
            max_batch_size=TOGETHER if device.type == "cpu" else 0, batch_type="tokens",
            max_decoding_length=longest + 1, return_end_token=True,
        )  # fmt: skip
        return sum(len(each.hypotheses[0]) for each in found)

    return translate
