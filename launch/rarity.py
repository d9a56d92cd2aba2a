"""Rank the test poses of any data set by rarity (paper Eq. 9, 10).

python -m launch.rarity --config=configs/mocap_subject.py --config.data.path=FILE.npz --output=ranks.csv

The ranking is kept in a folder `rarity_cache` beside the data, under a hash of the poses, the reference set, sigma and the
formula, and taken from there the next time. --compare shows how it changes with what the paper leaves open.
"""

from pathlib import Path

from absl import flags

from launch import app

app.define_config()
_OUTPUT = flags.DEFINE_string("output", None, "CSV file: every test pose with its commonness, rarest first.")
_METHOD = flags.DEFINE_enum("method", "auto", ["auto", "exact", "grid"], "How to compute the occurrence; auto goes by size.")
_COMPARE = flags.DEFINE_bool("compare", False, "Rank with other sigmas, reference sets and formulas, too, and compare.")


def main() -> None:
    """Rank, say what is rare, and write the file."""
    from srnet_jax.config import schema
    from srnet_jax.data.sources import load_split
    from srnet_jax.errors import UserError
    from srnet_jax.evaluation import ranking, tables
    from srnet_jax.io.files import write_whole

    output = Path(_OUTPUT.value) if _OUTPUT.value else None
    if output and (output.suffix != ".csv" or not output.absolute().parent.is_dir()):
        raise UserError(f"--output={output}: expected a name ending in .csv in a folder that exists")
    config = flags.FLAGS.config
    schema.validate(config)
    dataset, parts = load_split(config)
    found = ranking.rank_test_poses(config, parts, _METHOD.value)
    percents = config.protocol.rare_percents
    app.print_table(tables.rare_actions(dataset.name, parts, found, percents))
    if _COMPARE.value:
        app.print_table(tables.agreement(ranking.agreements(config, parts), percents))
    if output:
        write_whole(output, ranking.to_csv(parts, found))
        print(f"ranks of {len(found.values):,} poses: {output}")


if __name__ == "__main__":
    app.run(main)
