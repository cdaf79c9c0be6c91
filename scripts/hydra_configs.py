"""Write configs/hydra from configs/methods: ``python scripts/hydra_configs.py [--check]``.

A file for each method, complete for fairseq-hydra-train: what its flags set that is not fairseq's
default, in fairseq's groups. fairseq's Hydra knows no architecture names, so that the sizes of an
architecture are written out.
"""

from __future__ import annotations

import dataclasses
import sys
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from fairseq import options
from fairseq.dataclass.configs import FairseqConfig
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.models.transformer.transformer_config import TransformerConfig
from fairseq.registry import REGISTRIES
from omegaconf import OmegaConf

import kd_plugin  # noqa: F401  registers the methods
from kd_plugin.tables.locate import flags_of

ROOT = Path(__file__).parent.parent
METHODS = ROOT / "configs" / "methods"
HYDRA = ROOT / "configs" / "hydra"
PLAIN = ("common", "optimization", "dataset", "checkpoint", "distributed_training")
CHOSEN = ("criterion", "optimizer", "lr_scheduler")
NOT_OURS = {"user_dir", "save_dir", "no_progress_bar"}


def flags_in(path: Path) -> list[str]:
    """The flags of a method's file."""
    return flags_of(path.read_text("utf-8").splitlines())


def plain(value: Any) -> Any:
    """A value as YAML has it."""
    if isinstance(value, Enum):
        return value.value
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def made(default: Any) -> Any:
    """A default that is a class stands for its object."""
    return default() if isinstance(default, type) else default


def changed(ours: Any, schema: Any) -> dict[str, Any]:
    """Fields of a configuration that differ from their defaults, at every depth."""
    found = {}
    for field in dataclasses.fields(schema):
        if field.name.startswith("_") or field.name in NOT_OURS:
            continue
        value, default = getattr(ours, field.name, None), made(getattr(schema, field.name))
        if isinstance(default, str) and default.startswith("${"):
            continue  # taken from another group
        if dataclasses.is_dataclass(default):
            if deeper := changed(value, default):
                found[field.name] = deeper
        elif plain(value) != plain(default) and value is not None:
            found[field.name] = plain(value)
    return found


def body(path: Path) -> dict[str, Any]:
    """The groups of a method's file."""
    words = ["DATA", "--user-dir", str(ROOT / "kd_plugin"), "--task", "distillation"]
    args = options.parse_args_and_arch(
        options.get_training_parser(), input_args=[*words, *flags_in(path)]
    )
    cfg, defaults = convert_namespace_to_omegaconf(args), FairseqConfig()
    groups: dict[str, Any] = {"common": {"user_dir": "???"}}
    for name in PLAIN:
        groups.setdefault(name, {}).update(changed(cfg[name], made(getattr(defaults, name))))
    groups["task"] = {"_name": "distillation", "data": "???"}
    for name in CHOSEN:
        kind = cfg[name]._name
        schema = REGISTRIES[name]["dataclass_registry"][kind]()
        groups[name] = {"_name": kind, **changed(cfg[name], schema)}
    groups["model"] = {
        "_name": "transformer",
        **changed(TransformerConfig.from_namespace(args), TransformerConfig()),
    }
    return {name: values for name, values in groups.items() if values}


def text_of(path: Path) -> str:
    head = (
        "# @package _global_\n"
        f"# Made of configs/methods/{path.name} by scripts/hydra_configs.py; change that file.\n"
        "# Needs on the command line: common.user_dir=$(fairseq-kd user-dir) task.data=DATA (both\n"
        "# absolute), and a teacher's flags, such as +task.teacher_path=TEACHER.\n"
    )
    return head + yaml.safe_dump(body(path), sort_keys=False, default_flow_style=None, width=100)


def main() -> None:
    """Write the files, or check them."""
    check = "--check" in sys.argv
    HYDRA.mkdir(exist_ok=True)
    names = set()
    for path in sorted(METHODS.glob("*.args")):
        if "--criterion" not in flags_in(path):
            continue  # flags of decoding
        file = HYDRA / f"{path.stem}.yaml"
        names.add(file.name)
        text = text_of(path)
        if check and (not file.exists() or file.read_text("utf-8") != text):
            sys.exit(f"{file} is not made of {path}; run python scripts/hydra_configs.py")
        if not check:
            file.write_text(text, "utf-8")
    for file in HYDRA.glob("*.yaml"):
        if file.name not in names:
            sys.exit(f"{file} belongs to no file of configs/methods; remove it")


if __name__ == "__main__":
    main()
