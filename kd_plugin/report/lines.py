"""Text with one sentence a line, read as it was written."""

from __future__ import annotations

from ..errors import InputError


def read_lines(path: str, flag: str) -> list[str]:
    r"""The lines of a UTF-8 file, which end at ``\n`` or ``\r\n`` and nowhere else.

    A line separator inside a sentence (U+2028, a form feed) stays there: ``str.splitlines`` would
    shift every sentence after it. The last line counts with or without its end.

    Raises InputError, naming ``flag``, for a file that cannot be read, is not UTF-8 or has no text.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise InputError(f"{flag} {path} cannot be read ({error.strerror}); give a file") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{flag} {path} is not UTF-8 in line {line}; convert it (iconv -t UTF-8)"
        ) from None
    if not text.strip():
        raise InputError(f"{flag} {path} is empty; give a file with one sentence a line")
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def read_translations(path: str, flag: str, references: list[str]) -> list[str]:
    """The lines of a text file, as many as there are references.

    Raises:
        InputError: it cannot be read, or there are more or fewer.
    """
    lines = read_lines(path, flag)
    if len(lines) != len(references):
        raise InputError(
            f"{flag} {path} has {len(lines)} lines and --references {len(references)}; give a line "
            "for each sentence"
        )
    return lines
