"""RESULTS.md's comparisons of networks and pictures, from the results in docs/results."""

import argparse
import json

import pytest

from docs import draw_results
from docs.compare_results import ACTIONS, RESULTS, compare, mean_error, read, seeds_of_one_network


def columns(first, second):
    table = compare(*([read(str(RESULTS / f"{name}.json"))] for name in (first, second)))
    return [list(column.cells) for column in table.columns]


def test_a_network_beside_itself_is_level():
    _, ours, theirs, gains, verdicts = columns("sr_long_hdm05", "sr_long_hdm05")
    assert ours == theirs
    assert set(gains) == {"+0.0 (+0.0 to +0.0)"}
    assert set(verdicts) == {"undecided"}


def test_the_gain_has_the_sign_of_the_difference():
    rows, ours, theirs, gains, verdicts = columns("sr_long_hdm05", "fc_small_long_hdm05")
    for own, other, gain in zip(map(float, ours), map(float, theirs), gains, strict=True):
        assert float(gain.split()[0]) == pytest.approx(100 * (1 - own / other), abs=0.25)  # of rounded errors
    assert verdicts[rows.index("rare: 10")] == "better"


def test_several_seeds_give_their_mean_and_the_interval_of_their_spread():
    runs = [read(str(RESULTS / f"{name}.json")) for name in ("sr_long_hdm05", "sfs_long_hdm05")]  # stand for two seeds
    table = compare(runs, runs[:1])
    assert str(table.columns[1].header) == "sr_long_hdm05 and 1 more, mm"
    mean = (mean_error(runs[0], ACTIONS) + mean_error(runs[1], ACTIONS)) / 2
    assert next(iter(table.columns[1].cells)) == f"{mean:.1f}"
    percent = 100 * (1 - mean / mean_error(runs[0], ACTIONS))
    gain = next(iter(table.columns[3].cells))
    assert float(gain.split()[0]) == pytest.approx(percent, abs=0.05)
    low, high = float(gain.split("(")[1].split()[0]), float(gain.split()[-1][:-1])
    assert low < 2 * percent + 0.1
    assert high > -0.1  # from both runs like the worse one to both like the better one


def test_errors_are_those_of_the_file():
    read_back = read(str(RESULTS / "fc_long_hdm05.json"))
    assert mean_error(read_back, ACTIONS) == read_back.results["average_over_actions"]["mpjpe_mm"]


def changed(tmp_path, change):
    results = json.loads((RESULTS / "sr_long_hdm05.json").read_text())
    change(results)
    (tmp_path / "results.json").write_text(json.dumps(results))
    return str(tmp_path / "results.json")


@pytest.mark.parametrize(
    "change",
    [
        lambda results: results.clear(),
        lambda results: results.pop("average_over_actions"),
        lambda results: results["rare"].pop("20"),
        lambda results: results.update(recordings=3),
        lambda results: results.pop("seed"),
    ],
)
def test_other_files_are_refused(change, tmp_path):
    with pytest.raises(argparse.ArgumentTypeError, match=r"results\.json: found \w+Error, expected the results\.json of a run"):
        read(changed(tmp_path, change))


def test_rows_that_one_of_them_lacks_are_left_out_and_other_recordings_are_said(tmp_path):
    ours = read(str(RESULTS / "sr_long_hdm05.json"))
    lacking = read(changed(tmp_path, lambda results: results["recordings"]["rows"]["rare"].pop("20")))
    assert compare([ours], [lacking]).row_count == compare([ours], [ours]).row_count - 1
    others = read(changed(tmp_path, lambda results: results["recordings"]["names"].reverse()))
    assert set(compare([ours], [others]).columns[3].cells) == {"too few, or different, recordings"}


def test_the_picture_of_gains_has_an_interval_for_each_pair_of_networks_and_each_row():
    figure = draw_results.draw_gains(draw_results.PAIRS)
    assert len(figure.axes) == len(draw_results.PANELS)
    table = compare(draw_results.runs("sr_wide", ""), draw_results.runs("fc", ""))
    low, high = figure.axes[0].lines[2].get_xdata()  # of the second pair, for all poses
    gain = next(iter(table.columns[3].cells))
    assert gain.endswith(f"({low:+.1f} to {high:+.1f})")


def test_the_curves_have_the_same_labels_and_end_at_the_same_step_for_each_network():
    found = draw_results.curves(RESULTS / "steps_long_hdm05.csv")
    assert list(found) == ["FC", "SFS", "SR", "SR-wide (ours)"]
    assert len({tuple(by_label) for by_label in found.values()}) == 1
    assert {max(by_step) for by_label in found.values() for by_step in by_label.values()} == {114_120}


def test_networks_that_were_not_tested_alike_are_said():
    ours, other = (read(str(RESULTS / f"sr_long_hdm05{name}.json")) for name in ("", "_other_cameras"))
    assert compare([ours], [ours]).caption is None
    caption = str(compare([ours], [other]).caption)
    assert caption.startswith("NOT tested alike: labels ['virtual cameras: all 287 motions stay in the image'] and ['virtual")
    assert "in training" not in caption


def test_seeds_that_were_tested_on_other_recordings_have_no_interval(tmp_path):
    def shorten(results):
        results["recordings"]["names"].pop()
        for row in (row for rows in results["recordings"]["rows"].values() for row in rows.values()):
            row["frames"].pop(), row["mpjpe_mm"].pop()

    ours, shorter = read(str(RESULTS / "sr_long_hdm05.json")), read(changed(tmp_path, shorten))
    assert set(compare([ours, shorter], [ours]).columns[3].cells) == {"too few, or different, recordings"}


def test_only_different_seeds_of_one_network_are_averaged(tmp_path):
    ours, other = (str(RESULTS / f"{name}_long_hdm05.json") for name in ("sr", "fc"))
    with pytest.raises(argparse.ArgumentTypeError, match=r"found 349945 and 1623603 parameters, expected runs of one network"):
        seeds_of_one_network(f"{ours},{other}")
    with pytest.raises(argparse.ArgumentTypeError, match=r"found seeds 0, 0, expected different seeds"):
        seeds_of_one_network(f"{ours},{ours}")
    assert len(seeds_of_one_network(f"{ours},{changed(tmp_path, lambda results: results.update(seed=1))}")) == 2
