"""A page as a list of blocks, which each format writes in its own way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..report import table as scored_table
from ..report.comparison import shared_seeds
from ..report.table import SEED_COLUMNS, rounded, seed_lines, seed_remark
from .blocks import Block, Code, Grid, Heading, Picture, Text
from .columns import measures, origlang, passing, scenarios, scores
from .flags import Flags
from .gates import CLOSED
from .ledger import Entry
from .table import Published, Scale, Table
from .view import SEED, SHUFFLES, Compared, View

BUDGET = (
    "--max-update", "--max-epoch", "--max-tokens", "--batch-size", "--update-freq", "--lr",
    "--lr-scheduler", "--warmup-updates",
)  # fmt: skip


def document(view: View, scale: Scale, pictures: Iterable[Picture] = ()) -> list[Block]:
    """All that is told of a table; its pictures stand behind the first grid."""
    table, plan = view.table, view.plan
    blocks: list[Block] = [Heading(table.title, 1)]
    if table.about:
        blocks.append(Text(" ".join(table.about.split())))
    blocks.append(
        Text(
            f"Table {table.name}, scale {plan['scale']}, data {plan['data']}, seeds {plan['seeds']}"
            + (f" ({scale.remark})." if scale.remark else ".")
        )
    )
    blocks += _budget(view, scale)
    blocks += [Text(f"{title[0].upper()}{title[1:]}: {said}.") for title, said in view.told.items()]
    if scale.gates_tell and any(said.startswith(CLOSED) for said in view.told.values()):
        blocks.append(Text("At this scale gates tell and close nothing: all rows were trained."))
    for student in view.lines:
        blocks += _student(view, student)
    blocks += [*scenarios(view), *_published(view)]
    blocks += [Heading("Where each value comes from"), provenance(table), *_scaled(view, scale)]
    first = next(n for n, block in enumerate(blocks) if isinstance(block, Grid)) + 1
    return [*blocks[:first], *pictures, *blocks[first:]]


def _budget(view: View, scale: Scale) -> list[Block]:
    """Which rows do not train as the others do."""
    different = []
    for row in view.table.rows.values():
        flags = [f"{k} {v[0]}" for k, v in scale.flags_of(row).items() if k in BUDGET]
        if row.longer > 1:
            flags.append(f"{row.longer} times the updates")
        if flags:
            different.append(f"{row.label} ({', '.join(flags)})")
    if not different:
        return [Text("All students of one kind have the same updates, batches and learning rate.")]
    return [Text(f"Other updates, batches or learning rate: {', '.join(different)}.")]


def _student(view: View, student: str) -> list[Block]:
    """The table of one student, what its numbers mean, and its signatures."""
    table, blocks = view.table, list[Block]()
    if len(table.students) > 1:
        blocks.append(Heading(f"Student: {table.students[student].label}"))
    lines = view.lines[student]
    blocks.append(scores(view, lines))
    blocks += [Text(f"{line.why}.") for line in lines if line.why]
    blocks += [Text(said) for said in _trained_again(view, student)]
    blocks += [*origlang(view, lines), *measures(lines), *passing(view, lines)]
    for decoding in table.decoding:
        scored = view.scored.get((student, decoding))
        if scored is None:
            continue
        pairs = seed_lines(scored.systems)
        if pairs:
            blocks += [
                Text(f"Differences to {scored.baseline} by seed, {decoding}:"),
                Grid(SEED_COLUMNS, pairs, frozenset({"metric", "by seed", "95 % interval"})),
                Text(seed_remark(scored.systems, SEED)),
            ]
    first = view.scored.get((student, next(iter(table.decoding))))
    if first is not None:
        told = scored_table.remarks(first.systems, first.baseline, first.metrics, SHUFFLES, SEED)
        blocks += [Text(line) for line in (*_other_seeds(view, student), *told) if line]
        blocks.append(Code([f"{name}|{text}" for name, text in first.signatures.items()]))
    return blocks


def _trained_again(view: View, student: str) -> Iterator[str]:
    """Which models came out otherwise when they were trained again, and who learnt from which."""
    decoding = next(iter(view.table.decoding))
    for line in view.lines[student]:
        for entry, results in zip(line.entries, line.results):
            if len(results) == 1:
                continue
            told = []
            for result in results:
                taught = ", ".join(_taught(view, student, result))
                score = rounded(result[0]["scores"][decoding]["BLEU"])
                told.append(score + (f", from which {taught} learnt" if taught else ""))
            yield (
                f"{line.label}, seed {entry['seed']}: trained more than once, with different "
                f"results. BLEU ({decoding}): {'; '.join(told)}."
            )


def _taught(view: View, student: str, result: Sequence[Entry]) -> Iterator[str]:
    """The rows and seeds of a student that needed a model, by the seconds that it took."""
    folder = result[0]["model"].removesuffix("/model")
    took = {entry["training"]["seconds"] for entry in result}
    for line in view.lines[student]:
        needed = [one for one in line.entries if folder in one["needed"]]
        seeds = [str(one["seed"]) for one in needed if one["needed"][folder] in took]
        if seeds:
            yield f"{line.label} (seed{'s' * (len(seeds) > 1)} {', '.join(seeds)})"


def _other_seeds(view: View, student: str) -> Iterator[str]:
    """Of which seeds differences to the baseline are, where these are not all."""
    base = view.line(student, view.table.baseline)
    for line in view.lines[student]:
        seeds = shared_seeds(line.seeds, base.seeds)
        if line.student and seeds and line.seeds != base.seeds:
            each = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
            yield f"{line.label}: its differences to {base.label} are of {each} alone."


def _published(view: View) -> list[Block]:
    """The papers' numbers, each beside ours, as differences to a baseline of the same table."""
    blocks: list[Block] = []
    for numbers in view.table.published:
        for student, rows in view.compared(numbers).items():
            if not blocks:
                blocks += [
                    Heading("Published"),
                    Text(
                        "Ours and theirs are compared by the difference to the same table's "
                        f"baseline, {view.table.baseline}, and its sign; the scores themselves are "
                        "of other test texts, tokenisations or models."
                    ),
                ]
            blocks += [Text(_about(view, numbers, student)), comparison(numbers, rows)]
    return blocks


