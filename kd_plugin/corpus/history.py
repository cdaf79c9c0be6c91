"""The chain of commands that made a corpus, told from the last manifest alone."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .derived import essentials
from .records import corpus_name, find_corpus

DATA_FIRST = ("import", "filter")  # commands to which DATA is no flag


def history(
    folder: Path, subset: str, source: str | None = None, target: str | None = None
) -> list[str]:
    """Lines of a shell script that would make the corpus again: a comment and a command a step.

    Corpora are numbered in the order in which they are made. What the manifests do not name is in
    capitals, with its sha256 in the comment.

    Raises:
        InputError: the corpus is not whole.
    """
    shards = find_corpus(folder, corpus_name(folder, subset, source, target), any_text=True)
    lines: list[str] = []
    _tell(essentials(shards), {}, lines)
    return lines


def _tell(step: Mapping[str, Any], known: dict[str, str], lines: list[str]) -> str:
    """Add the commands of a step's inputs and its own; returns what the corpus is called."""
    key = " ".join(step["sha256"])
    if key in known:
        return known[key]
    inputs = [_tell(one, known, lines) for one in step["inputs"]]
    settings, names = step["settings"], step["names"]
    called = f"corpus{len(known) + 1}"
    shards = len(step["sha256"])
    which = f"shard 0 of {shards} (give --shard for each)" if shards > 1 else "one shard"
    version = settings.get("versions", {}).get("kd-plugin", "unknown")
    lines.append(
        f"# {called}: {settings['sentences']} sentences, {which}, sha256 {step['sha256'][0]}, "
        f"kd-plugin {version}"
    )
    command, reads = settings.get("command", "generate"), settings.get("reads", {})
    if command == "generate":
        teachers = enumerate(settings.get("teacher_sha256", []), 1)
        reads = {"data": settings["source_sha256"]}
        reads |= {f"teacher{number}.pt": digest for number, digest in teachers}
    named = {flag: str(names.get(flag, flag.upper())) for flag in reads}
    lines += [f"#   {named[flag]}: sha256 {digest}" for flag, digest in reads.items()]
    words = ["fairseq-kd", command, *inputs]
    if command == "generate":
        words += [named.pop("data"), "--path", ":".join(named.values())]
        words += _flags(settings.get("search", {}))
        words += _flags({f"knnmt_{k}": v for k, v in settings.get("knnmt", {}).items()})
        words += _flags({"engine": settings.get("engine")})
        compute = settings.get("engine_compute_type", "")
        words += _flags({"compute_type": compute.split("_")[0] if "_" in compute else None})
        words += ["--cpu"] if settings.get("device") == "cpu" else []
    elif command == "fold":
        words = ["fairseq-kd", command, named.pop("data"), "--corpora", *inputs]
        words += ["--trained-on", *named.values()]
        words += _flags({"block_size": settings["block_size"]})
    else:
        words += [named.pop("data")] if command in DATA_FIRST and "data" in named else []
        words += _flags({**named, **settings["flags"], "block_size": settings["block_size"]})
    source, target = settings.get("languages", (None, None))
    words += _flags({"subset": settings.get("subset"), "source_lang": source})
    words += _flags({"target_lang": target, "output": called})
    lines.append(shlex.join(words))
    known[key] = called
    return called


def _flags(values: Mapping[str, Any]) -> list[str]:
    """A command line's flags; those that are off or not given are left out."""
    words = []
    for name, value in values.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif value is not None and value is not False and flag != "--knnmt-index-sha256":
            words += [flag, str(value)]
    return words
