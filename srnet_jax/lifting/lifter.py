"""From a detector's keypoints to 3D, with a trained network and all that lies between."""

import dataclasses
import numbers
from pathlib import Path

import numpy as np

from srnet_jax.config.config_files import CONFIG_FILE
from srnet_jax.errors import DataError, UserError, one_line
from srnet_jax.lifting import weights
from srnet_jax.models.predict import predict
from srnet_jax.pose import layouts
from srnet_jax.pose.frames import Frames, interpolated
from srnet_jax.pose.normalization import IMAGE_NORMALIZATIONS, normalize_image
from srnet_jax.pose.skeleton import H36M_17

PRETRAINED = ("single", "causal")  # in srnet_jax/lifting/pretrained
_FOLDER = Path(__file__).parent / "pretrained"
_SAME_RATE = 0.01  # relative difference of frame rates that does not matter


def check_arguments(layout: str, image_size: tuple[int, int], fps: float | None = None) -> None:
    """Check what describes keypoints: the name of their layout, the image's width and height, and the frame rate, if known.

    Raises:
      UserError: names the argument, what was found and what was expected.
    """
    layouts.find(layout)
    sizes = tuple(image_size) if isinstance(image_size, tuple | list | np.ndarray) else ()
    if len(sizes) != 2 or not all(isinstance(size, numbers.Real) and 0 < size < np.inf for size in sizes):
        raise UserError(f"image_size: found {one_line(repr(image_size), 100)}, expected (width, height) in pixels")
    if fps is not None and not (isinstance(fps, numbers.Real) and 0 < fps < np.inf):
        raise UserError(f"fps: found {one_line(repr(fps), 100)}, expected frames per second, or None")


@dataclasses.dataclass(frozen=True)
class KeypointLifter:
    """A trained network that takes keypoints of any layout, in pixels.

    Attributes:
      trained: the network.
    """

    trained: weights.Trained

    def __call__(
        self,
        keypoints: np.ndarray,
        *,
        layout: str,
        image_size: tuple[int, int],
        fps: float | None = None,
        flip: bool = True,
        batch_frames: int = 4096,
    ) -> np.ndarray:
        """Lift one person's keypoints.

        A temporal network sees the video at the frame rate that it was trained on: keypoints are interpolated linearly to
        its frames, and its poses back to the video's. Past the video's ends it sees the nearest frame.

        Args:
          keypoints: [T, J, 2] of each frame, pixels.
          layout: a name of `layouts.LAYOUTS`.
          image_size: width and height of the image, pixels.
          fps: frames per second of the video; None for those of the network. Single-frame networks need none.
          flip: whether each pose is averaged with the mirrored pose of the mirrored keypoints.
          batch_frames: frames that are lifted at a time; bounds the memory.

        Returns:
          [T, 17, 3] float32 joints of `skeleton.H36M_17`, camera frame (x right, y down, z away from the camera), metres,
          relative to the hip.

        Raises:
          UserError: for an unknown layout, or an image size or frame rate that cannot be.
          DataError: if the keypoints have another shape or are not finite.
        """
        inputs = self.inputs(keypoints, layout=layout, image_size=image_size, fps=fps)
        own = self.trained.fps
        if self.trained.model.receptive_field == 1 or not fps or not own or abs(fps / own - 1) < _SAME_RATE:
            return self._lift(inputs, flip, batch_frames)
        count = int(np.ceil((len(inputs) - 1) * own / fps)) + 1
        lifted = self._lift(interpolated(inputs, np.arange(count) * fps / own), flip, batch_frames)
        return interpolated(lifted, np.arange(len(inputs)) * own / fps)

    def inputs(
        self, keypoints: np.ndarray, *, layout: str, image_size: tuple[int, int], fps: float | None = None
    ) -> np.ndarray:
        """Return what the network sees [T, 17, 2] of keypoints; see `__call__`."""
        check_arguments(layout, image_size, fps)
        keypoints = np.asarray(keypoints)
        if keypoints.ndim != 3 or keypoints.shape[2] != 2 or not len(keypoints) or keypoints.dtype.kind not in "fiu":
            raise DataError(
                f"keypoints: found shape {keypoints.shape} of {keypoints.dtype}, expected (frames >= 1, joints, 2) of numbers"
            )
        if not np.isfinite(keypoints).all():
            frame = int(np.argwhere(~np.isfinite(keypoints))[0][0])
            raise DataError(f"keypoints: hold NaN or infinity at frame {frame}, expected pixels")
        width, height = image_size
        points, _ = layouts.convert(keypoints.astype(np.float32), layout, "h36m")
        return normalize_image(self.trained.config.model.normalization, points, width=width, height=height)

    def _lift(self, inputs: np.ndarray, flip: bool, batch_frames: int) -> np.ndarray:
        unknown = np.broadcast_to(np.float32(0), (*inputs.shape[:2], 3))
        frames = Frames(
            inputs_2d=inputs,
            targets=unknown,
            poses_3d=unknown,
            geometry=np.broadcast_to(np.float32(0), (len(inputs), 1, 9)),
            starts=np.array([0]),
            lengths=np.array([len(inputs)]),
            normalization=self.trained.config.model.normalization,
        )
        poses = predict(
            self.trained.model,
            self.trained.variables,
            frames,
            mirrored=H36M_17.mirrored if flip else None,
            batch_frames=batch_frames,
        )
        return poses - poses[:, :1]


def load(name: str | Path = "single", checkpoint: str = "best") -> KeypointLifter:
    """Return a lifter with a trained network.

    Args:
      name: one of PRETRAINED, the workdir of a training, or a `.npz` file that `launch.export` wrote.
      checkpoint: of a workdir: "best", "latest" or a step.

    Raises:
      UserError: if there is no such network, it is damaged, or it needs to know more than keypoints.
    """
    trained = load_trained(name, checkpoint)
    if trained.config.model.normalization not in IMAGE_NORMALIZATIONS:
        raise UserError(
            f"{name}: its normalisation {trained.config.model.normalization!r} uses the TRUE depth of the root, which a video "
            f"does not tell; expected a network with one of {', '.join(IMAGE_NORMALIZATIONS)}"
        )
    return KeypointLifter(trained)


def load_trained(name: str | Path, checkpoint: str = "best") -> weights.Trained:
    """Return a trained network of any normalisation; arguments and errors as `load`."""
    path = Path(name)
    if str(name) in PRETRAINED:
        return weights.load(_FOLDER / f"{name}.npz")
    if path.is_dir() and (path / CONFIG_FILE).is_file():
        return weights.from_workdir(path, checkpoint)
    if path.suffix == ".npz":
        return weights.load(path)
    names = " or ".join(PRETRAINED)
    raise UserError(f"{name}: no trained network, expected {names}, a workdir, or a .npz of launch.export")
