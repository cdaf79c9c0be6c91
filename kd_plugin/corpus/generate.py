"""``fairseq-kd generate``: the teacher's K best translations of every sentence of a subset."""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import fairseq
import torch
from tqdm import tqdm

from ..commands.flags import (
    add_data_flags,
    add_teacher_flags,
    add_work_flags,
    declare,
    require_positive,
)
from ..data.subset import fingerprint_of_sources, read_subset
from ..errors import InputError
from ..files.blocks import BlockWriter
from ..files.shards import is_finished, parse_shard, shard_path, shard_rows, subset_name
from ..files.whole import sha256
from ..host.device import device_of
from ..tasks.distillation import DistillationTask, TeacherConfig
from ..teachers.checkpoints import load_teacher
from ..version import versions
from .decoding import Decoder
from .records import ENDING, Record, pack, unpack

SEARCH = ("beam", "nbest", "lenpen", "max_len_a", "max_len_b", "max_tokens", "fp16", "block_size")
NEIGHBOURS = [flag for flag in fields(TeacherConfig) if flag.name.startswith("knnmt_")]
EXAMPLE = """  fairseq-kd generate data --path T.pt --beam 5 --nbest 5 --output corpus
  on the first of four GPUs or machines: ... --shard 0/4 --fp16"""


def add_command(commands: Any) -> None:
    """Register the command."""
    parser = declare(
        commands,
        "generate",
        "translate a subset with a teacher: K best, nothing dropped",
        __doc__,
        EXAMPLE,
    )
    add = parser.add_argument
    add_data_flags(parser, "its target side is not read", subset="train")
    add_teacher_flags(parser)
    add("--output", required=True, type=Path, help="folder of the corpus; run again to resume")
    add("--beam", type=int, default=5, help="(default: %(default)s)")
    add("--nbest", type=int, default=1, help="hypotheses to keep (default: %(default)s)")
    add("--lenpen", type=float, default=1.0, help="(default: %(default)s)")
    add("--max-len-a", type=float, default=0.0, help="at most a * source length + b tokens ...")
    add("--max-len-b", type=int, default=200, help="... (default: fairseq's, 0 and 200)")
    add("--max-tokens", type=int, default=4000, help="source tokens in a batch (default: 4000)")
    for flag in NEIGHBOURS:
        kind = str if flag.default is None else type(flag.default)
        about = flag.metadata["help"] + ("" if flag.default is None else " (default: %(default)s)")
        add("--" + flag.name.replace("_", "-"), type=kind, default=flag.default, help=about)
    add_work_flags(parser)
    parser.set_defaults(run=generate)


def generate(given: argparse.Namespace) -> None:
    """Write one shard of a teacher corpus, or go on with it; see :mod:`.records` for the format."""
    shard, shards = _check(given)
    device = device_of(given)
    task = DistillationTask.of_data(given.data, given.source_lang, given.target_lang)
    pairs = read_subset(task, given.data, given.subset)
    rows = shard_rows(len(pairs), shard, shards)
    path = shard_path(given.output, subset_name(task, given.subset), shard, shards, ENDING)
    teacher = load_teacher(given.path, task, given.teacher_data, flag="--path")
    settings = {
        "format": 1,
        "subset": given.subset,
        "languages": [task.cfg.source_lang, task.cfg.target_lang],
        "sentences": len(pairs),
        "source_sha256": fingerprint_of_sources(pairs),
        "dictionary_sha256": task.state.dictionary_sha256,
        "teacher_sha256": teacher.files,
        "search": {field: getattr(given, field) for field in SEARCH},
        "device": device.type,
        "versions": versions(fairseq, torch),
        "shard": f"{shard}/{shards}",
        "rows": [rows.start, rows.stop],
    }
    if given.knnmt_datastore:
        settings["knnmt"] = _neighbours(given, task)
    if is_finished(path, settings):
        print(f"{path} is complete: nothing to do")
        return
    work = _Work(task, pairs, rows, teacher.max_positions()[0])
    decoder = Decoder(task, teacher.models, given, device)
    with BlockWriter(path, settings) as writer:
        _write_blocks(writer, work, decoder, given.block_size)
        counts = sum((Counter(note) for note in writer.notes), Counter[str]())
        digest = hashlib.sha256()
        for block in writer.blocks():
            digest.update(block)
        writer.finish({"settings": settings, "counts": dict(counts), "sha256": digest.hexdigest()})
    print(f"{path}: " + ", ".join(f"{key} {value}" for key, value in sorted(counts.items())))


