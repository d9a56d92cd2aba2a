"""Names of the joints as markers in `.trc` and `.c3d` files: those of Pose2Sim and its OpenSim models."""

from srnet_jax.pose.skeleton import H36M_17

# Pose2Sim's Neck is the middle of the shoulders, and its Head the top of the head. Ours are elsewhere and have other names.
_OTHERS = {"RFoot": "RAnkle", "LFoot": "LAnkle", "Thorax": "Neck", "Neck": "SkullBase", "Head": "HeadCentre"}
NAMES = tuple(_OTHERS.get(joint, joint) for joint in H36M_17.joints)
