"""Raw text, however odd, becomes clean lines in which nothing is lost unseen."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from kd_plugin.commands import cli

WORDS = "eins zwei drei vier fünf sechs sieben acht neun zehn".split()
CONFIG = """
where: somewhere
languages: [xx, yy]
train: train
valid: [val, valid]
tests: [first, second]
subwords: {type: bpe, joint: JOINT, size: 60}
clean: {max_words: 9, max_ratio: 3}
"""


def plenty(code: str, count: int = 60) -> list[str]:
    """Lines that no rule drops."""
    return [
        f"{code} {WORDS[i % 10]} {WORDS[(i * 7) % 10]} {WORDS[(i * 3) % 10]}" for i in range(count)
    ]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    for code in ("xx", "yy"):
        with gzip.open(folder / f"train.{code}.gz", "wb") as file:
            file.write("".join(f"{line}\n" for line in plenty(code)).encode())
        for name, count in (("val", 5), ("first", 4), ("second", 3)):
            (folder / f"{name}.{code}").write_text(
                "\n".join(plenty(code, count))
            )  # no last newline
    return folder


def run(raw: Path, *flags: str, joint: bool = True) -> Path:
    config, output = raw.with_name("config.yaml"), raw.with_name("out")
    config.write_text(CONFIG.replace("JOINT", str(joint).lower()))
    cli.main(["prepare", str(config), "--from", str(raw), "--output", str(output), *flags])
    return output


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def test_every_split_comes_through(raw: Path) -> None:
    output = run(raw)
    sizes = {"train": 60, "valid": 5, "test": 4, "test1": 3}
    for split, size in sizes.items():
        for code in ("xx", "yy"):
            assert lines(output / "raw" / f"{split}.{code}") == plenty(code, size)
            pieces = lines(output / "subwords" / f"{split}.{code}")
            joined = [p.replace(" ", "").replace("\u2581", " ").strip() for p in pieces]
            assert joined == plenty(code, size)
    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["lines"]["train.xx"] == 60
    assert manifest["dropped"] == {}
    assert (output / "subwords" / "joint.model").exists()


def test_a_model_for_each_side(raw: Path) -> None:
    output = run(raw, joint=False)
    assert {p.name for p in (output / "subwords").glob("*.model")} == {"xx.model", "yy.model"}


ODD = {
    "a\tb  c": "a b c",
    "windows line\r": "windows line",
    "no\u00a0break\u2028separator\x85next": "no break separator next",
    "שלום עולם": "שלום עולם",
    "e\u0301 combining": "e\u0301 combining",
    " \t ": None,
    "word " * 10: None,
    "one two three four": None,  # against a target of one word
}


def test_odd_lines_are_normalised_or_dropped_and_counted(raw: Path) -> None:
    source, target = plenty("xx"), plenty("yy")
    source += ODD
    target += ["a b"] * (len(ODD) - 1) + ["one"]
    text = "\n".join(source).encode() + b"\nnot \xff utf-8\n"
    with gzip.open(raw / "train.xx.gz", "wb") as file:
        file.write(text)
    with gzip.open(raw / "train.yy.gz", "wb") as file:
        file.write(("\n".join(target) + "\na b\n").encode())
    output = run(raw)
    kept = [expected for expected in ODD.values() if expected is not None]
    assert lines(output / "raw" / "train.xx")[60:] == kept
    assert len(lines(output / "raw" / "train.yy")) == 60 + len(kept)
    assert json.loads((output / "manifest.json").read_text())["dropped"] == {
        "empty": 1, "over 9 words": 1, "lengths differ by over 3": 1, "not UTF-8": 1,
    }  # fmt: skip


def test_an_empty_line_of_a_test_set_stays(raw: Path) -> None:
    (raw / "first.xx").write_text("xx eins\n\nxx zwei\n\n")
    assert lines(run(raw) / "raw" / "test.xx") == ["xx eins", "", "xx zwei", ""]


def test_only_so_many_training_pairs(raw: Path) -> None:
    assert len(lines(run(raw, "--train-pairs", "40") / "subwords" / "train.yy")) == 40


def test_a_training_set_in_halves_by_source(raw: Path) -> None:
    """Each pair is in one half, with all others of its source; the rest stays as it is."""
    config, output = raw.with_name("halves.yaml"), raw.with_name("halves")
    config.write_text(CONFIG.replace("JOINT", "true") + "origlang: true\n")
    for name, count in (("first", 4), ("second", 3)):
        (raw / f"{name}.origlang").write_text("xx\n" * count)
    command = ["prepare", str(config), "--from", str(raw), "--output", str(output), "--halves"]
    cli.main(command)
    halves = [
        list(zip(*(lines(output / "raw" / f"{split}.{code}") for code in ("xx", "yy"))))
        for split in ("train", "test2")
    ]
    whole = list(zip(plenty("xx"), plenty("yy")))
    assert all(halves)
    assert sorted(halves[0] + halves[1]) == sorted(whole)
    assert not {source for source, _ in halves[0]} & {source for source, _ in halves[1]}
    assert lines(output / "raw" / "test2.origlang") == [""] * len(halves[1])
    assert len(lines(output / "subwords" / "test2.xx")) == len(halves[1])
    assert lines(output / "raw" / "test1.xx") == plenty("xx", 3)
    for code in ("xx", "yy"):
        with gzip.open(raw / f"train.{code}.gz", "wb") as file:
            file.write(f"{code} eins\n".encode() * 9)
    with pytest.raises(SystemExit, match="all 9 training pairs have sources of one half; give"):
        cli.main([*command[:-2], str(raw.with_name("one")), "--halves"])


def test_a_finished_folder_is_left_alone(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = run(raw)
    before = (output / "subwords" / "train.xx").stat().st_mtime_ns
    run(raw)
    assert "is complete: nothing to do" in capsys.readouterr().out
    assert (output / "subwords" / "train.xx").stat().st_mtime_ns == before


def test_the_toy_needs_no_folder(tmp_path: Path) -> None:
    config = tmp_path / "toy.yaml"
    toy = "{train: 300, valid: 9, test: 7, references: 2, damage: 0.1, seed: 2}"
    config.write_text(
        f"generator: toy\ntoy: {toy}\nreferences: 2\n"
        + CONFIG.replace("[xx, yy]", "[de, en]")
        .replace("[first, second]", "[test]")
        .replace("size: 60", "size: 300")
        .replace("max_words: 9", "max_words: 99")
        .replace("JOINT", "true")
    )
    cli.main(["prepare", str(config), "--output", str(tmp_path / "out")])
    assert len(lines(tmp_path / "out" / "raw" / "train.de")) == 300
    assert len(lines(tmp_path / "out" / "raw" / "test.en1")) == 7
    assert {p.name for p in tmp_path.iterdir()} == {"toy.yaml", "out"}


def test_bad_input(raw: Path) -> None:
    def refused(words: str) -> None:
        with pytest.raises(SystemExit, match=f"^fairseq-kd: error: .*{words}"):
            run(raw)
        assert not raw.with_name("out").exists()

    (raw / "second.yy").write_bytes(b"fine\nnot \xff fine\nfine\n")
    refused(r"test1\.yy, line 2 is not UTF-8; mend the file")
    (raw / "second.yy").write_text("one\ntwo\n")
    refused(r"has lines of second in different numbers \(3 of xx, 2 of yy\)")
    (raw / "second.yy").unlink()
    refused(r"holds neither second\.yy nor second\.yy\.gz")


def test_a_file_of_another_version_is_refused(raw: Path) -> None:
    config = raw.with_name("other.yaml")
    config.write_text(CONFIG.replace("JOINT", "true") + f"sha256: {{valid.xx: {'a' * 64}}}\n")
    command = ["prepare", str(config), "--from", str(raw), "--output", str(raw.with_name("o"))]
    with pytest.raises(SystemExit, match=r"val\.xx is not the file that the configuration names"):
        cli.main(command)


def test_each_of_several_files_has_its_own_hash(raw: Path) -> None:
    texts = {name: (raw / f"{name}.xx").read_bytes() for name in ("val", "first")}
    sums = {name: hashlib.sha256(text).hexdigest() for name, text in texts.items()}
    config = raw.with_name("several.yaml")
    several = CONFIG.replace("JOINT", "true").replace("[val, valid]", "{all: [val, first]}")

    def prepare(hashes: str, name: str) -> Path:
        config.write_text(f"{several}sha256: {{{hashes}}}\n")
        output = raw.with_name(name)
        cli.main(["prepare", str(config), "--from", str(raw), "--output", str(output)])
        return output

    output = prepare(f"valid.xx: [{sums['val']}, {sums['first']}]", "right")
    assert lines(output / "raw" / "valid.xx") == plenty("xx", 5) + plenty("xx", 4)
    with pytest.raises(SystemExit, match=r"val\.xx is not the file that the configuration names"):
        prepare(f"valid.xx: [{sums['first']}, {sums['val']}]", "swapped")
    for hashes, words in (
        (f"valid.xx: {sums['val']}", "which must be a list of 2 hashes, one for each file"),
        (f"valid.xx: [{sums['val']}]", "which must be a list of 2 hashes"),
        (f"test.xx: [{sums['val']}, {sums['val']}]", "which must be one hash"),
        (
            f"val.xx: {sums['val']}",
            r"sha256 has 'val\.xx'; give one of train\.xx, train\.yy, valid",
        ),
    ):
        with pytest.raises(SystemExit, match=words):
            prepare(hashes, "refused")
    assert not raw.with_name("refused").exists()


def test_the_original_languages_of_test_sets(raw: Path) -> None:
    config, output = raw.with_name("told.yaml"), raw.with_name("told")
    config.write_text(
        CONFIG.replace("JOINT", "true").replace("second]", "'x.{code}.sgm']") + "origlang: true\n"
    )
    command = ["prepare", str(config), "--from", str(raw), "--output", str(output)]
    segments = "<seg id='1'> a b </seg>\n<seg id='2'>c</seg>"
    for code in ("xx", "yy"):
        (raw / f"x.{code}.sgm").write_text(
            f'<srcset><doc docid="1" origlang="xx">\n{segments}</doc>\n'
            f'<DOC docid="2" genre="news" origlang="yy"><seg id="1">d</seg></DOC></srcset>'
        )
    with pytest.raises(SystemExit, match=r"holds neither first\.origlang nor first\.origlang\.gz"):
        cli.main(command)
    (raw / "first.origlang").write_text("xx\nyy\nyy\n")
    with pytest.raises(SystemExit, match="test has 4 sentences and 3 original languages; give one"):
        cli.main(command)
    (raw / "first.origlang").write_text("xx\nyy\nyy\nxx\n")
    cli.main(command)
    assert lines(output / "raw" / "test.origlang") == ["xx", "yy", "yy", "xx"]
    assert lines(output / "raw" / "test1.origlang") == ["xx", "xx", "yy"]
    (raw / "x.xx.sgm").write_text(f"<doc docid='1'>{segments}<seg id='3'>d</seg></doc>")
    with pytest.raises(SystemExit, match="does not tell the original language of each document"):
        cli.main([*command[:-1], str(raw.with_name("untold"))])


def test_no_folder_is_given(raw: Path) -> None:
    config = raw.with_name("config.yaml")
    command = ["prepare", str(config), "--output", str(raw.with_name("o"))]
    config.write_text(CONFIG.replace("JOINT", "true"))
    with pytest.raises(SystemExit, match=r"give --from FOLDER with its files .somewhere"):
        cli.main(command)
    lines = CONFIG.replace("JOINT", "true").splitlines()
    config.write_text("\n".join(line for line in lines if not line.startswith("where")))
    with pytest.raises(SystemExit, match=r"give --from FOLDER with its files$"):
        cli.main(command)
    with pytest.raises(SystemExit, match=r"--from .*gone is no folder; name the one"):
        cli.main([*command, "--from", str(raw.with_name("gone"))])


class Site:
    """A public folder of gzipped files on this machine."""

    def __init__(self, raw: Path):
        self.folder = raw.with_name("site")
        self.folder.mkdir()
        self.sums = []
        for path in sorted(raw.iterdir()):
            content = path.read_bytes()
            text = gzip.decompress(content) if path.suffix == ".gz" else content
            (self.folder / f"{path.name.removesuffix('.gz')}.gz").write_bytes(gzip.compress(text))
            split = {"train": "train", "val": "valid", "first": "test", "second": "test1"}
            stem, code = path.name.removesuffix(".gz").split(".")
            self.sums.append(f"{split[stem]}.{code}: {hashlib.sha256(text).hexdigest()}")
        self.config = raw.with_name("site.yaml")
        self.config.write_text(
            CONFIG.replace("JOINT", "true")
            + f"download: {self.folder.as_uri()}\nsha256: {{{', '.join(self.sums)}}}\n"
        )

    def prepare(self, output: Path, *flags: str) -> None:
        cli.main(["prepare", str(self.config), "--output", str(output), *flags])


def test_downloaded_files_are_the_same_text(raw: Path) -> None:
    site, output = Site(raw), raw.with_name("downloaded")
    site.prepare(output, "--download")
    assert lines(output / "raw" / "train.xx") == lines(run(raw) / "raw" / "train.xx")
    assert not output.with_name(".downloaded.kd-download").exists()


def test_a_download_that_fails_keeps_what_is_good(raw: Path) -> None:
    site, output = Site(raw), raw.with_name("downloaded")
    kept = output.with_name(".downloaded.kd-download")
    good = (site.folder / "second.yy.gz").read_bytes()
    for bad, words in (
        (None, r"second\.yy\.gz cannot be fetched .*; fetch the files by other means"),
        (gzip.compress(b"other\n"), r"second\.yy\.gz is not the file that the configuration names"),
        (good[:-9], r"second\.yy\.gz is no whole gzip file"),
    ):
        (site.folder / "second.yy.gz").unlink()
        if bad is not None:
            (site.folder / "second.yy.gz").write_bytes(bad)
        with pytest.raises(SystemExit, match=words):
            site.prepare(output, "--download")
        assert not output.exists()
        assert len(list(kept.iterdir())) == 7  # of 8
        (site.folder / "second.yy.gz").write_bytes(good)
    for path in site.folder.iterdir():
        if path.name != "second.yy.gz":
            path.unlink()  # they are not fetched again
    site.prepare(output, "--download")
    assert len(lines(output / "raw" / "test1.yy")) == 3


def test_where_to_download_from(raw: Path) -> None:
    config = raw.with_name("config.yaml")
    config.write_text(CONFIG.replace("JOINT", "true"))
    with pytest.raises(SystemExit, match=r"--download: .*names no address .download:.; give"):
        cli.main(["prepare", str(config), "--output", str(raw.with_name("o")), "--download"])
    with pytest.raises(SystemExit, match=r"--from .* and --download are two places"):
        Site(raw).prepare(raw.with_name("o"), "--download", "--from", str(raw))
    with pytest.raises(SystemExit, match=r"give --from FOLDER .*, or --download$"):
        cli.main(["prepare", str(raw.with_name("site.yaml")), "--output", str(raw.with_name("o"))])


def test_other_settings_on_a_finished_folder_are_refused(tmp_path: Path) -> None:
    config, output = tmp_path / "toy.yaml", tmp_path / "out"
    small = "train: 60, valid: 5, test: 5, references: 1, damage: 0, seed: 1"
    text = (
        f"generator: toy\ntoy: {{{small}}}\nlanguages: [de, en]\ntrain: train\nvalid: valid\n"
        "tests: [test]\nsubwords: {type: bpe, joint: true, size: SIZE}\n"
        "clean: {max_words: 100, max_ratio: 9}\n"
    )
    config.write_text(text.replace("SIZE", "120"))
    command = ["prepare", str(config), "--output", str(output)]
    cli.main(command)
    with pytest.raises(
        SystemExit, match="was prepared with train_pairs None and this command says 50"
    ):
        cli.main([*command, "--train-pairs", "50"])
    config.write_text(text.replace("SIZE", "130"))
    with pytest.raises(
        SystemExit, match=r"was prepared with subwords.size 120 and this command says 130; give"
    ):
        cli.main(command)
