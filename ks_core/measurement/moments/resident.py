"""How much memory this process holds, and how much the machine has."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

try:
    import resource
except ImportError:  # Windows, which tells neither: plans then count nothing for the process
    resource = None  # type: ignore[assignment]

_STATM, _STATUS = Path("/proc/self/statm"), Path("/proc/self/status")


def resident_bytes() -> int:
    """Bytes of memory that the process holds now; where the system does not tell, the most it ever held."""
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return peak_bytes()


def peak_bytes() -> int:
    """The most bytes of memory that the process ever held.

    On Linux not `ru_maxrss`, which begins with what the process that started this one held.
    """
    if _STATUS.exists() and (found := re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)):
        return int(found[1]) * 1024
    if resource is None:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # elsewhere it counts in kibibytes


def host_memory() -> int:
    """Bytes of the machine's memory; where it does not tell, as if there were none to be sure of."""
    if not hasattr(os, "sysconf"):
        return 0
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
