"""The chain of commands that made a corpus or a data folder, told from the last one alone."""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..host.ranges import spelled
from .derived import essentials
from .origin import NAME, Step, step_of
from .records import corpus_name, find_corpus

DATA_FIRST = ("import", "filter")  # commands of a corpus to which DATA is no flag
PLACES = {  # commands of a folder: what stands where; mix names its inputs in --part
    "binarise": ("input", "data"), "describe": ("data", "input"),
}  # fmt: skip


def history(
    folder: Path, subset: str, source: str | None = None, target: str | None = None
) -> list[str]:
    """Lines of a shell script that would make it again: comments and a command a step.

    Corpora and data folders are numbered in the order in which they are made. What is not known by
    name is in capitals, with its sha256 in the comment.

    Raises:
        InputError: the corpus is not whole, or no command of ours made the folder.
    """
    step = step_of(folder)
    if step is not None:
        chain = _Chain(step)
        chain.folder({"folder": str(folder), "history": step})
    elif any(folder.glob("dict.*.txt")):
        raise InputError(
            f"{folder} is a data folder without {NAME}: no command of this version made it; name "
            "one that binarise, mix, noise, fold or sources made, or a corpus"
        )
    else:
        name = corpus_name(folder, subset, source, target)
        step = essentials(find_corpus(folder, name, any_text=True))
        chain = _Chain(step)
        chain.learn_names(step)
        chain.corpus(step)
    return chain.lines


