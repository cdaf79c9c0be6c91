"""From ``--teacher-path`` to a :class:`LiveTeacher`, or to one line that says why not."""

from __future__ import annotations

import logging
import os
import re
from typing import Any

import torch
from fairseq import models
from fairseq.data import data_utils
from fairseq.utils import split_paths

from ..data import dictionaries
from ..errors import InputError
from ..files.whole import sha256
from ..host.configuration import upgraded
from ..host.paths import absolute
from .live import LiveTeacher
from .proof import require_better_than_unigram

logger = logging.getLogger(__name__)


def load_teacher(
    paths: str,
    task: Any,
    teacher_data: str | None = None,
    flag: str = "--teacher-path",
    data_flag: str = "--teacher-data",
) -> LiveTeacher:
    """Load, check and freeze the teacher(s) of a run.

    Args:
        paths: fairseq checkpoints, separated by colons as in fairseq's ``--path``.
        task: the student's task; its languages and dictionaries must be the teacher's.
        teacher_data: the folder with the teacher's dictionaries; None: the checkpoint's own.
        flag: what the command calls ``paths``; errors begin with it.
        data_flag: what it calls ``teacher_data``.

    Raises:
        InputError: a file is missing, damaged or no fairseq checkpoint, or a teacher translates
            other languages, or has another dictionary.
    """
    names = split_paths(paths)
    if not all(names):
        raise InputError(f"{flag} {paths!r} has an empty name between colons; remove it")
    members = [
        _load_member(name, f"{flag} {name}", task, teacher_data, data_flag) for name in names
    ]
    return LiveTeacher(members, [sha256(absolute(name)) for name in names])


def _load_member(path: str, flag: str, task: Any, teacher_data: str | None, data_flag: str) -> Any:
    state = read_checkpoint(absolute(path), flag)
    cfg = state["cfg"]
    proven = _check_languages(state, cfg, task, teacher_data, flag)
    proven &= _check_dictionaries(state, cfg, task, teacher_data, flag, data_flag)
    _check_sizes(state["model"], task, flag)
    model = build_model(cfg, state["model"], task, flag)
    if not proven:
        require_better_than_unigram(LiveTeacher([model]), task, flag, data_flag)
    proof = "languages and dictionaries compared" if proven else "judged by its results"
    logger.info(f"teacher: {type(model).__name__} from {path} ({proof})")
    return model


def read_checkpoint(path: str, flag: str) -> dict[str, Any]:
    """A fairseq checkpoint under safe loading, upgraded by fairseq, its weights finite.

    ``cfg`` is there whichever fairseq wrote it, and ``task_state`` too.

    Raises:
        InputError: it is missing, damaged, hostile or something else; ``flag`` starts the message.
    """
    if not os.path.isfile(path):
        what = "is no file" if os.path.exists(path) else "does not exist"
        raise InputError(f"{flag} {what}; name a checkpoint file, such as checkpoint_best.pt")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not (state.get("cfg") or state.get("args")):
            raise KeyError("cfg")
        state = upgraded(state, flag)
        task_state = state.get("task_state") or {}
        if not all(isinstance(part, dict) for part in (task_state, recorded_of(task_state))):
            raise TypeError("task_state")
        finite = all(w.isfinite().all() for w in state["model"].values() if w.is_floating_point())
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{flag} {_why_unreadable(error)}") from error
    if not finite:
        raise InputError(f"{flag} holds weights that are not finite; take an earlier checkpoint")
    return {**state, "task_state": task_state}


def _why_unreadable(error: Exception) -> str:
    refused = re.search(r"GLOBAL (\w[\w.]*\w)", str(error))
    if refused:
        return (
            f"holds {refused[1]}, which torch's safe loading refuses and a fairseq checkpoint has "
            "no need of; take the teacher from a source that you trust"
        )
    if isinstance(error, EOFError) or "PytorchStreamReader" in str(error):
        return "is damaged or truncated; copy or train it again"
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror}); name a checkpoint file that you may read"
    return "is not a fairseq checkpoint; give a file that fairseq-train wrote"


