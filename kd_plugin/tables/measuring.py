"""Steps that translate with a model and measure it, and the line of the ledger that tells."""

from __future__ import annotations

from dataclasses import dataclass, replace

from . import training
from .flags import Flags, words
from .steps import FIRST, GATE, ROOT, Command, Step
from .table import Row
from .work import Teachers, Text, Trained, Work

SPEED = ("--beam", "--lenpen", "--max-len-a", "--max-len-b", "--max-tokens")
DATA = ("data", "halves", "folds", "noise")  # kinds of steps that are nobody's share


@dataclass(frozen=True)
class Cell:
    """A run: whose student of which seed, and what was trained."""

    student: str
    row: str
    seed: int
    trained: Trained
    what: Row | None  # None: the teacher

    @property
    def title(self) -> str:
        model = self.trained.step.title.removesuffix(": training")
        searches = self.what and (self.what.search or self.what.datastore)
        return f"{model}, {self.what.label}" if self.what and searches else model


def record(work: Work, gold: Text, teachers: Teachers, cell: Cell) -> tuple[Step, tuple[str, ...]]:
    """Translate the test sets, measure, and write a line of the ledger.

    Returns:
        The last step, and the folders of those without which the model or its translations would
        not be: its teacher's training, text and stores, and the training that it starts from.
    """
    trained, measure = cell.trained, work.table.measure
    translated = translate(work, gold, cell)
    prepared = work.prepared
    after = [translated, trained.step, prepared]
    told = {
        "table": work.table.name, "scale": work.scale.name, "data": work.data.name,
        "student": cell.student, "row": cell.row, "seed": str(cell.seed),
        "model": trained.folder, "rule": work.rule,
        "references": f"{prepared.folder}/references",
    }  # fmt: skip
    if work.tells_origlang:
        told["origlang"] = f"{prepared.folder}/origlang"
    for name, wanted in (
        ("agreement", "fit" in measure or ("agreement" in measure and cell.what is not None)),
        ("fit", "fit" in measure),
        ("speed", "speed" in measure and (cell.what is None or cell.seed == 1)),
        ("text", "text" in measure and not trained.text.extra),
    ):
        if wanted:
            step = MEASURED[name](work, gold, teachers, cell)
            after.append(step)
            told[name] = f"{step.folder}/{step.kind}.json"
    flags = [word for name, value in told.items() for word in (f"--{name}", value)]
    for name in work.table.decoding:
        flags += ["--translation", f"{name}={translated.folder}/{name}"]
    first = next(iter(work.table.decoding))
    for test in work.tests:
        flags += ["--searched", f"{translated.folder}/{first}.{test}.corpus"]
    needed = tuple(
        folder
        for folder in work.needed(translated.folder, (*DATA, GATE))
        if folder not in (translated.folder, trained.step.folder)
    )
    for folder in needed:
        flags += ["--needed", folder]
        after.append(work.steps[folder])
    command = ("fairseq-kd", "record", "--ledger", ".", *flags)
    return work.add(
        "record", f"{cell.title}: scores", lambda own: [command], after, share=5
    ), needed


def translate(work: Work, gold: Text, cell: Cell) -> Step:
    """The test sets by each way of decoding, pooled."""
    trained, (own_flags, after) = cell.trained, _search(work, gold, cell)

    def commands(own: str) -> list[Command]:
        made: list[Command] = []
        for name, given in work.table.decoding.items():
            flags = tuple(words(given, work.scale.flags.get("decoding", {}), own_flags))
            files = [f"{own}/{name}.{test}" for test in work.tests]
            script = f"{ROOT}/scripts/translate.sh"
            made += [
                (script, gold.folder, trained.checkpoint, test, file, *flags)
                for test, file in zip(work.tests, files)
            ]
            made.append((f"{ROOT}/scripts/pool.sh", f"{own}/{name}", *files))
        return made

    return work.add("translate", f"{cell.title}: translating", commands, after, share=15)


def _search(work: Work, gold: Text, cell: Cell) -> tuple[Flags, list[Step]]:
    """A row's own flags of decoding, and what must be done before."""
    flags, after = dict(cell.what.search) if cell.what else {}, [gold.step, cell.trained.step]
    if cell.what and cell.what.datastore:
        # Keys of another model would be strangers to the one that decodes.
        wanted = work.table.stores[cell.what.datastore]
        folder, step = training.store(work, Teachers((cell.trained,)), wanted, gold)
        flags["--knnmt-datastore"] = (folder, cell.what.source)
        after.append(step)
    return flags, after


