"""The networks that ship with the project (`srnet_jax/lifting/pretrained`), for the keypoints of any detector and camera.

    python -m launch.train --config=configs/lifter.py --config.data.path=FOLDER --workdir=runs/lifter
    python -m launch.train --config=configs/lifter.py:causal --config.data.path=FOLDER --workdir=runs/lifter_causal
    python -m launch.train --config=configs/lifter.py:video --config.data.path=FOLDER --workdir=runs/lifter_video

FOLDER holds joint positions (`srnet_jax/data/mocap/clip_files.py`) of HDM05 and of CMU's subjects below, and generated
motion, written by `python -m launch.prepare_data synthetic --output=FOLDER/synthetic.npz --num_frames=80000`. For their
accuracy on unseen people and their training times see srnet_jax/lifting/pretrained/README.md.
"""

from ml_collections import ConfigDict

from configs import default

FORMS = ("single", "causal", "video")


def get_config(form: str = "single") -> ConfigDict:
    """Return the config of the single-frame network, the causal network of 27 frames, or the symmetric one of 81 frames.

    Args:
      form: "single", "causal" or "video".

    Raises:
      ValueError: for another form.
    """
    if form not in FORMS:
        raise ValueError(f"found form {form!r}, expected one of {', '.join(FORMS)}")
    config = default.get_config()
    config.data.source = "mocap"
    config.data.cameras.distance_m = 4.5  # for validation and test; training cameras are drawn at random, see config.redraw
    config.data.cameras.distance_spread = 0.5
    config.data.cameras.height_m = 1.5
    config.data.cameras.height_spread_m = 1.3
    config.data.detections.simulate = True  # small errors, see srnet_jax/data/detections.py
    config.data.detections.sigma = 0.004
    config.data.detections.drift = 0.008
    config.data.detections.offset = 0.01
    config.data.detections.outliers = 0.002
    config.data.detections.swaps = 0.002
    config.data.detections.missing = 0.0
    config.data.detections.hidden = 0.005
    config.data.detections.derived_joints = True
    config.train.redraw = True
    config.protocol.subjects_train = (
        *("bd", "bk", "dg"),  # HDM05
        *("01", "02", "03", "05", "07", "60", "61", "94"),  # CMU
        *("S1", "S5", "S6", "S7", "S8"),  # generated
    )
    config.protocol.subjects_test = ("mm", "tr", "06", "88", "90", "135")
    config.model.normalization = "turned"
    config.model.recombine = "concat"  # SR-wide, see configs/sr_wide.py
    config.model.context_dim = 0.5
    config.model.channels = 384
    config.train.batch_size = 256  # four times as many steps as with 1024, in little more time
    config.train.epochs = 13
    config.train.lr_decay = 0.75
    if form == "single":
        return config
    config.model.filter_widths = (9, 3, 1) if form == "causal" else (9, 3, 3)
    config.model.causal = form == "causal"
    config.model.channels = 256
    config.train.epochs = 9 if form == "causal" else 19
    config.train.lr_decay = 0.62 if form == "causal" else 0.81
    return config
