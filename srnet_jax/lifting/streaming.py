"""Lift the keypoints of one person live, frame by frame."""

from functools import partial
from typing import Any

import jax
import numpy as np

from srnet_jax.errors import DataError, UserError
from srnet_jax.lifting.arguments import check_filters, pinhole
from srnet_jax.lifting.lifter import MIN_CONFIDENCE, KeypointLifter, check_arguments, completed
from srnet_jax.lifting.result import USUAL_FPS
from srnet_jax.lifting.roll import seen, turned_back, turned_level
from srnet_jax.models.pose_lifter import PoseLifter
from srnet_jax.pose.complete import LONGEST_GAP_S
from srnet_jax.pose.filters import LiveFilter, Settings
from srnet_jax.pose.layouts import find
from srnet_jax.pose.normalization import mirror, normalize_image, to_metres
from srnet_jax.pose.root_filter import RootFilter
from srnet_jax.pose.skeleton import H36M_17


@partial(jax.jit, static_argnames="model", donate_argnames="memory")
def step(model: PoseLifter, variables: Any, memory: Any, inputs_2d: jax.Array) -> tuple[Any, jax.Array]:
    """Lift the next frame of several people.

    Args:
      model: the network in its streaming form.
      variables: parameters and statistics of the network.
      memory: of the previous frames, from `PoseLifter.empty_memory` or the last step; the buffers are donated.
      inputs_2d: [P, J, 2] normalised keypoints of P people.

    Returns:
      The memory for the next step, and [P, J, 3] joints in the network's units.
    """
    poses, changed = model.apply(variables | {"memory": memory}, inputs_2d[:, None], mutable=["memory"])
    return changed.get("memory", {}), poses[:, 0]


class StreamingLifter:
    """Lift the keypoints of one person as they arrive, at the cost of one frame each.

    Where all joints are seen, a causal network's poses equal those of `KeypointLifter` for the whole video, up to rounding.
    Frames must arrive at the rate of the network's training data. A missing joint is estimated from the other joints of the
    frame, whereas `KeypointLifter` interpolates it between earlier and later frames. After more than LONGEST_GAP_S seconds
    without the person, the next frame is treated as the first.

    Attributes:
      root: [3] float64 position of the hip in the newest frame, camera frame, metres; NaN if it is not known or not tracked.
    """

    def __init__(
        self,
        lifter: KeypointLifter,
        *,
        layout: str,
        image_size: tuple[int, int],
        focal_px: float | None = None,
        flip: bool = True,
        min_confidence: float = MIN_CONFIDENCE,
        filters: Settings | None = None,
        fps: float | None = None,
        track_root: bool = False,
        up: np.ndarray | None = None,
    ) -> None:
        """Prepare the network and compile it.

        Args:
          lifter: with a causal network, or a network of single frames.
          layout: of the keypoints, a name of `layouts.LAYOUTS`.
          image_size: width and height of the image, pixels.
          focal_px: the camera's focal length, pixels; None for 0.85 times the image's longer side.
          flip: whether each pose is averaged with the mirrored pose of the mirrored keypoints.
          min_confidence: a joint with a lower confidence counts as missing.
          filters: of the poses; those of `pose.filters` that need no later frames are applied. None for unfiltered poses.
          fps: frames per second; None for the rate of the network, or 30 if that is not known.
          track_root: whether to estimate `root`, the path of the hip through the room.
          up: [3] direction of up, camera frame, see `KeypointLifter`; None if not known.

        Raises:
          UserError: if an argument is not valid, see `check_arguments`, or the network needs later frames or is not one of the
            paper's own.
        """
        check_arguments(layout, image_size, fps, focal_px, min_confidence)
        check_filters(filters)
        if not track_root:
            lifter.check_focal(focal_px)
        trained, model = lifter.trained, lifter.trained.model
        if not isinstance(model, PoseLifter) or model.length_dependent:
            found = trained.config.model.network + " with bug_compatible" * trained.config.model.bug_compatible
            raise UserError(
                f"{trained.name}: found network {found}, expected fc, gp, lf, es, sfs or sr, without bug_compatible"
            )
        if model.receptive_field > 1 and not model.causal:
            raise UserError(
                f"{trained.name}: found a network that needs {(model.receptive_field - 1) // 2} later frames, expected a "
                "causal network or one of single frames"
            )
        self._lifter, self._layout, self._image_size, self._flip = lifter, layout, image_size, flip
        self._focal_px, self._min_confidence, self._up = focal_px, min_confidence, up
        self._fps = fps or trained.fps or USUAL_FPS
        self._longest = round(LONGEST_GAP_S * self._fps)
        self._filter = LiveFilter(filters, self._fps) if filters else None
        self._path = RootFilter(*pinhole(image_size, focal_px)) if track_root else None
        self._model = model.clone(streaming=True)
        self._variables = jax.device_put(trained.variables)
        self.reset()
        self.push(np.random.default_rng(0).uniform(1, 100, (len(find(layout).joints), 2)))
        self.reset()

    def reset(self) -> None:
        """Forget all frames; the next frame is treated as the first."""
        self._forget()
        self._frame = 0
        self.root = np.full(3, np.nan)
        if self._filter:
            self._filter.reset()
        if self._path:
            self._path.reset()

    def _forget(self) -> None:
        """Forget the frames in the network's memory."""
        self._memory = self._model.empty_memory(2 if self._flip else 1)
        self._unseen = 0  # frames

    def push(self, keypoints: np.ndarray, confidences: np.ndarray | None = None) -> np.ndarray:
        """Lift the next frame.

        Args:
          keypoints: [J, 2] pixels; NaN, (0, 0) and -1 mark a missing joint, which is estimated from the others.
          confidences: [J] 0 to 1; None if not known.

        Returns:
          [17, 3] float32 joints of `skeleton.H36M_17`, camera frame, metres, relative to the hip. NaN if the frame shows too
          little of the person; it then counts as a frame without the person.

        Raises:
          DataError: if the keypoints have another shape, or cannot be those of a person in pixels; the frame then counts as one
            without the person.
        """
        sure = None if confidences is None else np.asarray(confidences)[None]
        self._unseen += 1
        self._frame += 1
        self.root = np.full(3, np.nan)
        unknown = np.full((H36M_17.num_joints, 3), np.nan, np.float32)
        try:
            person = completed(np.asarray(keypoints)[None], sure, self._layout, min_confidence=self._min_confidence)
        except DataError:
            if self._filter:
                self._filter.push(unknown)  # the filter needs every frame, to keep the time
            raise
        if not person.lifted[0]:
            return self._filter.push(unknown) if self._filter else unknown
        if self._unseen - 1 > self._longest:
            self._forget()
        self._unseen = 0
        points = person.points if self._up is None else turned_level(person.points, self._up, self._image_size)
        norm, view = self._lifter.trained.config.model.normalization, seen(points, self._image_size, self._focal_px)
        inputs = normalize_image(norm, points, view)
        if self._flip:
            inputs = np.concatenate([inputs, mirror(inputs, H36M_17.mirrored)])
        self._memory, poses = step(self._model, self._variables, self._memory, inputs)
        straight, *flipped = np.asarray(poses)
        pose = (straight + mirror(flipped[0], H36M_17.mirrored)) / 2 if flipped else straight
        metres = to_metres(norm, (pose - pose[:1])[None], view)[0]
        if self._up is not None:
            metres = turned_back(metres, self._up)
        if self._filter:
            metres = self._filter.push(metres, person.confidences[0])
        if self._path:
            self.root = self._path.push(metres, person.points[0], person.confidences[0], self._frame / self._fps)
        return metres