def agreement(work: Work, gold: Text, teachers: Teachers, cell: Cell) -> Step:
    """How often teacher and student prefer the same word, on the valid set."""
    command = ("fairseq-kd", "agreement", gold.folder, *_pair(teachers, cell))
    return work.add(
        "agreement",
        f"{cell.title}: agreement",
        lambda own: [(*command, "--json", f"{own}/agreement.json")],
        (gold.step, *teachers.steps, cell.trained.step),
    )


def fit(work: Work, gold: Text, teachers: Teachers, cell: Cell) -> Step:
    """Accuracy and NLL on the text that the model learnt."""
    text = cell.trained.text
    command = ("fairseq-kd", "agreement", text.folder, *_pair(teachers, cell), "--subset", "train")
    return work.add(
        "fit",
        f"{cell.title}: fit ({text.step.title})",
        lambda own: [(*command, "--too-long", "skip", "--json", f"{own}/fit.json")],
        (text.step, *teachers.steps, cell.trained.step),
    )


def _pair(teachers: Teachers, cell: Cell) -> tuple[str, ...]:
    return "--teacher", teachers.path, "--student", cell.trained.checkpoint


def speed(work: Work, gold: Text, teachers: Teachers, cell: Cell) -> Step:
    """Of the main way of decoding, on the first test set."""
    given = next(iter(work.table.decoding.values()))
    own_flags, after = _search(work, gold, cell)
    search = given | work.scale.flags.get("decoding", {}) | own_flags
    known = {k: v for k, v in search.items() if k in SPEED or k.startswith("--knnmt-")}
    known |= work.scale.flags.get("speed", {})
    command = ("fairseq-kd", "speed", gold.folder, "--path", cell.trained.checkpoint, *words(known))
    return work.add(
        "speed",
        f"{cell.title}: speed",
        lambda own: [(*command, "--json", f"{own}/speed.json")],
        after,
    )


def text(work: Work, gold: Text, teachers: Teachers, cell: Cell) -> Step:
    """What the training targets are like."""
    learnt = cell.trained.text
    command = ("fairseq-kd", "describe", learnt.folder)
    return work.add(
        "describe",
        f"text of {learnt.step.title}",
        lambda own: [(*command, "--json", f"{own}/describe.json")],
        (learnt.step,),
    )


def gate(work: Work, gold: Text, teachers: Teachers, baseline: Cell, doubled: Cell | None) -> Step:
    """What must hold before other students like the baseline's are trained.

    Without the doubled cell of a student that has one, it is the first of two.
    """
    wanted, main = work.table.gates, next(iter(work.table.decoding))
    assert wanted is not None
    first = doubled is None and work.table.doubled(baseline.student) is not None
    texts = {"baseline": baseline}
    if doubled is not None:
        texts["doubled"] = doubled
    if wanted.teacher is not None:
        texts["teacher"] = Cell("", "teacher", work.table.teacher.seed, teachers.models[0], None)
    steps = {name: translate(work, gold, cell) for name, cell in texts.items()}
    flags = ["--references", f"{work.prepared.folder}/references"]
    for name, step in steps.items():
        flags += [f"--{name}", f"{step.folder}/{main}"]
    if wanted.memorised is not None:
        on_gold = replace(baseline, trained=replace(baseline.trained, text=gold))
        for name, made in (("train", fit), ("valid", agreement)):
            steps[name] = made(work, gold, teachers, on_gold)
            flags += [f"--{name}", f"{steps[name].folder}/{steps[name].kind}.json"]
    for name, bound in (
        ("gain", wanted.gain), ("above", wanted.teacher), ("within", wanted.memorised),
    ):  # fmt: skip
        flags += [] if bound is None else [f"--{name}", f"{bound:g}"]
    flags += ["--tell"] if work.scale.gates_tell else []
    return work.add(
        GATE,
        FIRST * first + f"gates of {work.table.students[baseline.student].label}",
        lambda own: [
            ("fairseq-kd", "gate", *flags, "--told", f"{own}/told", "--json", f"{own}/gate.json")
        ],
        steps.values(),
        share=2,
    )


MEASURED = {"agreement": agreement, "fit": fit, "speed": speed, "text": text}
