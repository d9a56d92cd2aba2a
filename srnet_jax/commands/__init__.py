"""Commands that the package installs, and what all command-line programs share.

Nothing in the library imports this package.
"""


def lift() -> None:
    """Run the command `srnet-lift`; the same as `python -m launch.predict` in a checkout."""
    from srnet_jax.commands import process

    process.keep_compiled_programs()
    process.keep_memory()  # starts the process again, before imports that take seconds
    from srnet_jax.commands import predict

    predict.run("srnet-lift")
