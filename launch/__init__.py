"""Command-line programs: python -m launch.NAME.

A program that starts as `python -m` gets the memory settings of `srnet_jax.commands.process`, for which it starts itself again.
"""

import sys

from srnet_jax.commands import process

process.keep_compiled_programs()
if sys.argv[0] == "-m":  # as long as Python looks for the module that `python -m` names
    process.keep_memory()
