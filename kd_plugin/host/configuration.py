"""A checkpoint's configuration, made harmless before fairseq builds a model of it.

Torch's safe loading lets strings through, and fairseq trusts them: building a model calls ``eval``
on some of its settings (``adaptive_softmax_cutoff``, an LSTM's ``decoder_attention``, ...), and
omegaconf puts the environment in for ``${oc.env:NAME}``; some settings name files that are read. No
list of such settings would be whole, so the rules are about values:

* a configuration is None, bools, numbers, strings, and lists, dictionaries and namespaces of them;
* ``${...}`` is refused unless it names a value of the same configuration, which takes its place;
* a string of the model that Python would read as an expression is made of literals, names and
  arithmetic: ``eval`` makes numbers and lists of it, or fails;
* a setting of the model that names a file is left out: it matters only when training starts.
"""

from __future__ import annotations

import ast
import re
import warnings
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from fairseq import checkpoint_utils
from fairseq.dataclass.configs import FairseqConfig
from fairseq.registry import REGISTRIES
from fairseq.tasks import TASK_DATACLASS_REGISTRY
from omegaconf import Container, OmegaConf

from ..errors import InputError
from .mends import filter_warnings

PLAIN = (type(None), bool, int, float, str)
REFERENCE = re.compile(r"\$\{(\w+(?:\.\w+)+)\}")  # as fairseq's II("task.data") writes it
FILE_SETTING = re.compile(r"pretrained|(^|_)(path|file|checkpoint|dir|from)$")
PATH = re.compile(r"[^()\[\]{}'\",]*([/\\]|\.[A-Za-z]\w*$)[^()\[\]{}'\",]*")
HARMLESS = (
    ast.Expression, ast.Constant, ast.Name, ast.Load, ast.Tuple, ast.List, ast.Set, ast.Dict,
    ast.UnaryOp, ast.UAdd, ast.USub, ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv,
)  # fmt: skip


def upgraded(state: dict[str, Any], flag: str) -> dict[str, Any]:
    """A checkpoint as this fairseq writes it; its ``cfg`` is omegaconf's, checked as stated above.

    Args:
        state: what torch's safe loading gave.
        flag: begins the message of an error.

    Raises:
        InputError: a setting is no plain value, refers to something else than another setting, or
            is code.
    """
    kept = {name: _plain(state.get(name), f"{flag}: its {name}") for name in ("cfg", "args")}
    kept = {name: _resolved(value, value, f"{flag}: its {name}") for name, value in kept.items()}
    for registry in REGISTRIES:  # of no matter here, and fairseq would read files that they name
        if hasattr(kept["args"], registry):
            delattr(kept["args"], registry)
    with warnings.catch_warnings():
        filter_warnings()
        kept["cfg"] = _create(kept["cfg"])
        state = checkpoint_utils._upgrade_state_dict({**state, **kept})
    cfg = _plain(state["cfg"], f"{flag}: its cfg")
    cfg["model"] = _of_model(cfg.get("model"), f"{flag}: its cfg.model")
    return {**state, "cfg": _create(cfg)}


def _create(cfg: Any) -> Any:
    """As fairseq does it; a namespace within stays one."""
    return OmegaConf.create(cfg, flags={"allow_objects": True}) if cfg else None


def _plain(value: Any, where: str) -> Any:
    """The same without omegaconf's classes."""
    if isinstance(value, Container):
        value = OmegaConf.to_container(value, resolve=False, enum_to_str=True)
    if type(value) in PLAIN:
        return value
    if type(value) in (list, tuple):
        return type(value)(_plain(part, where) for part in value)
    if type(value) in (dict, Namespace):
        parts = value if type(value) is dict else vars(value)
        kept = {key: _plain(part, f"{where}.{key}") for key, part in parts.items()}
        if all(type(key) in PLAIN for key in kept):
            return kept if type(value) is dict else Namespace(**kept)
    raise InputError(
        f"{where} holds a {type(value).__name__}, and a configuration is numbers, strings and "
        "lists of them; take the checkpoint from a source that you trust"
    )


def _resolved(value: Any, root: Any, where: str) -> Any:
    """The same with the values that it names within itself."""
    if type(value) in (list, tuple):
        return type(value)(_resolved(part, root, where) for part in value)
    if type(value) is dict:
        return {key: _resolved(part, root, f"{where}.{key}") for key, part in value.items()}
    if type(value) is Namespace:
        return Namespace(**_resolved(vars(value), root, where))
    if type(value) is not str or "${" not in value:
        return value
    found, match = root, REFERENCE.fullmatch(value)
    for name in match[1].split(".") if match else ():
        parts = vars(found) if type(found) is Namespace else found
        found = parts.get(name, ...) if type(parts) is dict else ...
    if match and type(found) in PLAIN and not (type(found) is str and "${" in found):
        return found
    raise InputError(
        f"{where} is {value!r}, which names nothing of this configuration and is not looked up "
        "elsewhere; write the checkpoint with the value itself"
    )


def _of_model(settings: Any, where: str) -> Any:
    """A model's settings without files; strings that would run as code are refused."""
    if type(settings) is Namespace:
        return Namespace(**_of_model(vars(settings), where))
    if type(settings) is not dict:
        return settings
    kept = {}
    for name, value in settings.items():
        if type(value) in (dict, Namespace):
            kept[name] = _of_model(value, f"{where}.{name}")
            continue
        texts = list(_strings(value))
        if any(PATH.fullmatch(text) and not _is_number(text) for text in texts):
            continue
        if texts and FILE_SETTING.search(str(name)):
            continue
        code = next((text for text in texts if not is_harmless(text)), None)
        if code is None:
            kept[name] = value
        elif name not in _settings_of_runs():
            raise InputError(
                f"{where}.{name} is {code[:80]!r}, which fairseq would run as code; take the "
                "checkpoint from a source that you trust"
            )
    return kept


def is_harmless(text: str) -> bool:
    """Whether ``eval(text)`` fails, or makes nothing but numbers, strings, lists and the like."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text.lstrip(" \t"), mode="eval")  # eval strips these, too
    except (SyntaxError, ValueError):
        return True
    except (MemoryError, RecursionError):
        return False
    nodes = list(ast.walk(tree))
    inner = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return all(isinstance(node, HARMLESS) for node in nodes) and all(
        is_harmless(value) for value in inner if isinstance(value, str)
    )


def _strings(value: Any) -> Iterator[str]:
    if type(value) is str:
        yield value
    elif type(value) in (list, tuple, dict):
        for part in value.values() if type(value) is dict else value:
            yield from _strings(part)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _settings_of_runs() -> set[str]:
    """What is no model's, though the namespace of a model holds it, too."""
    sections = [field.type for field in fields(FairseqConfig)]
    sections += TASK_DATACLASS_REGISTRY.values()
    for registry in REGISTRIES.values():
        sections += registry["dataclass_registry"].values()
    return {field.name for kind in sections if is_dataclass(kind) for field in fields(kind)}
