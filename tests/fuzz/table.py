"""Fuzz several readers in parallel, and format a table of the outcomes."""

from concurrent.futures import ThreadPoolExecutor

from tests.fuzz.run import Tally, fuzz


def fuzz_all(inputs, seed=0, processes=2, report=lambda line: None):
    """Fuzz readers, given as {reader: number of inputs}, and return {reader: Tally}; the processes share the inputs."""
    parts, tallies = [], {name: Tally() for name in inputs}
    for name, number in inputs.items():
        share = -(-number // processes)
        parts += [(name, range(start, min(start + share, number))) for start in range(0, number, share)]
    with ThreadPoolExecutor(processes) as pool:
        for (name, _), tally in zip(parts, pool.map(lambda part: fuzz(*part, seed), parts), strict=True):
            tallies[name].add(tally)
            report(f"{name}: {tallies[name].inputs:,} inputs, {tallies[name].num_crashes} crashes")
    return tallies


def lines(tallies):
    """Yield the lines of the table, in Markdown, followed by the crashes."""
    yield "| reader | inputs | loaded | refused | library stopped | crashes | seconds |"
    yield "|---|---|---|---|---|---|---|"
    for name, tally in tallies.items():
        counts = (tally.inputs, tally.loaded, tally.refused, tally.killed, tally.num_crashes)
        yield f"| {name} | {' | '.join(f'{count:,}' for count in counts)} | {tally.seconds:.0f} |"
    for name, tally in tallies.items():
        for found, how in tally.crashes.items():
            yield f"{name}: {found} ({how})"
