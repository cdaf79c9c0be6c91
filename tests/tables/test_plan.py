"""The compiler: what is shared, what is not, and in which order."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from typing import Any

import pytest

from kd_plugin.errors import InputError
from kd_plugin.tables.plan import Plan, compile_table
from kd_plugin.tables.steps import Command, Step
from kd_plugin.tables.table import Scale
from kd_plugin.tables.work import Data, Model

from .made import DATA, MODELS, plan, table

REFERENCE = {"--by": "reference"}
PAPER = Scale("paper")
HALVES = Data("de-en-halves", "own.yaml", {"languages": ["de", "en"], "tests": ["a", "half2"]},
              ("--from", "/raw"))  # fmt: skip


def of_kind(found: Plan, kind: str) -> list[Step]:
    return [step for step in found.steps if step.kind == kind]


def training(found: Plan, row: str, student: str = "small", seed: int = 1) -> Step:
    title = f"{row}, {student}, seed {seed}: training"
    return next(step for step in found.steps if step.title == title)


def flag(step: Step, name: str) -> str:
    return flag_of(step.commands[0], name)


def flag_of(command: Command, name: str) -> str:
    return command[command.index(name) + 1]


def test_shared_work_is_one_step() -> None:
    found = plan()
    kinds = {kind: len(of_kind(found, kind)) for kind in ("data", "generate", "cache", "datastore")}
    assert kinds == {"data": 1, "generate": 1, "cache": 1, "datastore": 1}
    rows = 2 * (4 + 5)  # of two seeds, of the students tiny and small
    assert len(of_kind(found, "train")) == 1 + rows + 2  # the teacher, and pairs of one seed
    assert len(found.runs) == 1 + rows + 2


def test_no_two_steps_have_one_name() -> None:
    found = plan(students__tiny__noise={"--delete": 0.1}, measure=["agreement", "fit"])
    titles = [step.title for step in found.steps]
    assert sorted({*titles}) == sorted(titles)


def test_steps_stand_behind_what_they_need() -> None:
    seen: set[str] = set()
    for step in plan().steps:
        assert set(step.after) <= seen
        seen.add(step.folder)
    assert all(set(run.steps) <= seen and run.steps[-1] == run.record for run in plan().runs)


def test_a_step_reads_only_what_it_is_behind() -> None:
    for step in plan(stores__near__datastore={}).steps:
        named = {m for c in step.commands for w in c for m in re.findall(r"steps/\w+-\w+", w)}
        assert named - {step.folder} <= set(step.after), step


def test_the_plan_is_a_function_of_what_the_files_say() -> None:
    assert plan().everything() == plan().everything()


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"rows__word__label": "other"}, True),
        ({"rows__word__flags": {"--kd-weight": 0.25}}, False),
        ({"students__small__flags": {"--dropout": 0.3}}, False),
        ({"teacher__flags": {"--dropout": 0.3}}, False),
        ({"data": "another name"}, True),
    ],
)
def test_a_folder_is_named_by_what_is_done_in_it(changes: dict[str, Any], same: bool) -> None:
    before, after = plan(), plan(**changes)
    name = after.steps and ("other" if "rows__word__label" in changes else "word")
    assert (training(before, "word").folder == training(after, str(name)).folder) == same


def test_the_content_of_files_counts() -> None:
    other = MODELS | {"small": Model(MODELS["small"].word, ("--arch", "small", "--lr", "1"))}
    first, second = plan(), compile_table(table(), Scale("paper"), DATA, other, 2)
    assert of_kind(first, "data") == of_kind(second, "data")
    assert training(first, "none").folder != training(second, "none").folder
    assert training(first, "none", "tiny").folder == training(second, "none", "tiny").folder


def test_seeds() -> None:
    found = plan(seeds=3)
    assert flag(training(found, "word", seed=3), "--seed") == "3"
    assert [run.seed for run in found.runs if (run.row, run.student) == ("pairs", "small")] == [1]
    assert not [run for run in found.runs if run.row == "bt"]  # later


def test_what_a_student_learns_from() -> None:
    found = plan(rows__hybrid={"method": "hybrid_kd", "teacher": "live", "distilled": "kd"})
    teacher, near = found.steps[1], training(found, "near")
    assert flag(training(found, "word"), "--teacher-path").startswith(teacher.folder)
    assert flag(training(found, "store"), "--teacher-store").startswith("steps/cache-")
    assert flag(near, "--teacher-store").startswith("steps/neighbours-")
    text = training(found, "seq").commands[0][1]
    assert text == flag(training(found, "hybrid"), "--distilled-data")
    (mix,) = (s for s in of_kind(found, "text") if "mix" in s.commands[0])
    parts = [w for w, before in zip(mix.commands[0][1:], mix.commands[0]) if before == "--part"]
    assert parts[0] == "gold:2"
    assert parts[1].endswith("/corpus")
    assert training(found, "pairs").commands[0][1].startswith(mix.folder)


def test_a_row_may_start_from_another() -> None:
    found = plan(rows__tuned={"text": "kd", "start": "word"})
    before = training(found, "word", seed=2)
    assert flag(training(found, "tuned", seed=2), "--finetune-from-model").startswith(before.folder)


def test_knn_mt_searches_the_states_of_the_model_that_decodes() -> None:
    search = {"datastore": "states", "flags": {"--knnmt-k": 4}}
    found = plan(stores__states={"datastore": {}}, rows__knnmt={"search": search})
    run = next(run for run in found.runs if run.row == "knnmt" and run.student == "small")
    assert training(found, "none").folder in run.steps  # a decoding of the baseline
    translate = next(s for s in found.steps if s.folder == run.steps[-2])
    store = next(s for s in found.steps if s.folder == run.steps[-3])
    assert flag(translate, "--knnmt-datastore").startswith(store.folder)
    assert flag(store, "--path").startswith(training(found, "none").folder)


def test_damaged_text_is_damaged_before_the_teacher_reads_it() -> None:
    found = plan(students__tiny__noise={"--delete": 0.1})
    (noise,) = of_kind(found, "noise")
    assert flag(found.steps[1], "--seed") == "1"
    assert noise.folder not in found.steps[1].after  # the teacher
    generated = {step.commands[0][2] for step in of_kind(found, "generate")}
    assert f"{noise.folder}/bin" in generated
    assert training(found, "none", "tiny").commands[0][1] == f"{noise.folder}/bin"


def test_damaged_text_is_everyones() -> None:
    found = plan(noise={"--delete": 0.1})
    (noise,), (data,) = of_kind(found, "noise"), of_kind(found, "data")
    assert noise.commands[0][2:5] == (f"{data.folder}/data/bin", "--delete", "0.1")
    for title in ("teacher", "none, small, seed 1"):
        step = next(step for step in found.steps if step.title == f"{title}: training")
        assert step.commands[0][1] == f"{noise.folder}/bin"
    assert flag(of_kind(found, "record")[0], "--references") == f"{data.folder}/references"


def test_each_fold_is_taught_by_the_teacher_that_never_saw_it() -> None:
    rows = {"none": {}, "seq": {"text": "kd"}, "both": {
        "method": "word_kd", "store": "top", "text": "kd"}}  # fmt: skip
    stores = {"top": {"cache": {"--top-k": 8}}}
    found = plan(teacher__folds=2, rows=rows, stores=stores, published=[])
    gold, distilled = (step.folder for step in of_kind(found, "folds"))
    teachers = [step for step in found.steps if step.title.startswith("teacher of fold")][:2]
    seen = [step.commands[0][1] for step in teachers]
    assert seen == [f"{gold}/folds/0/seen", f"{gold}/folds/1/seen"]
    paths = [f"{step.folder}/model/checkpoint_last.pt" for step in teachers]
    corpora, stores_of = of_kind(found, "merge")
    for kind, folds, flags, merged in (
        ("generate", gold, "--corpora", corpora), ("cache", distilled, "--stores", stores_of),
    ):  # fmt: skip
        asked = [step.commands[0] for step in of_kind(found, kind)]
        assert [(c[2], flag_of(c, "--path"), flag_of(c, "--subset")) for c in asked] == [
            (f"{folds}/folds/{fold}/unseen", path, "train") for fold, path in enumerate(paths)
        ]
        merge = merged.commands[0]
        assert [*merge[3:6]] == ["--trained-on", *seen]
        parts = merge[merge.index(flags) + 1 : merge.index("--output")]
        assert [*parts] == [flag_of(command, "--output") for command in asked]
    whole = stores_of.commands[1]  # of the valid set, which no teacher saw
    assert (flag_of(whole, "--path"), flag_of(whole, "--subset")) == (":".join(paths), "valid")
    assert flag_of(whole, "--output") == flag_of(stores_of.commands[0], "--output")
    assert flag(training(found, "both"), "--teacher-store") == flag_of(whole, "--output")
    text = next(step for step in of_kind(found, "text"))
    assert text.commands[0][2] == flag_of(corpora.commands[0], "--output")
    assert training(found, "seq").commands[0][1] == f"{text.folder}/bin"
    assert len([run for run in found.runs if run.row == "teacher"]) == 1


def test_asked_about_what_they_saw() -> None:
    """As out of fold, but each teacher about the fold before, by a command that says so."""
    rows = {"none": {}, "seq": {"text": "kd"}, "word": {"method": "word_kd", "store": "top"}}
    stores = {"top": {"cache": {"--top-k": 8}, "asked": "seen"}}
    found = plan(
        teacher__folds=3, rows=rows, stores=stores, published=[], corpora__kd__asked="seen"
    )
    (folds,) = (step.folder for step in of_kind(found, "folds"))
    teachers = [step for step in found.steps if step.title.startswith("teacher of fold")][:3]
    paths = [f"{step.folder}/model/checkpoint_last.pt" for step in teachers]
    for kind, merged in zip(("generate", "cache"), of_kind(found, "merge")):
        asked = [step.commands[0] for step in of_kind(found, kind)]
        assert [flag_of(command, "--path") for command in asked] == paths
        assert [c[2] for c in asked] == [f"{folds}/folds/{fold}/unseen" for fold in (2, 0, 1)]
        merge = merged.commands[0]
        assert "--seen" in merge
        assert [*merge[4:7]] == [step.commands[0][1] for step in teachers]
        assert [*merge[8:11]] == [flag_of(command, "--output") for command in asked]


def test_sources_without_reference() -> None:
    kd = {"generate": {"--beam": 5}, "parts": ["gold", "extra"]}
    found = plan(of=HALVES, halves=True, corpora__kd=kd)
    assert flag(of_kind(found, "data")[0], "--from").startswith("steps/halves-")
    seq = training(found, "seq")
    assert flag(seq, "--upsample-primary") == "1"
    text = next(s for s in found.steps if s.folder == seq.commands[0][1].rpartition("/")[0])
    assert text.commands[1][:2] == (
        "$ROOT/scripts/add_part.sh",
        f"{found.steps[1].folder}/data/bin",
    )
    assert {flag(s, "--subset") for s in of_kind(found, "generate")} == {"test1", "train"}
    scored = [w for s in of_kind(found, "translate") for c in s.commands for w in c]
    assert "test1" not in scored


def test_a_data_set_that_is_cut_in_halves() -> None:
    kd = {"generate": {"--beam": 5}, "parts": ["gold", "extra"]}
    of = dataclasses.replace(DATA, origin=("--from", "/raw"), cut=True)
    found = plan(of=of, halves=True, corpora__kd=kd)
    assert "--halves" in found.steps[0].commands[0]
    assert {flag(s, "--subset") for s in of_kind(found, "generate")} == {"test2", "train"}
    scored = [w for s in of_kind(found, "translate") for c in s.commands for w in c]
    assert {"test", "test1"} <= {*scored}
    assert "test2" not in scored


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"corpora__kd__parts": ["extra"]}, "has the part extra alone"),
        ({"corpora__kd": {"generate": {}, "select": REFERENCE, "parts": ["gold", "extra"]}},
         "reads the references of sources that have none"),
        ({"checkpoint": "average:3"}, "checkpoint average:3 needs --save-interval-updates"),
    ],
)  # fmt: skip
def test_what_cannot_be_done(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        plan(of=HALVES, halves=True, **changes)


def test_halves_need_a_second_test_set() -> None:
    one = Data("one", "one.yaml", {"languages": ["de", "en"], "tests": ["a"]}, ("--from", "raw"))
    with pytest.raises(InputError, match="one has one test set, and halves: true takes the last"):
        plan(of=one, halves=True)


def test_a_row_that_trains_longer() -> None:
    """So many times what table, scale and model say last; its own scale has the last word."""
    told: dict[str, Any] = {
        "students": {"small": {"model": "small"}}, "rows": {"none": {}, "more": {"longer": 3}},
        "published": [],
    }  # fmt: skip
    read = table(**told)

    def more(*model: str, scale: Scale = PAPER, row: str = "more") -> Command:
        models = {"small": Model("m", model), "big": MODELS["big"]}
        return training(compile_table(read, scale, DATA, models), row).commands[0]

    ends = ("--max-update", "7", "--total-num-update=8")
    assert flag_of(more(*ends), "--max-update") == "21"
    assert flag_of(more(*ends), "--total-num-update") == "24"
    assert "--max-update" not in more(*ends, row="none")
    scale = Scale("smoke", flags={"student": {"--max-update": ("2", "ours")}})
    assert flag_of(more(*ends, scale=scale), "--max-update") == "6"
    scale = Scale("smoke", rows={"more": {"--max-update": ("5", "ours")}})
    assert flag_of(more(*ends, scale=scale), "--max-update") == "5"
    with pytest.raises(
        InputError, match=r"rows\.more\.longer multiplies --max-update, and m does not"
    ):
        more()
    with pytest.raises(InputError, match="m has --max-epoch, which may end it before"):
        more(*ends, "--max-epoch", "3")


@pytest.mark.parametrize("rule", ["last", "best-bleu", "average:3"])
def test_the_checkpoint_that_the_rule_names(rule: str) -> None:
    found = plan(checkpoint=rule, teacher__flags={"--save-interval-updates": 5},
                 students__small__flags={"--save-interval-updates": 5},
                 students__tiny__flags={"--save-interval-updates": 5})  # fmt: skip
    step = training(found, "none")
    path = flag(training(found, "word"), "--teacher-path")
    name = "checkpoint_last.pt" if rule == "last" else "chosen.pt"
    assert path.endswith(f"/model/{name}")
    assert ("--eval-bleu" in step.commands[0]) == (rule == "best-bleu")
    assert len(step.commands) == (1 if rule == "last" else 2)


def test_an_average_where_nothing_says_how_often_to_save() -> None:
    """K times in the second half of the updates that count, those that are given last."""
    long, most = {"--max-update": 50}, {"--max-update": 3}
    found = plan(checkpoint="average:3", teacher__flags=long, students__small__flags=long,
                 students__tiny__flags=most, rows__word__flags={"--max-update": 80})  # fmt: skip
    expected = (("none", "small", "8"), ("none", "tiny", "1"), ("word", "tiny", "13"))
    for row, student, often in expected:
        step = training(found, row, student)
        assert flag(step, "--save-interval-updates") == often
        assert flag(step, "--keep-interval-updates") == "3"
    with pytest.raises(InputError, match="needs --save-interval-updates or --max-update among"):
        plan(checkpoint="average:3", teacher__flags={"--max-update": "many"})


def test_a_smaller_scale() -> None:
    scale = Scale("small", None, 1, 100, 70, models={"student": "tiny"}, students={"small": "big"},
                  flags={"row_flags": {"--kd-weight": ("1", "ours"), "--lr": ("9", "ours")}},
                  rows={"word": {"--seed": ("3", "ours")}})  # fmt: skip
    found = plan(scale)
    word = training(found, "word")
    assert word.commands[0][3] == "$ROOT/big.args"
    assert flag(word, "--kd-weight") == "1"  # which the row has
    assert "--lr" not in word.commands[0]  # which it has not
    assert flag(of_kind(found, "data")[0], "--train-pairs") == "100"
    assert {run.student for run in found.runs} == {"", "small"}


def test_a_script_is_bash_that_says_what_it_does() -> None:
    step = training(plan(rows__word__flags={"--adam-betas": "(0.9, 0.98)"}), "word")
    script = step.script().replace('"$ROOT"/scripts/train.sh', "printf '%s\\n'")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True,
                          env={"ROOT": "/a b"})  # fmt: skip
    assert done.stdout.splitlines()[2:] == [
        w.replace("$ROOT", "/a b") for w in step.commands[0][3:]
    ]
