"""``fairseq-kd generate``: the teacher's K best translations of every sentence of a subset.

Beam search (--beam; 1 is greedy), diverse beam search (--diverse-beam-groups), or samples
(--sampling): --nbest of them, drawn from the whole distribution, from the k likeliest tokens
(--sampling-topk), from the nucleus (--sampling-topp) or from the tokens of some probability
(--sampling-epsilon). A sample depends on --seed and its sentence alone. Scores are the model's
log-probabilities in all of these.

--teacher-forcing writes no translation but text to train on: the likeliest word at every prefix of
the reference. binarise and mix take it; what wants a translation refuses it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.names import COMPUTE_TYPES, ENGINES
from ..files.shards import parse_shard
from ..host.ranges import Range, require, spelled
from .flags import (
    add_data_flags,
    add_device_flags,
    add_search_flags,
    add_teacher_flags,
    add_work_flags,
    declare,
    require_positive,
    require_search,
    set_neighbours,
)

EXAMPLE = """  fairseq-kd generate data --path T.pt --beam 5 --nbest 5 --output corpus
  fairseq-kd generate data --path T.pt --sampling --sampling-epsilon 0.02 --nbest 8 --output samples
  on the first of four GPUs or machines: ... --shard 0/4 --fp16"""

# What a sample is drawn from, and which numbers that takes.
TRUNCATIONS = {
    "sampling_topk": Range(1, 1 << 32),
    "sampling_topp": Range(0.000001, 1),
    "sampling_epsilon": Range(0, 1, below=True),
}

# The flags of searches, and what they are where they are not given.
SEARCHES = {
    "beam": None, "nbest": 1, "lenpen": 1.0, "max_len_a": 0.0, "max_len_b": 200,
    "diverse_beam_groups": None, "diverse_beam_strength": None, "sampling": False,
    **dict.fromkeys(TRUNCATIONS), "seed": None, "knnmt_datastore": None,
}  # fmt: skip


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "translate a subset with a teacher: K best, nothing dropped"
    parser = declare(commands, "generate", summary, __doc__, EXAMPLE, run)
    add = parser.add_argument
    about = "its target side is not read, but with --teacher-forcing"
    add_data_flags(parser, about, subset="train")
    add_teacher_flags(parser)
    add("--output", required=True, type=Path, help="folder of the corpus; run again to resume")
    add("--beam", type=int, help="(default: 5); 1 is greedy")
    add("--nbest", type=int, default=1, help="hypotheses, or samples (default: %(default)s)")
    add("--diverse-beam-groups", type=int, metavar="G", help="that keep away from each other")
    about = "penalty of a token that another group has (default: 0.5)"
    add("--diverse-beam-strength", type=float, metavar="S", help=about)
    add("--sampling", action="store_true", help="draw --nbest translations; no beam")
    add("--sampling-topk", type=int, metavar="K", help="... of the K likeliest tokens")
    add("--sampling-topp", type=float, metavar="P", help="... of the likeliest, P in all")
    add("--sampling-epsilon", type=float, metavar="E", help="... of tokens not less probable")
    add("--seed", type=int, help="of --sampling (default: 1)")
    about = "the likeliest word at each prefix of the reference; no translation"
    add("--teacher-forcing", action="store_true", help=about)
    add_search_flags(parser)
    about = "whose search (default: CTranslate2's where it can, else fairseq's); docs/corpora.md"
    add("--engine", choices=ENGINES, default="auto", help=about)
    about = "of CTranslate2's weights; int8 is faster and translates otherwise (default: float32)"
    add("--compute-type", choices=COMPUTE_TYPES, default="float32", help=about)
    add_work_flags(parser)
    add_device_flags(parser)


def run(given: argparse.Namespace) -> None:
    """Write one shard of the corpus, or go on with it, and print what it holds."""
    shard, shards = parse_shard(given.shard)
    require_positive(given, "nbest", "block_size")
    require_search(given)
    if given.teacher_forcing:
        chosen = _forcing(given)
    else:
        chosen = _sampling(given) if given.sampling else _beams(given)
    from ..corpus.decoding import Search
    from ..corpus.engines import Engine
    from ..corpus.generate import generate
    from ..host.device import device_of
    from ..tasks.distillation import DistillationTask
    from ..teachers.checkpoints import load_teacher

    device = device_of(given.fp16, given.cpu)
    task = DistillationTask.of_data(given.data, given.source_lang, given.target_lang)
    set_neighbours(task.cfg, given)
    teacher = load_teacher(given.path, task, given.teacher_data, flag="--path")
    search = Search(
        nbest=given.nbest, lenpen=given.lenpen, max_len_a=given.max_len_a,
        max_len_b=given.max_len_b, max_tokens=given.max_tokens, fp16=given.fp16,
        block_size=given.block_size, **chosen,
    )  # fmt: skip
    engine = Engine(given.engine, given.compute_type)
    print(
        generate(task, teacher, search, given.output, given.subset, device, shard, shards, engine)
    )


def _beams(given: argparse.Namespace) -> dict[str, Any]:
    """The fields of a beam search.

    Raises:
        InputError: a flag of another search is given, or the numbers do not fit each other.
    """
    for name in (*TRUNCATIONS, "seed"):
        if (value := getattr(given, name)) is not None:
            flag = f"{spelled(name)} {value}"
            raise InputError(f"{flag} is of samples; add --sampling, or leave it out")
    given.beam = beam = 5 if given.beam is None else given.beam
    require_positive(given, "beam")
    if given.nbest > beam:
        raise InputError(
            f"--nbest {given.nbest} is more than a --beam of {beam} finds; raise --beam"
        )
    groups, strength = given.diverse_beam_groups, given.diverse_beam_strength
    if groups is None:
        if strength is not None:
            raise InputError(
                f"--diverse-beam-strength {strength} is of groups; add --diverse-beam-groups"
            )
        return {"beam": beam}
    require("--diverse-beam-groups", groups, Range(2, 1 << 16))
    require("--diverse-beam-strength", strength, Range(0, 1000), 0.5)
    if beam % groups:
        raise InputError(
            f"--diverse-beam-groups {groups} does not divide --beam {beam}; give a --beam of "
            f"{groups}, {2 * groups}, ..."
        )
    strength = 0.5 if strength is None else strength
    return {"beam": beam, "diverse_beam_groups": groups, "diverse_beam_strength": strength}


def _sampling(given: argparse.Namespace) -> dict[str, Any]:
    """The fields of a search that draws.

    Raises:
        InputError: a flag of another search is given, or several rules.
    """
    if given.beam not in (None, given.nbest):
        raise InputError(
            f"--beam {given.beam} with --sampling: a sample has no beam; say with --nbest how many "
            "samples a sentence has"
        )
    for name in ("diverse_beam_groups", "diverse_beam_strength"):
        if (value := getattr(given, name)) is not None:
            flag = f"{spelled(name)} {value}"
            raise InputError(f"{flag} and --sampling are two searches; give one")
    rules = {name: value for name in TRUNCATIONS if (value := getattr(given, name)) is not None}
    if len(rules) > 1:
        flags = " and ".join(f"{spelled(n)} {v}" for n, v in rules.items())
        raise InputError(f"{flags} are two rules of what is drawn from; give one")
    for name, value in rules.items():
        require(spelled(name), value, TRUNCATIONS[name])
    seed = 1 if given.seed is None else given.seed
    return {"beam": given.nbest, "sampling": True, "seed": seed, **rules}


def _forcing(given: argparse.Namespace) -> dict[str, Any]:
    """The fields of teacher forcing, which searches nothing.

    Raises:
        InputError: a flag of a search is given.
    """
    for name, usual in SEARCHES.items():
        if (value := getattr(given, name)) != usual:
            flag = spelled(name) + ("" if value is True else f" {value}")
            raise InputError(
                f"{flag} is of a search, and --teacher-forcing reads the references; give one of "
                "the two"
            )
    return {"teacher_forcing": True}
