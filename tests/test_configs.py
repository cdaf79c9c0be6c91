"""Every file of configs/methods is read by fairseq as it stands."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fairseq import options
from fairseq.dataclass.configs import DatasetConfig, OptimizationConfig
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.models.transformer.transformer_config import TransformerConfig
from fairseq.registry import REGISTRIES
from omegaconf import OmegaConf

from kd_plugin.tables.locate import flags_of as read_flags

from . import support
from .support import distillation

ROOT = Path(__file__).parent.parent
HYDRA = sorted((ROOT / "configs" / "hydra").glob("*.yaml"))
FILES = sorted((ROOT / "configs" / "methods").glob("*.args"))


def flags_of(path: Path) -> list[str]:
    return read_flags(path.read_text().splitlines())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_method_file_sets_what_it_says(path: Path) -> None:
    flags = flags_of(path)
    command = ["data", "--arch", "transformer", *distillation(), *flags]
    parsed = options.parse_args_and_arch(options.get_training_parser(), input_args=command)
    for flag, value in itertools.pairwise(flags):
        if flag.startswith("--") and not value.startswith("--"):
            read = getattr(parsed, flag[2:].replace("-", "_"))
            read = read[0] if isinstance(read, list) else read
            assert str(read).replace(" ", "") == value or float(read) == float(value), flag


def test_the_papers_numbers() -> None:
    """k and T of Yang et al. (2022) for each data set; k, T and lambda of kNN-MT."""
    knn_kd = {"iwslt14": (64, 100), "iwslt15": (64, 100), "koran": (16, 100), "medical": (4, 10)}
    knn_kd["law"] = (4, 10)
    for name, numbers in knn_kd.items():
        flags = flags_of(ROOT / f"configs/methods/knn_kd-{name}.args")
        found = (flags[flags.index("--knn-k") + 1], flags[flags.index("--knn-temperature") + 1])
        assert tuple(map(float, found)) == numbers
        assert f"--k {numbers[0]} " in (ROOT / f"configs/methods/knn_kd-{name}.args").read_text()


def test_hydra_files_are_made_of_the_methods() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/hydra_configs.py", "--check"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-500:]
    criterions = {yaml.safe_load(file.read_text())["criterion"]["_name"] for file in HYDRA}
    assert criterions == set(support.METHODS)


@pytest.mark.parametrize("file", HYDRA, ids=lambda file: file.stem)
def test_a_hydra_file_says_what_the_flags_say(file: Path) -> None:
    """Over the defaults of each group it gives what fairseq makes of the method's flags."""
    flags = flags_of(ROOT / "configs" / "methods" / f"{file.stem}.args")
    words = ["data", *distillation(), *flags]
    args = options.parse_args_and_arch(options.get_training_parser(), input_args=words)
    wanted, body = convert_namespace_to_omegaconf(args), yaml.safe_load(file.read_text())
    for group in ("optimization", "dataset", "criterion", "optimizer", "lr_scheduler"):
        values = body.get(group, {})
        if group in REGISTRIES:
            schema = REGISTRIES[group]["dataclass_registry"][values["_name"]]
        else:
            schema = {"optimization": OptimizationConfig, "dataset": DatasetConfig}[group]
        composed = OmegaConf.merge(OmegaConf.structured(schema), values)
        for key, value in wanted[group].items():
            if not OmegaConf.is_interpolation(composed, key):
                assert composed[key] == value, (group, key)
    values = {key: value for key, value in body["model"].items() if key != "_name"}
    model = OmegaConf.merge(OmegaConf.structured(TransformerConfig), values)
    theirs = TransformerConfig.from_namespace(args)
    for side in ("encoder", "decoder"):
        for key in ("embed_dim", "ffn_embed_dim", "layers", "attention_heads", "normalize_before"):
            assert model[side][key] == getattr(getattr(theirs, side), key), (side, key)
    for key in ("dropout", "attention_dropout", "activation_dropout", "share_all_embeddings"):
        assert model[key] == getattr(theirs, key), key


def test_a_hydra_file_trains(data: Path, teacher: Path, tmp_path: Path) -> None:
    """With what must be given, and made small."""
    sides = {"encoder": ("layers=1", "embed_dim=16", "ffn_embed_dim=16")}
    sides["decoder"] = sides["encoder"]
    done = support.command(
        "fairseq-hydra-train", "--config-dir", ROOT / "configs" / "hydra",
        "--config-name", "word_kd", f"common.user_dir={ROOT / 'kd_plugin'}", f"task.data={data}",
        f"+task.teacher_path={teacher}", f"checkpoint.save_dir={tmp_path / 'save'}",
        "common.fp16=false", "common.cpu=true", "optimization.max_update=2",
        "dataset.num_workers=0", "model.share_all_embeddings=false",
        *(f"++model.{side}.{size}" for side, sizes in sides.items() for size in sizes),
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "signature: word_kd|nll:0.5|kd:0.5|" in done.stdout
    assert (tmp_path / "save" / "checkpoint_last.pt").exists()
