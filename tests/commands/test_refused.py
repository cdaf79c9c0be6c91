"""Bad command lines: one line each, which names what is wrong, the rule and the way out."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kd_plugin.commands import cli

# Where things are: DATA, TEACHER, OUT (new), FILE (a text file), FOLDER (a folder of somebody),
# LINK (to nothing), EMPTY (a folder), BAD.yaml, ...; after the colon what the line must say.
CASES = """
generate DATA --path TEACHER --output OUT --beam 0: --beam 0 is too small; give at least 1
generate DATA --path TEACHER --output OUT --beam 2 --nbest 3: --nbest 3 is more than a --beam of 2
generate DATA --path TEACHER --output OUT --max-len-a -5: --max-len-a -5.0 is out of range
generate DATA --path TEACHER --output OUT --max-len-a nan: --max-len-a nan is out of range
generate DATA --path TEACHER --output OUT --lenpen inf: --lenpen inf is out of range
generate DATA --path TEACHER --output OUT --max-len-b 0: --max-len-b 0 is too small
generate DATA --path TEACHER --output OUT --max-tokens -1: --max-tokens -1 is too small
generate DATA --path TEACHER --output OUT --block-size 0: --block-size 0 is too small
generate DATA --path TEACHER --output OUT --shard 2/2: --shard 2/2 is no part; give I/N
generate DATA --path TEACHER --output OUT --shard one: --shard one is no part; give I/N
generate DATA --path TEACHER --output OUT --subset nothing: holds no nothing set of xx-yy
generate DATA --path TEACHER --output OUT -s zz: --source-lang zz is no language of
generate DATA --path TEACHER --output OUT -t zz: --target-lang zz is no language of
generate DATA --path nothing.pt --output OUT: --path nothing.pt does not exist; name a checkpoint
generate DATA --path FILE --output OUT: is not a fairseq checkpoint
generate DATA --path FOLDER --output OUT: is no file; name a checkpoint file
generate DATA --path TEACHER: --output OUT: has an empty name between colons; remove it
generate NOTHING --path TEACHER --output OUT: does not exist; name a binarised corpus
generate EMPTY --path TEACHER --output OUT: holds no binarised corpus; make one with
generate NODICT --path TEACHER --output OUT: lacks dict.yy.txt
generate DATA --path TEACHER --output FILE: cannot be written
generate DATA --path TEACHER --output FILE/deep: cannot be written
generate DATA --path TEACHER --output OUT --knnmt-datastore EMPTY: holds no finished datastore
generate DATA --path TEACHER --output OUT --knnmt-datastore EMPTY --knnmt-lambda nan: 0 to 1
generate DATA --path TEACHER --output OUT --knnmt-datastore EMPTY --knnmt-temperature inf: 0.000001
generate DATA --path TEACHER --output OUT --knnmt-datastore EMPTY --knnmt-k 0: 1 to the
generate DATA --path TEACHER --output OUT --fp16 --cpu: --fp16 needs a GPU
generate DATA --path TEACHER --output OUT --sampling --beam 4: a sample has no beam; say with
generate DATA --path TEACHER --output OUT --sampling --sampling-topp 0: out of range; give 0.000001
generate DATA --path TEACHER --output OUT --sampling-epsilon 0.1: is of samples; add --sampling
generate DATA --path TEACHER --output OUT --diverse-beam-groups 9: does not divide --beam 5; give
generate DATA --path TEACHER --output OUT --teacher-forcing --beam 4: --beam 4 is of a search
fold DATA --output OUT: give one of --folds, --corpora and --stores, not none
fold DATA --folds 0 --output OUT: --folds 0 is out of range; give 2 to 1,000
fold DATA --folds 2 --output FOLDER: exists; give another, or remove it
fold DATA --folds 2 --output FILE/deep: cannot be written
fold NOTHING --folds 2 --output OUT: does not exist; name a binarised corpus
fold DATA --corpora EMPTY --output OUT: say for each what its teacher was trained on
fold DATA --corpora EMPTY --trained-on DATA --output OUT: should hold one complete set of shards
fold DATA --stores EMPTY --trained-on DATA --output OUT: should hold one complete set of shards
fold DATA --stores EMPTY --path FILE --output OUT: is not a fairseq checkpoint
cache DATA --output OUT: --path is not given; name the teacher's checkpoint
cache DATA --path TEACHER --output OUT --top-k 0: --top-k 0 is too small
cache DATA --path TEACHER --output OUT --top-k 999: is more than the
cache DATA --path TEACHER --output OUT --subset train,nothing: holds no nothing set
cache DATA --path TEACHER --output FILE: cannot be written
cache DATA --path TEACHER --output EMPTY --verify: should hold one complete set of shards
cache DATA --path TEACHER --output EMPTY --info: should hold one complete set of shards
datastore DATA --path TEACHER:TEACHER --output OUT: has the states of one model; name one
datastore DATA --path TEACHER --output OUT --index WRONG: is no index that faiss can make
datastore DATA --path TEACHER --output OUT --index IVF99999,Flat: has 99999 lists and there are
neighbours EMPTY --output OUT: holds no finished datastore
neighbours NOTHING --output OUT: holds no finished datastore
neighbours EMPTY --output OUT --k 0: --k 0 is too small
neighbours EMPTY --output OUT --probes 0: --probes 0 is too small
binarise EMPTY DATA --output OUT: should hold one complete set of shards
binarise EMPTY EMPTY --output OUT: holds no binarised corpus
import DATA --hypotheses FILE --output OUT: no SentencePiece model of yy stand beside
import DATA --hypotheses FILE --subwords none --output OUT: has 1 sentences and the data has 150
import DATA --hypotheses FOLDER --subwords none --output OUT: cannot be read
import DATA --hypotheses FILE --output OUT --workers 0: --workers 0 is too small
select EMPTY --output OUT: should hold one complete set of shards
select NOTHING --output OUT: should hold one complete set of shards
select EMPTY --output OUT --by reference: --by reference needs references
select EMPTY --output OUT --copies 1,x: --copies 1,x is no list of counts
filter EMPTY DATA --output OUT --copies: should hold one complete set of shards
filter EMPTY DATA --output OUT: no rule is given
mix DATA --part gold --output FOLDER: exists; give another, or remove it
mix DATA --part gold --output FILE/deep: cannot be written
mix DATA --part NOTHING --output OUT: is no folder; give gold
noise DATA --delete 0.1 --output FOLDER: exists; give another, or remove it
noise DATA --delete 2 --output OUT: --delete 2.0 is out of range
describe DATA EMPTY: should hold one complete set of shards
describe TEACHER: is a file, and corpora are folders; for a model give fairseq-kd parameters
describe DATA --json FILE/deep --subwords none: --json
history EMPTY: should hold one complete set of shards
text EMPTY -s xx -t yy --output OUT: should hold one complete set of shards
text NOTHING -s xx -t yy --output OUT: should hold one complete set of shards
prepare nothing.yaml --output OUT: nothing.yaml cannot be read
prepare EMPTYFILE --output OUT: is empty or no mapping
prepare BROKEN --output OUT: is no YAML
prepare PARTIAL --output OUT: lacks the key 'valid'
prepare TYPO --output OUT: has the unknown key 'langauges'; give languages
prepare BINARY --output OUT: is no YAML
prepare GOOD --output OUT: give --from FOLDER with its files (here)
prepare GOOD --output OUT --from EMPTY: holds neither train.xx nor train.xx.gz
prepare GOOD --output OUT --from RAW --train-pairs -5: --train-pairs -5 is too small
prepare GOOD --output OUT --from RAW --train-pairs 0: --train-pairs 0 is too small
prepare BIG --output OUT --from RAW: no bpe of size 5000 can be learned from the 20 training lines
prepare GOOD --output FOLDER --from RAW: exists; give another, or remove it
prepare GOOD --output LINK --from RAW: is a link to nothing; remove it, or give another
prepare GOOD --output FILE/deep --from RAW: cannot be written
average TEACHER --output FILE: exists; give another, or remove it
average TEACHER --output TEACHER: exists; give another, or remove it
average nothing.pt --output OUT: does not exist
average TEACHER --output FOLDER: exists; give another
generate DATA --path TEACHER:TEACHER --output OUT --engine ctranslate2: give one checkpoint, or give
export TEACHER OUT --format ctranslate2 --data NOTHING: is no folder; give --data, the folder with
export TEACHER FOLDER --format ctranslate2: exists; give another
export TEACHER OUT --format ctranslate2 --subwords FILE: is no model of SentencePiece; give the one
export TEACHER OUT --subwords FILE: --subwords is of --format ctranslate2; give that
export TEACHER TEACHER: exists; give another
export TEACHER FOLDER: exists; give another
export TEACHER FILE/deep: cannot be written
checkpoint EMPTY --rule last: name the --save-dir of a training
checkpoint EMPTY --rule average:2: keeps 0 checkpoint(s)
parameters nothing.args: does not exist; name a file of flags or a checkpoint
parameters FILE: is not a fairseq checkpoint
score --references FILE --system a=nothing.txt: nothing.txt
score --references nothing.txt --system a=FILE: nothing.txt
score --references FILE --system FILE: is not understood; give NAME=HYP
score --references FILE --system a=FILE --baseline b: --baseline b is no system; give one of a
score --references FILE --system a=FILE --shuffles 5: --shuffles 5 is too few
score --references FILE --system a=FILE --seed -1: --seed -1 is negative
score --references FILE --system a=FILE --json FOLDER: --json
score --references FILE --system a=FILE --json FILE/deep.json: --json
score --references FILE --system a=FILE --plot FOLDER: --plot
score --references FOLDER --system a=FILE: --references
agreement DATA --teacher TEACHER --student nothing.pt: --student nothing.pt does not exist
agreement DATA --teacher TEACHER --student TEACHER --bins 0: --bins 0 is too small
agreement DATA --teacher TEACHER --student TEACHER --edges 3,2: are no rising frequencies
agreement DATA --teacher TEACHER --student TEACHER --subset nothing: holds no nothing set
agreement DATA --teacher TEACHER --student TEACHER --json FOLDER --cpu: --json
"""
GOOD = """languages: [xx, yy]
train: train
valid: valid
tests: [test]
subwords: {type: bpe, joint: true, size: 40}
clean: {max_words: 100, max_ratio: 9}
where: here
"""


@pytest.fixture(scope="module")
def place(data: Path, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What stands for each word of the cases."""
    folder = tmp_path_factory.mktemp("place")
    paths = {word: folder / word.lower() for word in ("EMPTY", "FOLDER", "RAW", "NODICT")}
    for path in paths.values():
        path.mkdir()
    (paths["FOLDER"] / "mine").write_text("mine")
    for split in ("train", "valid", "test"):
        for code in ("xx", "yy"):
            (paths["RAW"] / f"{split}.{code}").write_text("a b c d e f g h\n" * 20)
    for file in data.iterdir():
        if file.name != "dict.yy.txt":
            shutil.copy(file, paths["NODICT"])
    texts = {
        "FILE": "mine\n", "EMPTYFILE": "", "BROKEN": "a: [b\n", "GOOD": GOOD,
        "PARTIAL": "languages: [xx, yy]\ntrain: train\n",
        "TYPO": GOOD.replace("languages", "langauges"),
        "BIG": GOOD.replace("size: 40", "size: 5000"),
    }  # fmt: skip
    for word, text in texts.items():
        paths[word] = folder / word.lower()
        paths[word].write_text(text)
    paths["BINARY"] = folder / "binary"
    paths["BINARY"].write_bytes(bytes(range(128, 256)))
    paths["LINK"] = folder / "link"
    paths["LINK"].symlink_to(folder / "gone")
    paths |= {"DATA": data, "TEACHER": teacher, "NOTHING": folder / "gone"}
    return {word: str(path) for word, path in paths.items()}


@pytest.mark.parametrize("case", CASES.strip().split("\n"))
def test_one_line(case: str, place: dict[str, str], tmp_path: Path) -> None:
    command, words = case.rsplit(": ", 1)
    known = {**place, "OUT": str(tmp_path / "out")}
    flags = [
        "/".join(":".join(known.get(w, w) for w in part.split(":")) for part in word.split("/"))
        for word in command.split()
    ]
    name, equals = flags[0], [flag.split("=") for flag in flags[1:]]
    flags = ["=".join(known.get(part, part) for part in parts) for parts in equals]
    with pytest.raises(SystemExit) as stopped:
        cli.main([name, *flags])
    said = str(stopped.value)
    assert said.startswith("fairseq-kd: error: ")
    assert words in said
    assert "\n" not in said
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").glob("*.jsonl.gz"))
    assert Path(place["FILE"]).read_text() == "mine\n"
    assert (Path(place["FOLDER"]) / "mine").read_text() == "mine"
