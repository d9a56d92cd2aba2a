"""Print the layers and the number of parameters of a config's network, or the meaning of config fields.

python -m launch.describe --config=configs/default.py [--config.model.recombine=add ...]
python -m launch.describe --fields=train.        # fields with this prefix; --fields=config. lists all
"""

from absl import flags

from srnet_jax.commands import app

app.define_config()
_FIELDS = flags.DEFINE_string(
    "fields", None, "Print the config fields whose names begin with this prefix, with defaults and meanings."
)


def main() -> None:
    """Print the layers of the network, or the fields."""
    from rich.table import Table

    from srnet_jax.commands.console import console
    from srnet_jax.config import command_line, schema
    from srnet_jax.models.pose_lifter import PoseLifter, count_parameters, create_model, variable_shapes

    if _FIELDS.value:
        print(schema.describe_fields(_FIELDS.value))
        return
    model = create_model(command_line.load().model)
    parameters = variable_shapes(model)["params"]
    if isinstance(model, PoseLifter):
        table = Table("layer", "connectivity", "taps", "dilation", "input widths", "output widths", "parameters")
        for index, plan in enumerate(model.layer_plans()):
            params = [parameters.get(f"{part}_{index}", {}) for part in ("layer", "norm")]
            table.add_row(
                str(index),
                plan.connectivity,
                str(plan.kernel_size),
                str(plan.dilation),
                " ".join(str(len(group)) for group in plan.groups),
                " ".join(map(str, plan.features)),
                f"{count_parameters(params):,}",
            )
    else:
        table = Table("part", "parameters")
        for name, params in parameters.items():
            table.add_row(name, f"{count_parameters(params):,}")
    console(width=120).print(table)
    form = "causal" if model.causal else "symmetric"
    print(f"receptive field: {model.receptive_field} frame(s), {form}")
    print(f"parameters: {count_parameters(parameters)}")


if __name__ == "__main__":
    app.run(main)