def _neighbours(given: argparse.Namespace, task: Any) -> dict[str, Any]:
    """Have the task translate with neighbours; what the manifest says of them."""
    told = {flag.name.removeprefix("knnmt_"): getattr(given, flag.name) for flag in NEIGHBOURS}
    for name, value in told.items():
        setattr(task.cfg, f"knnmt_{name}", value)
    listed = Path(told.pop("datastore")) / "index.json"
    return {**told, "index_sha256": sha256(listed) if listed.is_file() else None}


def _check(given: argparse.Namespace) -> tuple[int, int]:
    shard, shards = parse_shard(given.shard)
    require_positive(given, "beam", "nbest", "max_len_b", "max_tokens", "block_size")
    if given.nbest > given.beam:
        raise InputError(
            f"--nbest {given.nbest} is more than a --beam of {given.beam} finds; raise --beam"
        )
    return shard, shards


class _Work:
    """Which sentences are decoded, which repeat an earlier one, and which cannot be decoded."""

    def __init__(self, task: Any, pairs: Any, rows: range, positions: float):
        self.task, self.pairs, self.rows, self.positions = task, pairs, rows, positions
        firsts: dict[bytes, int] = {}
        self.same_as: dict[int, int] = {}
        for row in rows:
            source = hashlib.blake2b(pairs.src[row].numpy().tobytes(), digest_size=12).digest()
            first = firsts.setdefault(source, row)
            if first != row:
                self.same_as[row] = first
        self.repeated = set(self.same_as.values())
        self.kept: dict[int, list[Record]] = {}  # hypotheses of sentences that will be repeated

    def reason(self, row: int) -> str | None:
        """Why a sentence cannot be decoded."""
        size = int(self.pairs.src_sizes[row])
        if size <= 1:  # the end of sentence alone
            return "empty"
        if size > self.positions:
            return f"{size} tokens, and the teacher reads at most {int(self.positions)}"
        return None

    def to_decode(self, rows: Sequence[int]) -> list[int]:
        return [row for row in rows if row not in self.same_as and self.reason(row) is None]

    def record(self, row: int, found: dict[int, list[Record]]) -> Record:
        """The line of a sentence; hypotheses that are needed again are kept."""
        reason = self.reason(row)
        if reason is not None:
            return {"id": row, "hypotheses": [], "reason": reason}
        first = self.same_as.get(row)
        hypotheses = found[row] if first is None else self.kept[first]
        self.keep(row, hypotheses)
        record: Record = {"id": row, "hypotheses": hypotheses}
        if not hypotheses:
            record["reason"] = "scores not finite"
        return record if first is None else {**record, "same_as": first}

    def keep(self, row: int, hypotheses: list[Record]) -> None:
        if row in self.repeated:
            self.kept[row] = hypotheses

    def note(self, record: Record) -> Iterator[str]:
        """What the manifest counts."""
        if not record["hypotheses"]:
            short = record["reason"] if "tokens" not in record["reason"] else "too long"
            yield f"undecoded: {short}"
            return
        best = record["hypotheses"][0]
        yield "repeated sources" if "same_as" in record else "decoded"
        if any(h["score"] is None for h in record["hypotheses"]):
            yield "scores not finite"
        if "capped" in best:
            yield "best at the length limit"
        if is_repetitive(best["tokens"]):
            yield "best repetitive"
        if best["text"] == self.task.src_dict.string(self.pairs.src[record["id"]]):
            yield "best copies its source"


def is_repetitive(tokens: Sequence[int], longest: int = 4, times: int = 4) -> bool:
    """Whether some 1 to ``longest`` tokens stand ``times`` in a row (a definition of ours)."""
    for n in range(1, longest + 1):
        run = 0
        for i in range(n, len(tokens)):
            run = run + 1 if tokens[i] == tokens[i - n] else 0
            if run >= n * (times - 1):
                return True
    return False


def _write_blocks(writer: BlockWriter, work: _Work, decoder: Decoder, size: int) -> None:
    done = len(writer.notes)
    if work.repeated:
        for block in writer.blocks():
            for record in unpack(block):
                work.keep(record["id"], record["hypotheses"])
    starts = range(work.rows.start, work.rows.stop, size)
    tokens = 0
    with tqdm(total=len(work.rows), initial=min(done * size, len(work.rows)), unit="sent") as bar:
        for start in starts[done:]:
            rows = range(start, min(start + size, work.rows.stop))
            found = decoder.decode(work.pairs, work.to_decode(rows))
            records = [work.record(row, found) for row in rows]
            note = Counter(key for record in records for key in work.note(record))
            writer.write(pack(records), note)
            tokens += sum(len(h["tokens"]) for best in found.values() for h in best[:1])
            bar.update(len(rows))
            bar.set_postfix_str(f"{tokens / max(bar.format_dict['elapsed'], 1e-9):.0f} tokens/s")
