"""Steps that make text: the data set, its halves, its damage, and what the teacher writes."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from .flags import Flags, words
from .steps import ROOT, Command, Step
from .table import Corpus
from .taught import Lesson, taught
from .work import Teachers, Text, Work


def prepare(work: Work) -> Text:
    """Clean, cut and binarise, and damage; the references of all test sets in one file."""
    data, scale, origin = work.data, work.scale, work.data.origin
    after: tuple[Step, ...] = ()
    if data.cut:
        origin += ("--halves",)
    elif work.table.halves:
        if len(data.tests) < 2:
            raise InputError(
                f"{data.name} has one test set, and halves: true takes the last one for the second "
                "half; name both under tests"
            )
        after = (_halves(work),)
        origin = ("--from", f"{after[0].folder}/raw")
    pairs: tuple[str, ...] = ()
    if scale.train_pairs:
        pairs += ("--train-pairs", str(scale.train_pairs))
    if scale.limit:
        pairs += ("--limit", str(scale.limit))

    def commands(own: str) -> list[Command]:
        pooled = {"references": data.languages[1]}
        if work.tells_origlang:
            pooled["origlang"] = "origlang"
        script = f"{ROOT}/scripts/prepare_data.sh"
        made: list[Command] = [(script, data.word, f"{own}/data", *origin, *pairs)]
        for name, ending in pooled.items():
            files = [f"{own}/data/text/raw/{test}.{ending}" for test in work.tests]
            made.append((f"{ROOT}/scripts/pool.sh", f"{own}/{name}", *files))
        return made

    told: Any = dict(data.cfg)
    if data.text and not after:
        told = [told, data.text]
    step = work.add(
        "data", f"data: {data.name}", commands, after, told, share=20, hidden=data.place
    )
    return damaged(work, Text(f"{step.folder}/data/bin", step), work.table.noise, "all")


def _halves(work: Work) -> Step:
    """Two halves of the training set by source, of a data set that is half of another one."""
    data = work.data

    def commands(own: str) -> list[Command]:
        script = ("python", f"{ROOT}/scripts/halves.py", data.origin[-1], f"{own}/raw")
        return [(*script, "train", *data.languages)]

    told = data.text or None
    return work.add("halves", f"halves of {data.name}", commands, (), told, hidden=data.place)


def damaged(work: Work, text: Text, noise: Flags | None, whose: str) -> Text:
    """A training set with noise, where there is some."""
    if noise is None:
        return text
    flags = tuple(words(noise))

    def commands(own: str) -> list[Command]:
        return [("fairseq-kd", "noise", text.folder, *flags, "--output", f"{own}/bin")]

    step = work.add("noise", f"noise for {whose}", commands, (text.step,))
    return Text(f"{step.folder}/bin", step)


def corpus(work: Work, teachers: Teachers, recipe: Corpus, base: Text) -> Text:
    """A training set that a recipe makes of gold and teacher text.

    Raises:
        InputError: its parts cannot be joined.
    """
    plain = tuple(part for part in recipe.parts if not part.startswith("extra"))
    if not plain:
        raise InputError(
            f"corpora.{recipe.name} has the part extra alone; give it beside gold or teacher"
        )
    text = _joined(work, teachers, recipe, base, plain)
    if len(plain) == len(recipe.parts):
        return text
    return _with_extra(work, teachers, recipe, base, text)


def _named(recipe: Corpus, base: Text) -> str:
    """A recipe's name, and of which text it is where that is damaged."""
    damaged = base.step.kind == "noise"
    return f"{recipe.name}, {base.step.title}" if damaged else recipe.name


def _joined(
    work: Work, teachers: Teachers, recipe: Corpus, base: Text, parts: tuple[str, ...]
) -> Text:
    """One training set of gold and the teacher's text of the same sources."""
    if parts == ("gold",):
        return base
    made, after = "", [base.step]
    if any(part.startswith("teacher") for part in parts):
        made, step = _hypotheses(work, teachers, recipe, base, "train")
        after.append(step)
    pairs = tuple(words(recipe.pairs))
    if parts == ("teacher",):
        command: Command = ("fairseq-kd", "binarise", made, base.folder, *pairs)
    else:
        named = (part.replace("teacher", made, 1) for part in parts)
        flags = (word for part in named for word in ("--part", part))
        command = ("fairseq-kd", "mix", base.folder, *flags, *pairs)
    title = f"training text {_named(recipe, base)}"
    text = work.add("text", title, lambda own: [(*command, "--output", f"{own}/bin")], after)
    return Text(f"{text.folder}/bin", text)


def _with_extra(work: Work, teachers: Teachers, recipe: Corpus, base: Text, text: Text) -> Text:
    """Behind a training set, the teacher's text of the sources without reference."""
    made, step = _hypotheses(work, teachers, recipe, base, work.extra)
    binarise = ("fairseq-kd", "binarise", made, base.folder, "--subset", work.extra)
    pairs = tuple(words(recipe.pairs))

    def commands(own: str) -> list[Command]:
        part, script = f"{own}/extra", f"{ROOT}/scripts/add_part.sh"
        return [
            (*binarise, *pairs, "--output", part),
            (script, text.folder, part, work.extra, f"{own}/bin"),
        ]

    title = f"training text {_named(recipe, base)} with extra"
    joined = work.add("text", title, commands, (text.step, step))
    return Text(f"{joined.folder}/bin", joined, extra=True)


def _hypotheses(
    work: Work, teachers: Teachers, recipe: Corpus, base: Text, subset: str
) -> tuple[str, Step]:
    """The teacher's hypotheses of a subset, filtered and selected."""
    what = f"{_named(recipe, base)} ({subset})"
    flags = recipe.generate | work.scale.flags.get("generate", {})
    title = f"teacher's text {what}"
    lesson = Lesson("generate", "corpus", (subset,), flags, title, share=40, seen=recipe.seen)
    _, step = taught(work, teachers, base, lesson)
    for name, chosen in (("filter", recipe.filter), ("select", recipe.select)):
        if chosen is not None:
            step = _derived(work, name, chosen, base, step, subset, what)
    return f"{step.folder}/corpus", step


def _derived(
    work: Work, name: str, chosen: Flags, base: Text, step: Step, subset: str, what: str
) -> Step:
    """A corpus of a corpus."""
    reads: tuple[str, ...] = (base.folder,) if name == "filter" else ()
    flags = tuple(words(chosen))
    if name == "select" and chosen.get("--by", ("",))[0] == "reference":
        if subset != "train":
            raise InputError(
                f"{what}: --by reference reads the references of sources that have none here; "
                "give --by model or --by mbr"
            )
        flags += ("--data", base.folder)
    command = ("fairseq-kd", name, f"{step.folder}/corpus", *reads, "--subset", subset, *flags)
    return work.add(
        name,
        f"{name} {what}",
        lambda own: [(*command, "--output", f"{own}/corpus")],
        (base.step, step),
    )