class _Chain:
    """Adds the commands of each step behind those of what it reads, each once."""

    def __init__(self, last: Step) -> None:
        self.lines: list[str] = []
        self._taken = {*_names(last)}  # what files and folders that were there are called
        self._known: dict[str, str] = {}  # what each step is called
        self._by_sources: dict[str, str] = {}  # data folders, by the hash of their sources
        self._teachers: dict[str, str] = {}  # by their hash

    def learn_names(self, step: Mapping[str, Any]) -> None:
        """The names that steps of a corpus's chain give the data they read; the latest counts."""
        digest, name = step["settings"].get("reads", {}).get("data"), step["names"].get("data")
        if digest and name:
            self._by_sources.setdefault(digest, str(name))
        for one in step["inputs"]:
            self.learn_names(one)

    def _call(self, key: str, kind: str) -> str:
        names = (f"{kind}{number}" for number in itertools.count(1))
        name = next(name for name in names if name not in self._taken)
        self._taken.add(name)
        return self._known.setdefault(key, name)

    def _teacher(self, digest: str) -> str:
        return self._teachers.setdefault(digest, f"teacher{len(self._teachers) + 1}.pt")

    def _data(self, digest: str, name: Any) -> str:
        """A data folder of which only the sources are known, and perhaps what it was called."""
        unknown = sum(known.startswith("DATA") for known in self._by_sources.values())
        given = str(name) if name else f"DATA{unknown + 1 if unknown else ''}"
        return self._by_sources.setdefault(digest, given)

    def folder(self, origin: Mapping[str, Any]) -> str:
        """Tell of a data folder; returns what it is called."""
        step = origin["history"]
        key = json.dumps(step or origin, sort_keys=True)
        if key not in self._known:
            if step:
                self._make_folder(step, key)
            else:
                self._known[key] = origin["folder"]
                hashes = ", ".join(
                    f"{side} {digest}"
                    for side in ("sources", "targets")
                    for digest in origin.get(f"{side}_sha256", ())
                )
                self.lines.append(f"# {origin['folder']}: a data folder, sha256 of its {hashes}")
        for digest in origin.get("sources_sha256", ()):
            self._by_sources.setdefault(digest, self._known[key])
        return self._known[key]

    def _make_folder(self, step: Step, key: str) -> None:
        """Tell of a folder, and of the command that made it if that is not told yet."""
        whole = json.dumps({**step, "within": None, "pairs": None, "files": None}, sort_keys=True)
        within = step.get("within")
        if within is None or whole not in self._known:
            command = self._command(step, whole if within else key)
        else:
            command = None
        called = f"{self._known[whole]}/{within}" if within else self._known[key]
        self._known[key] = called
        version = step["versions"].get("kd-plugin", "unknown")
        self.lines.append(
            f"# {called}: a data folder of {step['pairs']} pairs, kd-plugin {version}"
        )
        self.lines += [f"#   {called}/{name}: sha256 {h}" for name, h in step["files"].items()]
        self.lines += command or []

    def _command(self, step: Step, key: str) -> list[str]:
        """The command that makes a folder, behind the files that it reads."""
        data = self.folder(step["data"]) if step["data"] else None
        inputs = [self.folder(o) if "folder" in o else self.corpus(o) for o in step["inputs"]]
        called = self._call(key, "data")
        named = {flag: str(step["names"].get(flag, flag.upper())) for flag in step["reads"]}
        lines = [f"#   {named[flag]}: sha256 {digest}" for flag, digest in step["reads"].items()]
        flags = {**step["flags"]}
        source, target = flags.pop("languages", (None, None))
        placed = [*PLACES.get(step["command"], ("data",))]
        words = ["fairseq-kd", step["command"]]
        words += filter(None, (data if place == "data" else inputs[0] for place in placed))
        for which, suffix in flags.pop("part", ()):
            words += ["--part", (which if isinstance(which, str) else inputs[which]) + suffix]
        out = "write_prefixes" if step["command"] == "describe" else "output"
        flags |= {**named, "source_lang": source, "target_lang": target, out: called}
        return [*lines, shlex.join([*words, *_flags(flags)])]

    def corpus(self, step: Mapping[str, Any]) -> str:
        """Tell of a corpus; returns what it is called."""
        key = " ".join(step["sha256"])
        if key in self._known:
            return self._known[key]
        data = self.folder(step["data"]) if step.get("data") else None
        folders = [self.folder(one) for one in step.get("folders", ())]
        inputs = [self.corpus(one) for one in step["inputs"]]
        settings, names = step["settings"], step["names"]
        called = self._call(key, "corpus")
        shards = len(step["sha256"])
        which = f"shard 0 of {shards} (give --shard for each)" if shards > 1 else "one shard"
        version = settings.get("versions", {}).get("kd-plugin", "unknown")
        self.lines.append(
            f"# {called}: {settings['sentences']} sentences, {which}, sha256 {step['sha256'][0]}, "
            f"kd-plugin {version}"
        )
        command, reads = settings.get("command", "generate"), settings.get("reads", {})
        if command == "generate":
            reads = {"data": settings["source_sha256"]}
            reads |= {self._teacher(one): one for one in settings.get("teacher_sha256", [])}
        named = {flag: str(names.get(flag, flag.upper())) for flag in reads}
        if "data" in named:
            named["data"] = data or self._data(reads["data"], names.get("data"))
        named |= {f"trained_on{number}": name for number, name in enumerate(folders, 1)}
        self.lines += [f"#   {named[flag]}: sha256 {digest}" for flag, digest in reads.items()]
        words = ["fairseq-kd", command, *inputs]
        if command == "generate":
            words += [named.pop("data"), "--path", ":".join(named.values())]
            words += _flags(settings.get("search", {}))
            words += _flags({f"knnmt_{k}": v for k, v in settings.get("knnmt", {}).items()})
            words += _engine(settings)
            words += ["--cpu"] if settings.get("device") == "cpu" else []
        elif command == "fold":
            words = ["fairseq-kd", command, named.pop("data"), "--corpora", *inputs]
            numbers = range(1, len(named) + 1)  # a manifest has 10 before 2
            words += ["--trained-on", *(named[f"trained_on{number}"] for number in numbers)]
            words += _flags({**settings["flags"], "block_size": settings["block_size"]})
        else:
            words += [named.pop("data")] if command in DATA_FIRST and "data" in named else []
            words += _flags({**named, **settings["flags"], "block_size": settings["block_size"]})
        source, target = settings.get("languages", (None, None))
        words += _flags({"subset": settings.get("subset"), "source_lang": source})
        words += _flags({"target_lang": target, "output": called})
        self.lines.append(shlex.join(words))
        return called


def _names(step: Any) -> Iterator[str]:
    """What each file and folder is called that a chain reads."""
    if isinstance(step, Mapping):
        for key, value in step.items():
            if key == "names":
                yield from value.values()
            elif key == "folder":
                yield value
            else:
                yield from _names(value)
    elif isinstance(step, list):
        for value in step:
            yield from _names(value)


def _engine(settings: Mapping[str, Any]) -> list[str]:
    compute = settings.get("engine_compute_type", "")  # such as float32, or int8_float32
    named = compute.split("_")[0] if "_" in compute else None
    return _flags({"engine": settings.get("engine"), "compute_type": named})


def _flags(values: Mapping[str, Any]) -> list[str]:
    """A command line's flags; those that are off or not given are left out."""
    return [word for name, value in values.items() for word in _flag(name, value)]


def _flag(name: str, value: Any) -> Iterator[str]:
    flag = spelled(name)
    if value is None or value is False or flag == "--knnmt-index-sha256":
        return
    yield flag
    if value is not True:
        yield ",".join(map(str, value)) if isinstance(value, list) else str(value)