def _about(view: View, numbers: Published, student: str) -> str:
    table = view.table
    name = f"{table.students[student].label}: " if len(table.students) > 1 else ""
    where = f" on {numbers.data}" if numbers.data else ""
    ours = "no measure of ours"
    if numbers.ours:
        decoding = numbers.decoding or next(iter(table.decoding))
        ours = f"{numbers.ours} ({decoding}) on {view.plan['data']}"
    return f"{name}{numbers.metric}{where}. Source: {numbers.source}. Ours: {ours}."


def comparison(numbers: Published, rows: Sequence[Compared]) -> Grid:
    """A row for each published number."""
    columns = ["row", "published", "difference", "ours", "difference of ours", "signs"]

    def signed(number: float | None) -> str:
        return "" if number is None else rounded(number, 2, "+")

    cells = [
        [
            row.label,
            f"{row.published:g}",
            signed(row.published_difference),
            "" if row.ours is None else rounded(row.ours),
            signed(row.ours_difference),
            row.verdict,
        ]
        for row in rows
    ]
    return Grid(columns, cells, frozenset({"signs"}))


def provenance(table: Table) -> Grid:
    """Each value that the table sets, and its source."""
    told: list[tuple[str, Flags]] = [(f"decoding {k}", v) for k, v in table.decoding.items()]
    rows = [
        ["data", "", table.data, table.source],
        ["checkpoint", "", table.checkpoint, table.source],
    ]
    told.append(("training text", table.noise or {}))
    rows.append(["teacher", "model", table.teacher.model, table.teacher.source])
    if table.teacher.folds:
        rows.append(["teacher", "folds", str(table.teacher.folds), table.teacher.source])
    told.append(("teacher", table.teacher.flags))
    for student in table.students.values():
        rows.append([f"student {student.label}", "model", student.model, student.source])
        told += [(f"student {student.label}", student.flags | (student.noise or {}))]
    for corpus in table.corpora.values():
        rows.append([f"corpus {corpus.name}", "parts", ", ".join(corpus.parts), corpus.source])
        rows += [[f"corpus {corpus.name}", "asked", "seen", corpus.source]] * corpus.seen
        told += [
            (f"corpus {corpus.name}", {**corpus.generate, **(corpus.filter or {})}),
            (f"corpus {corpus.name}", {**(corpus.select or {}), **corpus.pairs}),
        ]
    for store in table.stores.values():
        rows += [[f"store {store.name}", "asked", "seen", store.source]] * store.seen
        told.append((f"store {store.name}", {**store.datastore, **store.flags}))
    for row in table.rows.values():
        made = [row.method or "no distillation", row.text or row.distilled or "", row.store or ""]
        rows.append([f"row {row.label}", "method", ", ".join(filter(None, made)), row.source])
        if row.longer > 1:
            rows.append([f"row {row.label}", "updates", f"{row.longer} times", row.source])
        told.append((f"row {row.label}", row.flags | row.search))
    for where, flags in told:
        rows += [[where, flag, value or "", source] for flag, (value, source) in flags.items()]
    return Grid(["of", "flag", "value", "source"], rows, frozenset({"flag", "value", "source"}))


def _scaled(view: View, scale: Scale) -> list[Block]:
    """What a smaller scale, or a call, has changed of these values."""
    rows = [
        [what, name, str(value)]
        for what, name, value in (
            ("rows", "", view.plan["changes"].get("rows")),
            ("data", "", None if view.plan["data"] == view.table.data else view.plan["data"]),
            ("data", "training pairs", scale.train_pairs),
            ("data", "pairs of every set", scale.limit),
            ("checkpoint", "", scale.checkpoint),
            *((f"every {who}", "model", model) for who, model in scale.models.items()),
            *((f"student {who}", "model", model) for who, model in scale.students.items()),
        )
        if value is not None
    ]
    names = {"row_flags": "rows that have it", "generate": "corpora", "student": "every student"}
    for where, flags in {**scale.flags, **{f"row {k}": v for k, v in scale.rows.items()}}.items():
        rows += [[names.get(where, where), flag, value or ""] for flag, (value, _) in flags.items()]
    if not rows:
        return []
    told = Text(f"Scale {scale.name}, or a flag of this call, took these instead; they are ours.")
    return [told, Grid(["of", "flag", "value"], rows, frozenset({"flag", "value"}))]
