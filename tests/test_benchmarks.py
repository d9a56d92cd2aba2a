import multiprocessing
import os
import re

import pytest

from srnet_jax.benchmarks import machine, start, timing
from srnet_jax.benchmarks.train import product_operations, summary
from srnet_jax.errors import UserError


def test_product_operations_match_a_count_by_hand():
    forward = 2 * 1024 * (34 * 1024 + 4 * 1024**2 + 1024 * 51)  # six layers, fully connected
    assert product_operations("fc", (1, 1, 1), 1024, training=False) == pytest.approx(forward)
    assert product_operations("fc", (1, 1, 1), 1024, training=True) == pytest.approx(3 * forward - 2 * 1024 * 34 * 1024)
    strided = 2 * (9 * 34 * 3 * 1024 / 3 + 3 * 1024**2 + 1024**2 + 1024 * 51)  # windows of 9 frames: 3, then 1 output frames
    assert product_operations("fc", (3, 3), 1, training=True) == pytest.approx(3 * strided - 2 * 9 * 34 * 1024)


def test_timers_alternate_and_warm_up_rounds_are_left_out():
    calls = []

    def timer(name):
        calls.append(name)
        return len(calls)

    assert timing.in_turns({name: lambda name=name: timer(name) for name in "ab"}, 2, warm_up=1) == {"a": [3, 5], "b": [4, 6]}
    assert calls == list("ababab")
    assert timing.ratio([2, 9, 4], [1, 3, 4]) == 2


def make_counter(case):
    calls = []
    if case == "broken":
        raise ValueError("no such case")
    if case == "refused":
        raise UserError("one line")
    return lambda: calls.append(case)


def test_workers_take_turns_and_report_errors():
    with timing.workers({"a": (make_counter, True)}) as pipes:
        seconds = timing.alternate(pipes, "x", 2)
        assert len(seconds["a"]) == 2
        assert all(0 <= value < 1 for value in seconds["a"])
        assert 1e6 < timing.ask(pipes["a"]) < 1e12
        with pytest.raises(RuntimeError, match="broken: ValueError: no such case"):
            timing.alternate(pipes, "broken", 1)


def test_a_mistake_that_a_worker_finds_stays_one_line():
    ours, theirs = multiprocessing.Pipe()
    ours.send("refused")
    timing._serve(theirs, make_counter)
    with pytest.raises(UserError, match=r"^one line$"):
        timing.ask(ours)


@pytest.mark.slow
def test_a_second_training_compiles_nothing_new(tmp_path, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"].replace("device_count=8", "device_count=1"))

    def compiled():
        return {file.name for file in (tmp_path / "compiled").glob("*-cache")}

    start.first_step(tmp_path, tmp_path / "first")
    found = compiled()
    assert found
    start.first_step(tmp_path, tmp_path / "second")
    assert compiled() == found


def test_summary_has_a_line_for_each_case():
    case = "SR multiply, 6 layers, batch 1024"
    figures = {
        f"{case}: ours, ms": 88.4,
        f"{case}: ours, percent of the bound": 56.3,
        f"{case}: PyTorch, ms": 140.0,
        f"{case}: PyTorch / ours": 1.571,
        f"{case}: PyTorch / ours, least of the rounds": 1.498,
        f"{case}: PyTorch / ours, greatest of the rounds": 1.66,
    }
    assert summary(figures) == [f"{case}: 88.4 ms, 56 % of the bound; PyTorch takes 1.57 times as long (1.50 to 1.66)"]


def test_the_cores_that_other_programs_use_are_reported(monkeypatch):
    seconds = iter([(0.0, 10.0, 1.0), (1.0, 10.1, 1.0), (11.0, 45.1, 21.0)])  # clock, all processors, this program
    monkeypatch.setattr(machine, "_read_clocks", lambda: next(seconds))
    monkeypatch.setattr(machine.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(machine, "_cores", lambda: 2)
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 4)
    with pytest.warns(UserWarning, match="the machine is busy"), machine.watched() as report:
        assert report == []
    assert report == ["other programs used 0.1 of the machine's 4 cores before the measurement and 1.5 during it"]
    assert re.search(r"\w, 2 cores", machine.processor())
