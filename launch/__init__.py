"""Command-line programs: python -m launch.NAME.

XLA takes the memory of a training step from the system anew at each call. By default glibc hands large pieces back at once, and
mapping their pages again takes up to a third of a step on a CPU (`python -m launch.benchmark train` measures it;
docs/speed.md). What changes this is read when a process starts, so a program that runs as `python -m` starts itself over, once.
"""

import os
import platform
import sys
from pathlib import Path

_ALLOCATOR = "GLIBC_TUNABLES"
_KEEP_MEMORY = (  # large pages, one arena, nothing mapped for one piece alone, nothing handed back
    "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=1099511627776"
)

# XLA's compiled programs are kept for the next run
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR",
    str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "srnet_jax" / "compiled"),
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")

_starts_a_program = sys.argv[0] == "-m"  # so it is while Python looks for the module that `python -m` names
if _starts_a_program and platform.libc_ver()[0] == "glibc" and _ALLOCATOR not in os.environ:
    os.environ[_ALLOCATOR] = _KEEP_MEMORY
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # the same process, with its number
