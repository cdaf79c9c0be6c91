"""A teacher's K best translations of every sentence of a subset, in order."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fairseq
import torch

from ..data.subset import fingerprint, fingerprint_of_sources, read_subset
from ..errors import InputError
from ..files.blocks import UNSAID, BlockWriter, begun_with
from ..files.progress import Progress
from ..files.shards import is_finished, shard_path, shard_rows, subset_name
from ..files.whole import sha256
from ..teachers.live import LiveTeacher
from ..version import versions
from .decoding import Found, Search, text_of
from .engines import Engine, decoder_of, modules_of, settle
from .origin import origin_of
from .records import ENDING, FORCED, Record, pack, unpack


def generate(
    task: Any,
    teacher: LiveTeacher,
    search: Search,
    output: Path,
    subset: str = "train",
    device: torch.device | None = None,
    shard: int = 0,
    shards: int = 1,
    engine: Engine | None = None,
) -> str:
    """Write one shard of a teacher corpus, or go on with it; see :mod:`.records` for the format.

    Args:
        task: of the binarised corpus; with ``knnmt_datastore`` the teacher translates with it.
        teacher: one or several models.
        search: how it translates.
        output: folder of the corpus.
        subset: which subset's sources are translated.
        device: where it computes (default: the CPU).
        shard: of which this is one of ``shards``, from 0.
        engine: whose search it is (default: ``auto``).

    Returns:
        The file and what it holds, in a line.

    Raises:
        InputError: another process writes it, it was begun with other settings; no room; there are
            no references for teacher forcing.
    """
    device = device or torch.device("cpu")
    pairs = read_subset(task, task.cfg.data, subset)
    forced = search.teacher_forcing
    if forced and pairs.tgt is None:
        raise InputError(
            f"--teacher-forcing reads the references, and {task.cfg.data} has none of {subset}; "
            "name a data folder with targets"
        )
    rows = shard_rows(len(pairs), shard, shards)
    path = shard_path(output, subset_name(task, subset), shard, shards, ENDING)
    chosen = settle(engine or Engine(), task, teacher, search, device, begun_with(path))
    settings = {
        "format": 1,
        "kind": FORCED if forced else UNSAID["kind"],
        "subset": subset,
        "languages": [task.cfg.source_lang, task.cfg.target_lang],
        "sentences": len(pairs),
        "source_sha256": fingerprint_of_sources(pairs),
        "dictionary_sha256": task.state.dictionary_sha256,
        "teacher_sha256": teacher.files,
        "search": search.told(),
        **chosen,
        "device": device.type,
        "versions": versions(fairseq, torch, *modules_of(chosen)),
        "shard": f"{shard}/{shards}",
        "rows": [rows.start, rows.stop],
    }
    if forced:
        settings["target_sha256"] = fingerprint(pairs.tgt, pairs.tgt_sizes)
    if task.cfg.knnmt_datastore:
        settings["knnmt"] = _neighbours(task.cfg)
    if is_finished(path, settings):
        return f"{path} is complete: nothing to do"
    work = Work(task, pairs, rows, teacher, search)
    decoder = decoder_of(chosen, task, teacher, search, device)
    with BlockWriter(path, settings) as writer:
        write_blocks(writer, work, decoder, search.block_size)
        counts = sum((Counter(note) for note in writer.notes), Counter[str]())
        manifest = {"settings": settings, "counts": dict(counts), "sha256": writer.sha256()}
        writer.finish({**manifest, "data": origin_of(Path(task.cfg.data), [pairs])})
    return f"{path}: " + ", ".join(f"{key} {value}" for key, value in sorted(counts.items()))


def _neighbours(cfg: Any) -> dict[str, Any]:
    """What the manifest says of a translation with neighbours."""
    listed = Path(cfg.knnmt_datastore) / "index.json"
    told = {name: getattr(cfg, f"knnmt_{name}") for name in ("k", "lambda", "temperature")}
    return {**told, "index_sha256": sha256(listed) if listed.is_file() else None}


class Work:
    """Which sentences are decoded, which repeat an earlier one, and which cannot be decoded."""

    def __init__(self, task: Any, pairs: Any, rows: range, teacher: LiveTeacher, search: Search):
        self.task, self.pairs, self.rows = task, pairs, rows
        self.forced = search.teacher_forcing
        self.positions = teacher.max_positions()
        firsts: dict[bytes, int] = {}
        self.same_as: dict[int, int] = {}
        own = search.sampling or self.forced  # each sentence has, whatever stands before it
        for row in rows if not own else ():
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
        if size > self.positions[0]:
            return f"{size} tokens, and the teacher reads at most {int(self.positions[0])}"
        size = int(self.pairs.tgt_sizes[row]) if self.forced else 0
        if size > self.positions[1]:
            most = int(self.positions[1])
            return f"reference of {size} tokens, and the teacher reads at most {most}"
        return None

    def to_decode(self, rows: Sequence[int]) -> list[int]:
        return [row for row in rows if row not in self.same_as and self.reason(row) is None]

    def record(self, row: int, found: Found) -> Record:
        """The line of a sentence; hypotheses that are needed again are kept."""
        reason = self.reason(row)
        if reason is not None:
            return {"id": row, "hypotheses": [], "reason": reason}
        first = self.same_as.get(row)
        hypotheses = found[row] if first is None else self.kept[first]
        self.keep(row, hypotheses)
        record: Record = {"id": row, "hypotheses": hypotheses}
        if not hypotheses:
            record["reason"] = "no word" if self.forced else "scores not finite"
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
        if self.copies(record["id"], best):
            yield "best copies its source"

    def copies(self, row: int, hypothesis: Record) -> bool:
        if self.pairs.src_sizes[row] != len(hypothesis["tokens"]):
            return False
        source = self.pairs.src[row].tolist()
        return bool(text_of(self.task.src_dict, source) == hypothesis["text"])

    def block(self, rows: Sequence[int], found: Found) -> tuple[bytes, Counter[str]]:
        """The compressed lines of ``rows``, and what the manifest counts of them."""
        records = [self.record(row, found) for row in rows]
        return pack(records), Counter(key for record in records for key in self.note(record))


def is_repetitive(tokens: Sequence[int], longest: int = 4, times: int = 4) -> bool:
    """Whether some 1 to ``longest`` tokens stand ``times`` in a row (a definition of ours)."""
    if len(tokens) - len(set(tokens)) < times - 1:
        return False  # as most
    for n in range(1, longest + 1):
        run = 0
        for i in range(n, len(tokens)):
            run = run + 1 if tokens[i] == tokens[i - n] else 0
            if run >= n * (times - 1):
                return True
    return False


def _write(writer: BlockWriter, work: Work, rows: range, found: Found) -> None:
    writer.write(*work.block(rows, found))


def write_blocks(writer: BlockWriter, work: Work, decoder: Any, size: int) -> None:
    """All that is not written yet, in blocks of ``size`` sentences."""
    done = len(writer.notes)
    if work.repeated:
        for block in writer.blocks():
            for record in unpack(block):
                work.keep(record["id"], record["hypotheses"])
    starts = range(work.rows.start, work.rows.stop, size)
    progress = Progress(len(work.rows), min(done * size, len(work.rows)))
    with ThreadPoolExecutor(1) as behind:  # a block is packed while the next one is decoded
        writing = behind.submit(lambda: None)
        for start in starts[done:]:
            rows = range(start, min(start + size, work.rows.stop))
            wanted = work.to_decode(rows)
            progress.add(len(rows) - len(wanted))
            found = decoder.decode(work.pairs, wanted, progress.add)
            writing.result()
            writing = behind.submit(_write, writer, work, rows, found)
        writing.result()
    progress.close()
