"""The losses that training can minimise, by name. To add one, write a function here and list it in `LOSSES`."""

from typing import Any


def l1_loss(predicted: Any, targets: Any) -> Any:
    """Return the mean absolute error of each pose's coordinates.

    Args:
      predicted: [..., J, 3] joints, a JAX array.
      targets: [..., J, 3] joints, in the same unit.

    Returns:
      [...] one value for each pose, in the inputs' unit.

    Source: supplement Sec. 1.
    """
    return abs(predicted - targets).mean((-2, -1))


def mpjpe_loss(predicted: Any, targets: Any) -> Any:
    """Return the mean joint distance of each pose, which is VideoPose3D's loss.

    Args:
      predicted: [..., J, 3] joints, a JAX array.
      targets: [..., J, 3] joints, in the same unit.

    Returns:
      [...] one value for each pose, in the inputs' unit.
    """
    from srnet_jax.pose.metrics import mpjpe  # here, so that listing the losses does not import JAX

    return mpjpe(predicted, targets)


LOSSES = {"l1": l1_loss, "mpjpe": mpjpe_loss}
