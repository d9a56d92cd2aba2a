"""What joints are called where people know them as markers: Pose2Sim's names, and so those of its OpenSim models."""

from srnet_jax.pose.skeleton import H36M_17

# Pose2Sim's Neck is the middle of the shoulders, its Head the top of the head: our Neck and Head, elsewhere, need other names.
_OTHERS = {"RFoot": "RAnkle", "LFoot": "LAnkle", "Thorax": "Neck", "Neck": "SkullBase", "Head": "HeadCentre"}
NAMES = tuple(_OTHERS.get(joint, joint) for joint in H36M_17.joints)
