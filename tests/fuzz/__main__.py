"""Fuzz the readers: python -m tests.fuzz --inputs=100000 [--reader=NAME] [--seed=N] [--processes=2]."""

import argparse
import sys
import time

from tests.fuzz.readers import READERS
from tests.fuzz.table import fuzz_all, lines


def _report(line):
    print(line, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the readers of files.", allow_abbrev=False)
    parser.add_argument("--inputs", type=int, default=1000, help="of each reader")
    parser.add_argument("--reader", action="append", choices=READERS, help="only this one; may be repeated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    begun = time.monotonic()
    tallies = fuzz_all(dict.fromkeys(options.reader or READERS, options.inputs), options.seed, options.processes, _report)
    print("\n".join(lines(tallies)))
    print(f"{time.monotonic() - begun:.0f} s")
    sys.exit(any(tally.num_crashes for tally in tallies.values()))


if __name__ == "__main__":
    main()
