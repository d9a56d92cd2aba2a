"""Settings of a command's process, which must be made before JAX is imported."""

import os
import platform
import sys
from pathlib import Path

_ALLOCATOR = "GLIBC_TUNABLES"
_KEEP_MEMORY = (  # large pages, one arena, no allocation mapped on its own, no memory returned to the system
    "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=1099511627776"
)


def keep_compiled_programs() -> None:
    """Make JAX cache compiled programs in the user's cache folder, so that the next run need not compile them.

    Environment variables that are already set are kept.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache / "srnet_jax" / "compiled"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")


def keep_memory() -> None:
    """Make glibc keep freed memory; this replaces the process by a new one with the same arguments and process id, once.

    XLA allocates the memory of a step at each call. By default, glibc returns large blocks to the system when they are freed.
    Mapping their pages again takes up to a third of a training step on a CPU (`python -m launch.benchmark train` measures it;
    docs/speed.md). glibc reads its settings when a process starts. With another C library, with GLIBC_TUNABLES already set, or
    for --help, this does nothing.
    """
    if platform.libc_ver()[0] == "glibc" and _ALLOCATOR not in os.environ and "--help" not in sys.orig_argv:
        os.environ[_ALLOCATOR] = _KEEP_MEMORY
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
