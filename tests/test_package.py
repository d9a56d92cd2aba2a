"""The package as users install it: what importing it costs, and the command and the files of its wheel."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import jax
import numpy as np
import pytest

import srnet_jax

ROOT = Path(__file__).parent.parent
WALK = ROOT / "tests" / "lifting" / "walk.json"
HEAVY = ("jax", "matplotlib", "h5py", "tensorboardX", "scipy", "orbax", "flax")
OPTIONAL = ("torch", "onnx", "onnxruntime", "ezc3d", "cdflib", "av", "mediapipe", "tensorboardX", "flatbuffers")
EVERY_MODULE = """
import importlib, pkgutil, srnet_jax
for module in pkgutil.walk_packages(srnet_jax.__path__, "srnet_jax."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        print("missing", module.name, error.name)
    else:
        print("imported", module.name)
"""


def python(code, *, executable=sys.executable, cwd=ROOT, inherit=True):
    """Run code in another process and return what it prints."""
    environment = {name: value for name, value in os.environ.items() if inherit or name != "PYTHONPATH"}
    command = [executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_every_module(printed):
    lines = [line.split() for line in printed.splitlines()]
    names = {name.removesuffix(".__init__").replace("/", ".") for name in sources() if name.endswith(".py")}
    names = {name.removesuffix(".py").removesuffix(".__init__") for name in names} - {"srnet_jax"}
    assert {name for _, name, *_ in lines} == names
    assert {missing for kind, _, *rest in lines if kind == "missing" for missing in rest} <= set(OPTIONAL)
    assert sum(kind == "imported" for kind, *_ in lines) > 0.9 * len(names)


def sources():
    """Return the files of the package in the checkout, as srnet_jax/errors.py."""
    files = [path for path in (ROOT / "srnet_jax").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(ROOT).as_posix() for path in files}


def test_importing_the_package_is_light():
    code = f"import sys, srnet_jax; print(sorted(set({HEAVY}) & set(sys.modules)), srnet_jax.__version__)"
    assert python(code) == f"[] {srnet_jax.__version__}\n"


def test_help_is_light():
    code = f"import sys, srnet_jax.commands.predict; print(sorted(set({HEAVY}) & set(sys.modules)))"
    assert python(code) == "[]\n"


def test_lifting_needs_no_optimiser_and_no_slow_part_of_scipy():
    code = f"""
import sys, numpy as np, srnet_jax.lifting.lifter
from srnet_jax.pose import filters, ground, root_path, smoothing
smoothing.smoothed(np.zeros((9, 17, 3)), 30.0, 4.0)
print(sorted(set({("optax", "orbax", "matplotlib", "scipy.signal", "scipy.stats")}) & set(sys.modules)))"""
    assert python(code) == "[]\n"


def test_every_module_imports_whose_dependencies_are_installed():
    check_every_module(python(EVERY_MODULE))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Return the wheel that is built from the source distribution of a copy, so that the checkout stays as it is."""
    copy, folder = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("dist")
    for name in ("srnet_jax", "launch", "configs", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.txt", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path in folder.glob("*.tar.gz")] == [f"srnet_jax-{srnet_jax.__version__}.tar.gz"]
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Return the folder of the programs of a new environment that contains the wheel and nothing of the checkout.

    It finds the dependencies in the environment that runs the tests, whose path is in a .pth file: downloading them again would
    take minutes. Python does not read the .pth files in that path, so an editable installation of the checkout is not found.
    """
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=True)
    scripts = folder / "bin"
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(scripts / "python"),
        "install",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True, timeout=300)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{Path(jax.__file__).parent.parent}\n")
    return scripts


@pytest.mark.slow
def test_the_wheel_holds_the_package_alone(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names} == {"srnet_jax", f"srnet_jax-{srnet_jax.__version__}.dist-info"}
    assert {name for name in names if name.startswith("srnet_jax/")} == sources()
    assert "srnet_jax/py.typed" in names


@pytest.mark.slow
def test_the_wheel_works_in_another_folder(installed, tmp_path):
    here = {"executable": str(installed / "python"), "cwd": tmp_path, "inherit": False}
    found = python(
        "import importlib.util as u, srnet_jax; print(srnet_jax.__file__, u.find_spec('launch'), u.find_spec('configs'))",
        **here,
    )
    file, *others = found.split()
    assert Path(file).is_relative_to(installed.parent)
    assert others == ["None", "None"]
    check_every_module(python(EVERY_MODULE, **here))


@pytest.mark.slow
def test_the_command_lifts_a_file(installed, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "GLIBC_TUNABLES")}

    def lift(*arguments):
        command = [str(installed / "srnet-lift"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300, check=False)

    done = lift(f"--keypoints={WALK}", "--output=walk.npz,walk.bvh", "--render=walk.html")
    assert done.returncode == 0, done.stderr
    assert "walk.npz walk.bvh walk.html" in done.stdout
    with np.load(tmp_path / "walk.npz") as stored:
        assert stored["poses_3d"].shape == (30, 17, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["walk.bvh", "walk.html", "walk.npz"]
    described = lift("--help")
    assert described.returncode == 0
    assert "\nsrnet-lift --keypoints=FILE --layout=coco" in described.stdout
    assert "--stature: Height of the person, metres" in described.stdout
    mistaken = lift("--output=x.npz", "--filters=", f"--keypoints={WALK}")
    assert mistaken.returncode == 2
    assert (
        mistaken.stderr
        == "error: --filters: empty, expected: Filters of the poses: smooth, bones (constant lengths), knees "
        + ("and elbows (which do not bend backwards); or none.\n")
    )
