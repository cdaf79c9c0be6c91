"""How far long work is: a bar that moves at a prompt, and every ten seconds in a log."""

from __future__ import annotations

import sys

from tqdm import tqdm

LINE_EVERY = 10.0  # seconds, where nobody watches


class Progress:
    """Sentences done of all, tokens a second, and the time that is left."""

    def __init__(self, total: int, done: int = 0):
        """``done`` of ``total`` were finished before."""
        watched = sys.stderr.isatty()
        self._bar = tqdm(
            total=total, initial=done, unit="sent", mininterval=0.1 if watched else LINE_EVERY,
            maxinterval=LINE_EVERY, dynamic_ncols=watched,
        )  # fmt: skip
        self._tokens = 0

    def add(self, sentences: int, tokens: int = 0) -> None:
        """So many more are done."""
        self._tokens += tokens
        if self._tokens:
            seconds = max(self._bar.format_dict["elapsed"], 1e-9)
            self._bar.set_postfix_str(f"{self._tokens / seconds:.0f} tokens/s", refresh=False)
        self._bar.update(sentences)

    def close(self) -> None:
        """It is done."""
        self._bar.close()
