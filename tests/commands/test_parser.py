"""What argparse refuses is one line, which names the flag that may have been meant."""

from __future__ import annotations

import pytest

from kd_plugin.commands import cli


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (
            "prepare x --output y --form corpus",
            "fairseq-kd prepare: error: unrecognized arguments: --form corpus "
            "(did you mean --from?)",
        ),
        ("cache DATA --output x --zzz", "fairseq-kd cache: error: unrecognized arguments: --zzz"),
        (
            "plan toy --scale tiny",
            "fairseq-kd plan: error: argument --scale: invalid choice: 'tiny' "
            "(choose from 'smoke', 'small', 'paper')",
        ),
        (
            "neighbours x --output y --own keep --kk 3",
            "fairseq-kd neighbours: error: unrecognized arguments: --kk 3 (did you mean --k?)",
        ),
    ],
)
def test_one_line(given: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(given.split())
    assert stopped.value.code == 2
    program = line.partition(": error")[0]
    said = capsys.readouterr().err.replace(
        "(choose from smoke, small, paper)", "(choose from 'smoke', 'small', 'paper')"
    )
    assert said == f"{line}; see {program} --help\n"
