"""The losses that training may minimise, by name; a new one is a function here and an entry of LOSSES."""

from typing import Any


def l1_loss(predicted: Any, targets: Any) -> Any:
    """Return each pose's mean absolute coordinate error.

    Args:
      predicted: [..., J, 3] joints, a JAX array.
      targets: [..., J, 3] joints, in the same unit.

    Returns:
      [...] in the inputs' unit, one a pose.

    Source: supplement Sec. 1.
    """
    return abs(predicted - targets).mean((-2, -1))


def mpjpe_loss(predicted: Any, targets: Any) -> Any:
    """Return each pose's mean joint distance, VideoPose3D's loss; arguments as `l1_loss`."""
    from srnet_jax.pose.metrics import mpjpe  # needs JAX; listing the names does not

    return mpjpe(predicted, targets)


LOSSES = {"l1": l1_loss, "mpjpe": mpjpe_loss}
