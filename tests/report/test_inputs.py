"""Text is read as it was written; bad input is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from kd_plugin.commands import cli
from kd_plugin.report.inputs import read_origlang
from kd_plugin.report.lines import read_lines

from .conftest import write


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"\xef\xbb\xbfa\r\nb", ["a", "b"]),
        (b"a\n\nb\n\n", ["a", "", "b", ""]),
        ("a\u2028b\x0bc\x0cd\x85e\u2029f\n".encode(), ["a\u2028b\x0bc\x0cd\x85e\u2029f"]),
        (b"a\rb\n", ["a\rb"]),
    ],
)
def test_lines_end_at_line_ends_only(tmp_path: Path, data: bytes, lines: list[str]) -> None:
    (tmp_path / "text").write_bytes(data)
    assert read_lines(str(tmp_path / "text"), "--flag") == lines


def test_the_numbers_of_original_languages_decide(folder: Path) -> None:
    write("orig", ["2\ten", "3\t", "1\tde"])
    assert read_origlang("orig", 3) == ["de", "en", ""]


GOOD = "--system good=good0,good1"
REF = "--references ref"
BAD = {
    f"{REF} --system x=absent": "--system x: absent cannot be read (No such file or directory)",
    f"--references absent {GOOD}": "--references absent cannot be read",
    f"{REF} --system x=good0,short": "--system x: short has 46 lines and --references ref has 47",
    f"{REF} short {GOOD}": "--references short has 46 lines and --references ref has 47",
    f"{REF} --system x=empty": "--system x: empty is empty",
    f"{REF} --system x=blank": "--system x: blank is empty",
    f"{REF} --system x=latin": "--system x: latin is not UTF-8 in line 2",
    f"{REF} {GOOD} --system good=good2": "--system good is given twice",
    f"{REF} {GOOD} --baseline poor": "--baseline poor is no system; give one of good",
    f"{REF} --system x=good0,good1,./good0": "--system x has ./good0 twice",
    f"{REF} --system x=good0,link": "--system x has link twice",
    f"{REF} --system good0": "--system good0 is not understood; give NAME=HYP",
    f"{REF} --system =good0": "--system =good0 is not understood",
    f"{REF} --system x=good0,": "--system x=good0, is not understood",
    f"{REF} --system a|b=good0": "--system a|b=good0: a name in a table has no |",
    f"{REF} {GOOD} --shuffles 999": "--shuffles 999 is too few for a p value; give 1000 or more",
    f"{REF} {GOOD} --seed -1": "--seed -1 is negative",
    f"{REF} {GOOD} --origlang short": "--origlang short has 46 lines for 47 sentences",
    f"{REF} {GOOD} --origlang twice": "--origlang twice: '46\\tde' is not a number from 1 to 47",
    f"{REF} {GOOD} --origlang mixed": "--origlang mixed: 'de' is not a number from 1 to 47",
    f"{REF} {GOOD} --origlang three": "--origlang three: '1\\tde\\tx' is not a number",
    f"{REF} {GOOD} --json absent/out": "--json absent/out cannot be written",
}


@pytest.mark.parametrize("flags", BAD)
def test_bad_input_is_one_line(folder: Path, flags: str) -> None:
    numbered = [f"{number}\tde" for number in range(1, 47)]
    write("short", Path("ref").read_text().splitlines()[1:])
    write("empty", [])
    write("blank", [""] * 47)
    write("twice", [*numbered, "46\tde"])
    write("mixed", [*numbered, "de"])
    write("three", ["1\tde\tx", *numbered])
    Path("latin").write_bytes(b"a\n\xe9\n")
    Path("link").symlink_to("good0")
    with pytest.raises(SystemExit) as stopped:
        cli.main(["score", *flags.split()])
    message = str(stopped.value.code)  # what Python prints, exiting with 1
    assert message.startswith(f"fairseq-kd: error: {BAD[flags]}")
    assert "\n" not in message
