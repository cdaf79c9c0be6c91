"""The most memory that this process has had."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")
UNIT = 1 if sys.platform == "darwin" else 1024  # bytes, of what the system calls ru_maxrss


def peak_megabytes() -> int:
    """The largest resident set so far, in MB of 10^6 bytes.

    On Linux by ``VmHWM``, which begins with this program; ``ru_maxrss``, which is taken elsewhere,
    also counts what the process was a copy of when it began.
    """
    if STATUS.exists():
        found = re.search(r"^VmHWM:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
        if found:
            return round(int(found[1]) * 1024 / 1e6)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT / 1e6)