def _check_languages(state: Any, cfg: Any, task: Any, teacher_data: str | None, flag: str) -> bool:
    """Compare languages and direction where the checkpoint or its data tell; True if they do."""
    recorded = tuple(recorded_dictionaries(state))  # source first; one where they are the same
    theirs = (getattr(cfg.task, "source_lang", None), getattr(cfg.task, "target_lang", None))
    if None in theirs and len(recorded) == 2:
        theirs = (recorded[0], recorded[1])
    folder = absolute(teacher_data) if teacher_data else own_data(cfg)
    if None in theirs and folder and os.path.isdir(folder):
        theirs = tuple(data_utils.infer_language_pair(folder))
    if None in theirs:
        return teacher_data is not None  # the user vouches for a teacher of this folder
    ours = (task.cfg.source_lang, task.cfg.target_lang)
    if theirs != ours:
        raise InputError(
            f"{flag} translates {theirs[0]}-{theirs[1]} and this run {ours[0]}-{ours[1]}; "
            "give a checkpoint of the same languages and direction"
        )
    return True


def recorded_dictionaries(state: Any) -> dict[str, str]:
    """sha256 of each dictionary by language, which our own task leaves in its checkpoints."""
    return recorded_of(state["task_state"])


def recorded_of(task_state: Any) -> dict[str, str]:
    """The same of a task's state alone."""
    recorded: dict[str, str] = task_state.get("dictionary_sha256", {})
    return recorded


def _check_dictionaries(
    state: Any, cfg: Any, task: Any, teacher_data: str | None, flag: str, data_flag: str
) -> bool:
    """Compare by content where it can be read; True when both sides are proven equal."""
    recorded = recorded_dictionaries(state)
    folder = absolute(teacher_data) if teacher_data else own_data(cfg)
    proven = True
    for language, ours in dictionaries.languages(task):
        theirs = dictionaries.load_dictionary(folder, language) if folder else None
        if theirs is not None:
            name = os.path.join(str(folder), f"dict.{language}.txt")
            dictionaries.require_equal(theirs, ours, f"{flag}: its dictionary {name}")
        elif teacher_data:
            raise InputError(
                f"{data_flag} {teacher_data} holds no dict.{language}.txt; name the folder "
                "that the checkpoint was trained from"
            )
        if recorded and recorded.get(language) != dictionaries.fingerprint(ours):
            raise InputError(
                f"{flag}: its dictionary of {language} is not this run's (its checkpoint records "
                f"sha256 {str(recorded.get(language))[:12]}, dict.{language}.txt here has "
                f"{dictionaries.fingerprint(ours)[:12]}); binarise both corpora with one dictionary"
            )
        proven &= bool(recorded) or theirs is not None
    return proven


def own_data(cfg: Any) -> str | None:
    """The folder that the checkpoint says it was trained from, where it still exists."""
    data = getattr(cfg.task, "data", None)
    folder = absolute(split_paths(data)[0]) if data else None
    return folder if folder and os.path.isdir(folder) else None


def _check_sizes(weights: Any, task: Any, flag: str) -> None:
    for side, (language, ours) in zip(("encoder", "decoder"), dictionaries.languages(task)):
        embedding = weights.get(f"{side}.embed_tokens.weight")
        if embedding is not None and len(embedding) != len(ours):
            raise InputError(
                f"{flag} knows {len(embedding)} {side} tokens and this run's dictionary of "
                f"{language} has {len(ours)}; binarise both corpora with one dictionary"
            )


def build_model(cfg: Any, weights: Any, task: Any, flag: str) -> Any:
    """The model that a checkpoint's configuration and weights describe.

    Raises:
        InputError: they do not fit each other, or the architecture is not known here.
    """
    try:
        with torch.random.fork_rng(
            devices=[]
        ):  # the student's random numbers do not depend on the teacher
            model = models.build_model(cfg.model, task, from_checkpoint=True)
        model.load_state_dict(weights, strict=True, model_cfg=cfg.model)
    except Exception as error:
        arch = getattr(cfg.model, "arch", None) or getattr(cfg.model, "_name", "unknown")
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"{flag}: its architecture {arch} cannot be built from its own configuration and "
            f"weights; an architecture from a plugin needs that plugin, a damaged file another "
            f"copy ({type(error).__name__}: {reason})"
        ) from error
    return model
