"""Make a table or a figure of the paper: train the missing runs, evaluate them, and compare with the paper's numbers.

python -m launch.reproduce --list
python -m launch.reproduce --table=2 --data=synthetic --scale=quick --workdir=runs/reproduce
python -m launch.reproduce --table=2 --data=mocap --data.path=FILE.npz --scale=long --seeds=3 --workdir=runs/hdm05
python -m launch.reproduce --table=2 --data=h36m --data.path=DIR --workdir=runs/h36m   # the paper's experiment

Finished runs in the workdir are reused, also by other tables; interrupted runs continue. --shard=2/4 trains every fourth row,
beginning with the second. Shards can run on several machines that share the workdir, or whose runs are copied into one folder
afterwards. Fields of the config can be changed for all rows, for example --config.train.epochs=10. The command writes
table_NAME-DATA-SCALE.md, .csv and .png to the workdir; for fig4, fig5, fig6 and steps the names begin without `table_`.
"""

from absl import flags

from srnet_jax.commands import app

app.define_config(file=False)
_LIST = flags.DEFINE_bool("list", False, "Print all tables and figures, the data that they need and their cost, and exit.")
_TABLE = flags.DEFINE_string(
    "table", None, "1 to 10, s1 to s6 (supplement), fig4 to fig6, or one of ours, such as steps and parts; see --list."
)
_DATA = flags.DEFINE_enum("data", "synthetic", ["h36m", "mocap", "synthetic"], "The data to train and test on.")
_SCALE = flags.DEFINE_enum(
    "scale",
    "full",
    ["full", "long", "medium", "quick", "smoke"],
    "full: the paper's settings; long: half the width, 360 epochs; medium, quick, smoke: narrower networks, fewer epochs.",
)
_SEEDS = flags.DEFINE_integer(
    "seeds", 3, "Number of runs of each row, which are trained as one program.", lower_bound=1, upper_bound=1000
)
_SHARD = flags.DEFINE_string("shard", "1/1", "I/N: train only every N-th row, beginning with the I-th.")
_BASELINE = flags.DEFINE_string("baseline", None, "Name of the row that the others are compared with, if not FC.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for the runs and the tables.")
_PATH = flags.DEFINE_string("data.path", None, "File or folder of the data; short for --config.data.path.")
_TEST_PATH = flags.DEFINE_string(
    "test_data.path", None, "File or folder of the test data of table 6; short for --config.test_data.path."
)


def main() -> None:
    """Train, evaluate and print."""
    from srnet_jax.commands.console import print_table
    from srnet_jax.config import command_line
    from srnet_jax.reproduce import listing, make

    changes = command_line.changes({"data.path": _PATH.value, "test_data.path": _TEST_PATH.value})
    if _LIST.value:
        print_table(listing.listing(_DATA.value, _SCALE.value, _SEEDS.value, changes))
        return
    make.make(
        _TABLE.value,
        _WORKDIR.value,
        data=_DATA.value,
        scale=_SCALE.value,
        seeds=_SEEDS.value,
        shard=_SHARD.value,
        baseline=_BASELINE.value,
        changes=changes,
        show=print_table,
    )


if __name__ == "__main__":
    app.run(main)
