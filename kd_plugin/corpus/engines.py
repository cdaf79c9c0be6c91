"""Which search translates a corpus: fairseq's own, or CTranslate2's, which is faster."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import InputError
from ..files.blocks import UNSAID
from ..host.convertible import library, why_no_library, why_not_convertible
from ..teachers.live import LiveTeacher
from .decoding import Decoder, Search
from .engine_ctranslate2 import CTranslate2Decoder
from .forced import ForcedDecoder


@dataclass(frozen=True)
class Engine:
    """``--engine`` and ``--compute-type``, as they were asked for."""

    name: str = "auto"
    compute_type: str = "float32"


def settle(
    asked: Engine, task: Any, teacher: LiveTeacher, search: Search, device: torch.device,
    begun: Mapping[str, Any] | None,
) -> dict[str, str]:  # fmt: skip
    """What the settings of a corpus say of it: ``engine``, ``engine_compute_type``.

    Args:
        begun: settings with which the corpus was begun before; ``auto`` goes on with fairseq.

    Raises:
        InputError: what is asked for cannot be done.
    """
    compute = compute_type(asked, search)
    found = None if asked.name == "fairseq" else why_not(task, teacher, search, device, compute)
    rule, way_out = found or ("", "")
    if asked.name == "ctranslate2" and rule:
        raise InputError(f"--engine ctranslate2 {rule}; {way_out}, or give --engine fairseq")
    name = asked.name
    if name == "auto":
        before = begun is not None and {**UNSAID, **begun}["engine"] == "fairseq"
        if before and asked.compute_type == "float32":
            rule = "did not begin this corpus"
        name = "fairseq" if rule else "ctranslate2"
        if rule and asked.compute_type == "float32" and not search.teacher_forcing:
            print(f"fairseq's search translates, because CTranslate2 {rule}", file=sys.stderr)
    if name == "fairseq" and asked.compute_type != "float32":
        because = f", because CTranslate2 {rule}" if rule else ""
        raise InputError(
            f"--compute-type {asked.compute_type} is CTranslate2's, and fairseq's search "
            f"translates{because}; " + (f"{way_out}, or give float32" if rule else "give float32")
        )
    return {"engine": name} | ({} if name == "fairseq" else {"engine_compute_type": compute})


def compute_type(asked: Engine, search: Search) -> str:
    """CTranslate2's name of the precision that is asked for."""
    rest = "float16" if search.fp16 else "float32"
    return rest if asked.compute_type == "float32" else f"{asked.compute_type}_{rest}"


def why_not(
    task: Any, teacher: LiveTeacher, search: Search, device: torch.device, compute: str
) -> tuple[str, str] | None:
    """Why CTranslate2 cannot search, after its name, and the way out; None if it can."""
    if len(teacher.models) > 1:
        count = len(teacher.models)
        return f"translates with one model and --path names {count}", "give one checkpoint"
    if search.teacher_forcing:
        return "tells no likeliest word at each prefix", "leave --teacher-forcing out"
    if search.sampling:
        return "draws no samples that --seed and a sentence determine", "leave --sampling out"
    if search.diverse_beam_groups > 0:
        groups = search.diverse_beam_groups
        return f"knows no --diverse-beam-groups {groups}", "leave them out"
    if task.cfg.knnmt_datastore:
        return f"knows no --knnmt-datastore {task.cfg.knnmt_datastore}", "leave that out"
    (model,) = teacher.models
    if part := why_not_convertible(model):
        return f"has no place for {part}, as the model in --path has it", "give another model"
    for side, words in ((model.encoder, task.src_dict), (model.decoder, task.tgt_dict)):
        if len(side.embed_tokens.weight) != len(words):
            return "needs one embedding for each entry of a dictionary", "give another model"
    if 2 * search.beam >= len(task.tgt_dict):
        most = (len(task.tgt_dict) - 1) // 2
        return f"searches no --beam {search.beam} of so few words", f"give at most {most}"
    if reason := why_no_library():
        return reason
    try:
        known = library().get_supported_compute_types(device.type)
    except (ValueError, RuntimeError):  # built without GPUs, or no driver
        return f"cannot use a {device.type} device here", "give --cpu"
    if compute not in known:
        return f"computes no {compute} on this {device.type} device", "give another --compute-type"
    return None


def modules_of(chosen: Mapping[str, str]) -> list[Any]:
    """The libraries beside fairseq and torch whose version can change a result."""
    return [library()] if chosen["engine"] == "ctranslate2" else []


def decoder_of(
    chosen: Mapping[str, str], task: Any, teacher: LiveTeacher, search: Search, device: torch.device
) -> Any:
    """A decoder as the settings say; one of three classes with the same method ``decode``."""
    if search.teacher_forcing:
        return ForcedDecoder(task, teacher, search, device)
    if chosen["engine"] == "fairseq":
        return Decoder(task, teacher.models, search, device)
    return CTranslate2Decoder(task, teacher.models, search, device, chosen["engine_compute_type"])
