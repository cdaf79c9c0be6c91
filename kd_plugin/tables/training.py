"""Steps that train: the teacher, what it leaves for students, and these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from ..errors import InputError
from . import texts
from .flags import Flags, words
from .steps import ROOT, Command, Step
from .table import Row, Store, Student
from .taught import Lesson, folds_of, taught
from .work import Model, Teachers, Text, Trained, Work

BEST_BLEU = (
    "--eval-bleu", "--eval-bleu-remove-bpe", "sentencepiece", "--eval-bleu-args", '{"beam":5}',
    "--best-checkpoint-metric", "bleu", "--maximize-best-checkpoint-metric",
)  # fmt: skip


def train_teachers(work: Work, gold: Text) -> Teachers:
    """The teacher, or one for each fold of the gold."""
    teacher = work.table.teacher
    model = work.models[work.scale.models.get("teacher", teacher.model)]
    flags = tuple(words(teacher.flags, work.scale.flags.get("teacher", {})))
    reads = {"teacher": gold}
    if teacher.folds:
        parts = folds_of(work, gold, teacher.folds)
        reads = {f"teacher of fold {fold}": seen for fold, (seen, _) in enumerate(parts)}
    trained = (
        _train(work, title, text, model, flags, teacher.seed, share=80)
        for title, text in reads.items()
    )
    return Teachers(tuple(trained))


def train(
    work: Work, gold: Text, teachers: Teachers, row: Row, student: Student, seed: int
) -> Trained:
    """A student of a row."""
    base = texts.damaged(work, gold, student.noise, student.label)
    text = base
    if row.text:
        text = texts.corpus(work, teachers, work.table.corpora[row.text], base)
    flags: list[str] = []
    after: list[Step] = []
    if row.method:
        flags += ["--criterion", row.method]
    if row.teacher:
        flags += ["--teacher-path", teachers.path]
        after += teachers.steps
    if row.store:
        folder, step = store(work, teachers, work.table.stores[row.store], text)
        flags += ["--teacher-store", folder]
        after.append(step)
    if row.distilled:
        distilled = texts.corpus(work, teachers, work.table.corpora[row.distilled], base)
        flags += ["--distilled-data", distilled.folder]
        after.append(distilled.step)
    if text.extra:
        flags += ["--upsample-primary", "1"]
    if row.start:
        start = train(work, gold, teachers, work.table.rows[row.start], student, seed)
        flags += ["--finetune-from-model", start.checkpoint]
        after.append(start.step)
    scaled = work.scale.flags.get("student", {})
    instead = work.scale.models.get("student", student.model)
    model = work.models[work.scale.students.get(student.name, instead)]
    title = f"{row.label}, {student.label}, seed {seed}"
    longer = _longer(row, model, words(student.flags, scaled))
    flags += words(student.flags, scaled, longer, work.scale.flags_of(row))
    return _train(work, title, text, model, tuple(flags), seed, after)


def store(work: Work, teachers: Teachers, wanted: Store, text: Text) -> tuple[str, Step]:
    """What the teacher believes about a training set, or its nearest states there."""
    subsets = ("train", "train1", "valid") if text.extra else ("train", "valid")
    kind = "cache" if wanted.kind == "cache" else "datastore"
    flags = wanted.datastore if wanted.kind == "neighbours" else wanted.flags
    told = f"{wanted.name} ({text.step.title})"
    title = f"{kind} {told}"
    lesson = Lesson(kind, kind, subsets, flags, title, share=20, seen=wanted.seen)
    folder, step = taught(work, teachers, text, lesson)
    if wanted.kind != "neighbours":
        return folder, step
    reads = ("--subset", ",".join(subsets))
    search = ("fairseq-kd", "neighbours", folder, *reads, *words(wanted.flags))
    found = work.add(
        "neighbours",
        f"neighbours {told}",
        lambda own: [(*search, "--output", f"{own}/store")],
        (step,),
        share=30,
    )
    return f"{found.folder}/store", found


def _train(
    work: Work,
    title: str,
    text: Text,
    model: Model,
    flags: tuple[str, ...],
    seed: int,
    after: Iterable[Step] = (),
    share: float = 30,
) -> Trained:
    rule = work.rule
    if rule == "best-bleu":
        flags += BEST_BLEU
    elif rule != "last":
        flags += _kept(rule, (*model.flags, *flags), title)

    def commands(own: str) -> list[Command]:
        script = (f"{ROOT}/scripts/train.sh", text.folder, f"{own}/model", model.word)
        train: Command = (*script, *flags, "--seed", str(seed))
        choose: Command = (f"{ROOT}/scripts/choose.sh", f"{own}/model", rule)
        return [train] if rule == "last" else [train, choose]

    before, read = (text.step, *after), list(model.flags)
    step = work.add("train", f"{title}: training", commands, before, read, share)
    name = "checkpoint_last.pt" if rule == "last" else "chosen.pt"
    return Trained(step, f"{step.folder}/model/{name}", text)


def _kept(rule: str, flags: Sequence[str], title: str) -> tuple[str, ...]:
    """What makes a training keep the checkpoints that ``average:K`` reads.

    Where nothing says how often one is saved, they are K of the second half of the training (ours).

    Raises:
        InputError: nothing says how long the training is.
    """
    wanted = rule.partition(":")[2]
    keep = ("--keep-interval-updates", wanted)
    if "--save-interval-updates" in flags:
        return keep
    updates = _last("--max-update", flags)
    if updates is None:
        raise InputError(
            f"checkpoint {rule} needs --save-interval-updates or --max-update among the flags of "
            f"teacher and students; {title} has neither"
        )
    return ("--save-interval-updates", str(max(1, updates // (2 * int(wanted)))), *keep)


def _longer(row: Row, model: Model, others: Iterable[str]) -> Flags:
    """The updates of a row that trains longer than a student's model says.

    Raises:
        InputError: nothing says how long that is, or --max-epoch would end it before.
    """
    if row.longer == 1:
        return {}
    flags = (*model.flags, *others)
    where = f"rows.{row.name}.longer multiplies --max-update, and {model.word}"
    if _last("--max-update", flags) is None:
        raise InputError(f"{where} does not give it; give it there, or leave the row out")
    if _last("--max-epoch", flags):
        raise InputError(f"{where} has --max-epoch, which may end it before; leave that out")
    lengths = ("--max-update", "--total-num-update")  # the second is polynomial_decay's
    found = {flag: _last(flag, flags) for flag in lengths}
    return {k: (str(row.longer * n), row.source) for k, n in found.items() if n is not None}


def _last(name: str, flags: Sequence[str]) -> int | None:
    """A flag's number, the last that is given."""
    given = [after for flag, after in pairwise(flags) if flag == name]
    given = given or [f.partition("=")[2] for f in flags if f.startswith(f"{name}=")]
    return int(given[-1]) if given and given[-1].isdigit() else None
