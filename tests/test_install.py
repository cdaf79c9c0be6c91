"""The package as it is installed: wheel, links, the command, and a machine without fairseq."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import kd_plugin

from .support import SCHEDULE, TINY, command

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a copy, so that nothing that an earlier build left can get in
    leave = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, symlinks=True, ignore=leave)
    flags = ["-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source]
    done = command("python", *flags, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("kd_plugin-*.whl")
    return path


def test_a_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    version = kd_plugin.__version__
    assert {name.split("/")[0] for name in names} == {
        "kd_plugin",
        f"kd_plugin-{version}.dist-info",
    }
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "kd_plugin").rglob("*.py")}
    assert modules <= set(names)
    assert "kd_plugin/py.typed" in names


def train(user_dir: str, data: Path, save_dir: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    flags = [*SCHEDULE, *TINY, "--user-dir", user_dir, "--task", "distillation"]
    flags += ["--criterion", "seq_kd", "--max-update", "1", "--save-dir", str(save_dir)]
    return command("fairseq-train", data, *flags, cwd=cwd)


def test_an_installed_package_trains(wheel: Path, data: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    code = "import kd_plugin.commands.cli as c; c.main(['user-dir'])"
    where = python(code, cwd=tmp_path, path=site).stdout.strip()
    assert where == str(site / "kd_plugin")
    done = train(where, data, tmp_path / "save", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "signature: seq_kd|nll:0|kd:1" in done.stdout


def test_a_checkout_trains_without_being_installed(data: Path, tmp_path: Path) -> None:
    done = train("kd_plugin", data, tmp_path / "save", cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["criterions", "tasks"])
def test_links_lead_into_the_package(name: str) -> None:
    assert (ROOT / name).is_symlink()
    assert os.readlink(ROOT / name) == f"kd_plugin/{name}"
    assert (ROOT / name).resolve() == ROOT / "kd_plugin" / name


def python(code: str, cwd: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(path or ROOT)}
    call = [sys.executable, "-c", code]
    return subprocess.run(call, cwd=cwd, env=environment, capture_output=True, text=True)


def test_the_command_prints_the_user_dir(tmp_path: Path) -> None:
    done = command("fairseq-kd", "user-dir", cwd=tmp_path)
    assert Path(done.stdout.strip(), "criterions", "word_kd.py").is_file()
    assert done.stderr == ""


def test_without_fairseq_one_line_says_what_to_type(tmp_path: Path) -> None:
    done = python("import sys; sys.modules['fairseq'] = None; import kd_plugin", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "-c: error: kd_plugin needs fairseq, which is not installed; type: pip install "
        "'kd-plugin[fairseq]' or pip install fairseq-fixed==0.12.3.1, or install your own"
    ]


def test_a_broken_fairseq_keeps_its_own_error(tmp_path: Path) -> None:
    (tmp_path / "fairseq").mkdir()
    (tmp_path / "fairseq" / "__init__.py").write_text("import a_part_that_is_missing")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", "import kd_plugin"], env=environment, capture_output=True, text=True
    )
    assert "No module named 'a_part_that_is_missing'" in done.stderr


@pytest.mark.parametrize("flags", [[], ["--help"], ["user-dir", "--help"], ["--version"]])
def test_help(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from kd_plugin.commands import cli

    with pytest.raises(SystemExit) as stopped:
        cli.main(flags)
    printed = capsys.readouterr()
    assert stopped.value.code == (0 if flags else 2)
    assert "fairseq-kd" in printed.out + printed.err or "kd-plugin" in printed.out


@pytest.mark.parametrize(
    "name",
    [
        "prepare",
        "sources",
        "generate",
        "import",
        "select",
        "filter",
        "mix",
        "noise",
        "history",
        "binarise",
        "text",
        "cache",
        "datastore",
        "neighbours",
        "score",
        "agreement",
        "average",
        "export",
        "checkpoint",
        "describe",
        "parameters",
        "user-dir",
    ],
)
def test_every_command_explains_itself_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from kd_plugin.commands import cli

    with pytest.raises(SystemExit) as stopped:
        cli.main([name, "--help"])
    printed = capsys.readouterr().out
    assert stopped.value.code == 0
    assert "fairseq-kd" in printed[printed.rindex("example:") :]
