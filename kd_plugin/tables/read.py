"""From the YAML of a table, or of a scale, to what it says, checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.keys import check_keys, read_mapping
from .flags import Flags, read_flags
from .schema import (
    CORPUS,
    CURVE,
    GATES,
    KEYS,
    MODEL,
    NAME,
    NEEDED,
    PUBLISHED,
    ROW,
    SCALE,
    SCALES,
    SEARCH,
    STORE,
    STUDENT,
    TEACHER,
    is_number,
)  # fmt: skip
from .table import Corpus, Curve, Gates, Published, Row, Scale, Store, Student, Table, Teacher


def read_table(path: Path) -> Table:
    """A table, checked.

    Raises:
        InputError: it is no YAML, a key is missing or unknown, a value is not what it must be, or
            names something that the table does not have.
    """
    _require_name(path.stem, f"{path}: this file")
    return parse_table(read_mapping(path, "a table", "configs/tables"), path.stem, str(path))


def read_scale(path: Path, name: str, changes: dict[str, Any], where: str) -> Scale:
    """A scale: what a file of configs/scales says, if there is one, and what a table changes of it.

    Raises:
        InputError: as :func:`read_table`.
    """
    shared = read_mapping(path, "a scale", "configs/scales") if path.is_file() else {}
    parse_scale(name, shared, f"{path}: {name}")
    return parse_scale(name, shared | changes, where)


def parse_table(given: dict[str, Any], name: str, where: str) -> Table:
    """A table from its mapping; see :func:`read_table`."""
    check_keys(given, KEYS, NEEDED, where)
    for key in ("students", "rows"):
        if not given[key]:
            raise InputError(f"{where} has no {key}; give one or more")
    source = given["from"]
    students = {k: _student(k, v, source, where) for k, v in given["students"].items()}
    stores = _named(given, "stores", where)
    corpora = _named(given, "corpora", where)
    table = Table(
        name=name,
        title=given["title"],
        about=given.get("about", ""),
        source=source,
        data=given["data"],
        halves=given.get("halves", False),
        noise=_optional(given, "noise", source, where),
        checkpoint=given.get("checkpoint", "last"),
        baseline=given["baseline"],
        measure=tuple(given.get("measure", ())),
        gates=_gates(given["gates"], f"{where}: gates") if "gates" in given else None,
        decoding=_groups(given["decoding"], source, f"{where}: decoding"),
        teacher=_teacher(given["teacher"], source, f"{where}: teacher"),
        students=students,
        corpora={k: _corpus(k, v, source, where) for k, v in corpora.items()},
        stores={k: _store(k, v, source, where) for k, v in stores.items()},
        rows={
            k: _row(k, v, source, where, students) for k, v in _named(given, "rows", where).items()
        },
        published=[_published(v, where, students) for v in given.get("published", [])],
        curves=[_curve(v, f"{where}: curves") for v in given.get("curves", [])],
        scales=given.get("scales", {}),
    )
    for scale, changes in table.scales.items():
        parsed = parse_scale(scale, changes, f"{where}: scales.{scale}")
        ask: tuple[tuple[str, Any, Any], ...] = (
            ("students", parsed.students, table.students),
            ("rows", parsed.rows, table.rows),
        )
        for key, names, known in ask:
            for name_of in names:
                if name_of not in known:
                    raise InputError(
                        f"{where}: scales.{scale}.{key} names {name_of!r}; give one of "
                        f"{', '.join(known)}"
                    )
    _check_references(table, where)
    if table.teacher.folds:
        _check_folds(table, where)
    else:
        _check_no_folds(table, where)
    return table


def _named(given: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    """The blocks of a section by their names, which become parts of names of files."""
    blocks: dict[str, Any] = given.get(key, {})
    for name, block in blocks.items():
        _require_name(name, f"{where}: {key}")
        if block is not None and not isinstance(block, dict):
            raise InputError(f"{where}: {key} has {name} {block!r}, which must be a mapping")
    return {name: block or {} for name, block in blocks.items()}


def _require_name(name: Any, where: str) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InputError(
            f"{where} has the name {name!r}; give letters, digits and . _ + - (quote a number)"
        )


def _groups(given: Mapping[str, Any], source: str, where: str) -> dict[str, Flags]:
    if not given:
        raise InputError(f"{where} is empty; give such as beam5: {{--beam: 5}}")
    for name, flags in given.items():
        _require_name(name, where)
        if not isinstance(flags, dict):
            raise InputError(f"{where} has {name} {flags!r}, which must be a mapping of flags")
    return {name: read_flags(flags, source, f"{where}.{name}") for name, flags in given.items()}


def _gates(given: Mapping[str, Any], where: str) -> Gates:
    check_keys(given, GATES, (), where)
    found = Gates(**given)
    if found.doubled is None and "gain" in given:
        raise InputError(f"{where} has gain {found.gain:g} of nothing; give doubled, a row")
    if not given:
        raise InputError(f"{where} is empty; give some of {', '.join(GATES)}")
    return found


def _teacher(given: Mapping[str, Any], source: str, where: str) -> Teacher:
    check_keys(given, TEACHER, ("model",), where)
    source = given.get("from", source)
    flags = read_flags(given.get("flags", {}), source, f"{where}.flags")
    return Teacher(given["model"], flags, given.get("seed", 1), given.get("folds"), source)


def _student(name: str, given: Any, source: str, where: str) -> Student:
    _require_name(name, f"{where}: students")
    where = f"{where}: students.{name}"
    check_keys(_mapping(given, where), STUDENT, ("model",), where)
    source = given.get("from", source)
    return Student(
        name,
        given.get("label", name),
        given["model"],
        read_flags(given.get("flags", {}), source, f"{where}.flags"),
        _optional(given, "noise", source, where),
        source,
    )


def _mapping(given: Any, where: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise InputError(f"{where} is {given!r}, which must be a mapping")
    return given


def _optional(given: Mapping[str, Any], key: str, source: str, where: str) -> Flags | None:
    return read_flags(given[key], source, f"{where}.{key}") if key in given else None


def _corpus(name: str, given: Mapping[str, Any], source: str, where: str) -> Corpus:
    where = f"{where}: corpora.{name}"
    check_keys(given, CORPUS, ("generate",), where)
    source = given.get("from", source)
    return Corpus(
        name,
        read_flags(given["generate"], source, f"{where}.generate"),
        _optional(given, "filter", source, where),
        _optional(given, "select", source, where),
        tuple(given.get("parts", ["teacher"])),
        read_flags(given.get("pairs", {}), source, f"{where}.pairs"),
        "asked" in given,
        source,
    )


def _store(name: str, given: Mapping[str, Any], source: str, where: str) -> Store:
    where = f"{where}: stores.{name}"
    check_keys(given, STORE, (), where)
    source = given.get("from", source)
    kinds = [kind for kind in ("cache", "neighbours", "datastore") if kind in given]
    if not kinds or ("cache" in kinds and len(kinds) > 1):
        raise InputError(f"{where} must have cache, neighbours or datastore; give one")
    flags = read_flags(given[kinds[0]], source, f"{where}.{kinds[0]}")
    datastore = read_flags(given.get("datastore", {}), source, f"{where}.datastore")
    return Store(name, kinds[0], flags, datastore, "asked" in given, source)


def _row(
    name: str, given: Mapping[str, Any], source: str, where: str, students: Collection[str]
) -> Row:
    where = f"{where}: rows.{name}"
    check_keys(given, ROW, (), where)
    if "longer" in given and "--max-update" in given.get("flags", {}):
        raise InputError(f"{where} has longer and --max-update; give one")
    source = given.get("from", source)
    search = given.get("search", {})
    check_keys(search, SEARCH, (), f"{where}.search")
    for key, others in (("text", ("distilled",)), ("teacher", ("store",))):
        for other in others:
            if key in given and other in given and given.get("method") != "tie_kd":
                raise InputError(f"{where} has {key} and {other}; give one")
    return Row(
        name,
        given.get("label", name),
        given.get("method"),
        "teacher" in given,
        given.get("store"),
        given.get("text"),
        given.get("distilled"),
        read_flags(given.get("flags", {}), source, f"{where}.flags"),
        given.get("longer", 1),
        given.get("start"),
        search.get("datastore"),
        read_flags(search.get("flags", {}), source, f"{where}.search.flags"),
        tuple(given.get("students", students)),
        given.get("seeds"),
        given.get("later"),
        source,
    )


def _published(given: Mapping[str, Any], where: str, students: Mapping[str, Any]) -> Published:
    where = f"{where}: published"
    check_keys(given, PUBLISHED, ("source", "metric", "values"), where)
    values: dict[str, dict[str, float]] = {}
    for key, value in given["values"].items():
        if is_number(value):
            student = "" if key == "teacher" else next(iter(students))
            if student and len(students) > 1:
                raise InputError(
                    f"{where} has {key} {value}; the table has the students "
                    f"{', '.join(students)}: give values as STUDENT: {{ROW: number}}"
                )
            values.setdefault(student, {})[key] = float(value)
        elif isinstance(value, dict) and all(map(is_number, value.values())):
            values[key] = {row: float(number) for row, number in value.items()}
        else:
            raise InputError(f"{where} has {key} {value!r}, which must be a number")
    return Published(
        given["source"], given["metric"], given.get("data", ""), given.get("decoding", ""),
        given.get("ours"), given.get("lower_is_better", False), values,
    )  # fmt: skip


def _curve(given: Mapping[str, Any], where: str) -> Curve:
    check_keys(given, CURVE, ("title", "axis", "at", "rows"), where)
    for student, value in given["at"].items():
        if not is_number(value):
            raise InputError(f"{where} has at.{student} {value!r}, which must be a number")
    return Curve(given["title"], given["axis"], given["at"], tuple(given["rows"]))


def parse_scale(name: str, given: Any, where: str) -> Scale:
    """A scale from its mapping.

    Raises:
        InputError: as :func:`read_table`.
    """
    if name not in SCALES:
        raise InputError(f"{where} is no scale; give {', '.join(SCALES)}")
    given = _mapping(given, where)
    check_keys(given, SCALE, (), where)
    models, flags = {}, {}
    for who in ("teacher", "student"):
        block = given.get(who, {})
        check_keys(block, MODEL, (), f"{where}.{who}")
        if "model" in block:
            models[who] = block["model"]
        flags[who] = read_flags(block.get("flags", {}), "ours", f"{where}.{who}.flags")
    for what in ("row_flags", "decoding", "generate", "speed"):
        flags[what] = read_flags(given.get(what, {}), "ours", f"{where}.{what}")
    return Scale(
        name,
        given.get("data"),
        given.get("seeds", 3),
        given.get("train_pairs"),
        given.get("limit"),
        given.get("checkpoint"),
        models,
        given.get("students", {}),
        flags,
        {
            row: read_flags(_mapping(of_row, where), "ours", f"{where}.rows.{row}")
            for row, of_row in given.get("rows", {}).items()
        },
        given.get("remark", ""),
        "gates" in given,
    )


def _check_references(table: Table, where: str) -> None:
    """Names must be names of something."""
    ask: list[tuple[str, str | None, Collection[str]]]
    ask = [(f"{where}: baseline", table.baseline, table.rows)]
    if table.gates:
        ask.append((f"{where}: gates.doubled", table.gates.doubled, table.rows))
    for row in table.rows.values():
        here = f"{where}: rows.{row.name}"
        ask += [
            (f"{here}.text", row.text, table.corpora),
            (f"{here}.distilled", row.distilled, table.corpora),
            (f"{here}.store", row.store, table.stores),
            (f"{here}.search.datastore", row.datastore, table.stores),
            (f"{here}.start", row.start, table.rows),
        ]
        ask += [(f"{here}.students", name, table.students) for name in row.students]
        if row.datastore in table.stores and table.stores[row.datastore].kind != "datastore":
            raise InputError(
                f"{here}.search.datastore names {row.datastore!r}, which is no datastore; give a "
                "store that has the key datastore alone"
            )
    for numbers in table.published:
        here = f"{where}: published ({numbers.metric})"
        ask.append((f"{here}.decoding", numbers.decoding or None, table.decoding))
        for student, values in numbers.values.items():
            ask.append((here, student or None, table.students))
            ask += [(here, row, table.rows) for row in values if student]
    for curve in table.curves:
        ask += [(f"{where}: curves.at", name, table.students) for name in curve.at]
        ask += [(f"{where}: curves.rows", name, table.rows) for name in curve.rows]
    for at, name, known in ask:
        if name is not None and name not in known:
            raise InputError(f"{at} names {name!r}; give one of {', '.join(known) or 'none'}")
    doubled = table.gates.doubled if table.gates else None
    if doubled and table.rows[doubled].longer != 2:
        raise InputError(
            f"{where}: gates.doubled names {doubled!r}, which does not say longer: 2; write it "
            "there, in place of --max-update"
        )
    labels = [row.label for row in table.rows.values()]
    for label in labels:
        if labels.count(label) > 1 or label == "teacher":
            raise InputError(f"{where}: rows have the label {label!r} twice; give each its own")
    for corpus in table.corpora.values():
        if any(part.startswith("extra") for part in corpus.parts) and not table.halves:
            raise InputError(
                f"{where}: corpora.{corpus.name} has the part extra, of sources that have no "
                "reference; say halves: true, which cuts the training set in two"
            )


def _check_no_folds(table: Table, where: str) -> None:
    """What one teacher cannot do."""
    for what, blocks in (("corpora", table.corpora), ("stores", table.stores)):
        for name, block in blocks.items():
            if block.seen:
                raise InputError(
                    f"{where}: {what}.{name} says asked: seen, and the one teacher saw all; leave "
                    "it out, or give teacher.folds"
                )


def _check_folds(table: Table, where: str) -> None:
    """What teachers of folds cannot do."""
    own = "says teacher.folds, and so has a teacher for each fold"
    if table.halves:
        raise InputError(f"{where} {own}; leave out halves, or folds")
    if table.gates and table.gates.memorised is not None:
        raise InputError(f"{where} {own}, asked about what it never saw; leave out gates.memorised")
    for name, student in table.students.items():
        if student.noise is not None:
            raise InputError(
                f"{where} {own}; the folds of damaged text are others: leave out students.{name}."
                "noise, or folds"
            )
    for name, row in table.rows.items():
        if row.teacher:
            raise InputError(
                f"{where} {own}; rows.{name} has teacher: live, which knows no folds: give store, "
                "with a cache"
            )
    for name, store in table.stores.items():
        if store.kind != "cache" or "--features" in store.flags:
            raise InputError(
                f"{where} {own}; the states of stores.{name} are of one model each: give cache "
                "without --features"
            )
