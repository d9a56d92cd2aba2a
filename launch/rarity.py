"""Rank the test poses of a data set by rarity (paper Eq. 9 and 10).

python -m launch.rarity --config=configs/mocap_subject.py --config.data.path=FILE.npz --output=ranks.csv
python -m launch.rarity --workdir=runs/sr [--config.FIELD=VALUE ...]   # the data and the protocol of a run

For data in files, the ranking is cached in a folder `rarity_cache` beside them. --compare shows how the ranking depends on
choices that the paper does not state.
"""

from absl import flags

from srnet_jax.commands import app

app.define_config()
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of a run, whose config is used instead of --config.")
_OUTPUT = flags.DEFINE_string("output", None, "CSV file to write: every test pose with its commonness, rarest first.")
_METHOD = flags.DEFINE_enum(
    "method", "auto", ["auto", "exact", "grid"], "How to compute the occurrence; auto chooses by the number of poses."
)
_COMPARE = flags.DEFINE_bool("compare", False, "Compare the ranking with those by other sigmas, reference sets and formulas.")
_PARTS = flags.DEFINE_bool("parts", False, "Print how rare the parts (legs, trunk and arms) of the rarest poses are.")


def main() -> None:
    """Rank, print which poses are rare, and write the file."""
    from srnet_jax.commands.console import print_table
    from srnet_jax.config import command_line, ensembles
    from srnet_jax.data.sources import load_split
    from srnet_jax.errors import UserError
    from srnet_jax.evaluation import ranking, tables
    from srnet_jax.io.files import plain, write_whole

    output = plain(_OUTPUT.value) if _OUTPUT.value else None
    if output and (output.suffix != ".csv" or not output.parent.is_dir()):
        raise UserError(f"--output={output}: expected a name ending in .csv in a folder that exists")
    if _WORKDIR.value and not flags.FLAGS["config"].using_default_value:
        raise UserError("--config, --workdir: found both, expected one of them")
    config = command_line.load(_WORKDIR.value, new=False)
    if config.ensemble.actions_train:
        raise UserError(
            f"config.ensemble.actions_train: set, expected the --workdir of one run: {', '.join(ensembles.members(config))}"
        )
    dataset, parts = load_split(config)
    found = ranking.rank_test_poses(config, parts, _METHOD.value)
    percents = config.protocol.rare_percents
    print_table(tables.rare_actions(dataset.name, parts, found, percents))
    if _COMPARE.value:
        print_table(tables.agreement(ranking.agreements(config, parts), percents))
    if _PARTS.value:
        print_table(tables.part_rarity(config, parts))
    if output:
        write_whole(output, ranking.to_csv(parts, found))
        print(f"ranks of {len(found.values):,} poses: {output}")


if __name__ == "__main__":
    app.run(main)
