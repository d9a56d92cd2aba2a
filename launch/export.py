"""Export a trained network: as a file of weights, as a StableHLO program, as an ONNX model, or as a web page.

python -m launch.export --workdir=runs/mine --output=mine.npz          # for srnet_jax.load and launch.predict --weights
python -m launch.export --workdir=runs/mine --output=mine.npz --calibrate=FOLDER  # with the expected errors of joints
python -m launch.export --workdir=runs/mine --output=mine.stablehlo    # for jax.export (needs the extra `export`)
python -m launch.export --weights=single --output=single.onnx          # for onnxruntime (needs the extra `onnx`)
python -m launch.export --weights=video --output=page/                 # a page that lifts in the browser (extra `onnx`)

The command compares a program or model with the network on random keypoints, and keeps it only if they agree. A JSON file
beside it describes the input and the output.
"""

from absl import flags

from srnet_jax.commands import app

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of a run.")
_CHECKPOINT = flags.DEFINE_string("checkpoint", "best", "For --workdir: best (on the validation split), latest, or a step.")
_WEIGHTS = flags.DEFINE_string(
    "weights", None, "Instead of --workdir: single, causal or video (included weights), or a .npz file."
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "The file to write: .npz, .stablehlo or .onnx; or the folder of a page, with a / at its end.", required=True
)
_ONNXRUNTIME_WEB = flags.DEFINE_string(
    "onnxruntime_web", None, "For a page: folder of the npm package onnxruntime-web; by default that in node_modules."
)
_CALIBRATE = flags.DEFINE_string(
    "calibrate",
    None,
    "For .npz: file or folder of joint positions of the network's test subjects, to measure expected errors on.",
)
_FRAMES = flags.DEFINE_integer(
    "frames", None, "For .onnx: number of frames of a sequence; by default the receptive field.", lower_bound=1
)


def main() -> None:
    """Load the network, and write the file or the folder."""
    from srnet_jax.io.files import plain
    from srnet_jax.lifting import export, lifter

    if bool(_WORKDIR.value) == bool(_WEIGHTS.value):
        app.fail(f"--workdir, --weights: found {'both' if _WORKDIR.value else 'neither'}, expected one of them")
    output, name = plain(str(_OUTPUT.value)), str(_WORKDIR.value or _WEIGHTS.value)
    if str(_OUTPUT.value).endswith("/"):
        from srnet_jax.lifting.browser import site

        if _FRAMES.value or _CALIBRATE.value:
            app.fail("--frames, --calibrate: not for a page, expected neither")
        if not output.parent.is_dir():
            app.fail(f"--output={_OUTPUT.value}: expected a new folder in a folder that exists")
        runtime = plain(_ONNXRUNTIME_WEB.value) if _ONNXRUNTIME_WEB.value else site.RUNTIME
        megabytes = site.write(output, lifter.load(name, _CHECKPOINT.value), runtime) / 1e6
        print(f"wrote {output}, {megabytes:.1f} MB; to see it: python -m http.server --bind=127.0.0.1 --directory={output}")
        return
    if output.suffix not in export.SUFFIXES or not output.parent.is_dir():
        wanted = f"a name ending in one of {', '.join(export.SUFFIXES)}, or a folder with a / at its end"
        app.fail(f"--output={output}: expected {wanted}, in a folder that exists")
    if _FRAMES.value and output.suffix != ".onnx":
        app.fail(f"--frames={_FRAMES.value}: only .onnx has a fixed number of frames, found --output={output}")
    if _CALIBRATE.value and output.suffix != ".npz":
        app.fail(f"--calibrate: only a .npz file can hold expected errors, found --output={output}")
    trained = lifter.load_trained(name, _CHECKPOINT.value)
    if _CALIBRATE.value:
        from srnet_jax.benchmarks import expected

        network, found = expected.calibrated(lifter.load(name, _CHECKPOINT.value), _CALIBRATE.value)
        trained = network.trained
        print(f"expected errors: {expected.RANK} {found[expected.RANK]:.2f} with the errors of clips that were left out")
    difference = export.write(output, trained, frames=_FRAMES.value)
    size = output.stat().st_size / 2**20
    print(
        f"wrote {output}, {size:.1f} MiB; outputs differ from the network's by at most {difference:.1e} of the largest output"
    )


if __name__ == "__main__":
    app.run(main)
