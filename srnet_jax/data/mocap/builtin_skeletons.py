"""Tables of the known skeletons: which joints of a producer's files give Human3.6M's 17 joints.

Names are those in the files without their prefix. Upper and lower case, spaces and `_ . -` are ignored (`recognise`). A joint
may have several sources, of which the best that a file has is used: for the spine, the joint nearest to the middle between hip
and neck; for the thorax, the base of the neck. The head is half-way from the base of the skull to the end of the head, or, if
this has no end or no length, in line with the neck (`skeleton_maps.HEAD_OF_HEIGHT`), which is reported.

*CMU and HDM05* (ASF/AMC) have Vicon's skeleton. Its numbers, divided by its unit of length, are inches. A forearm consists of
two bones, of which the second ends at the wrist.

*CMU's BVH conversions by cgspeed* have two sets of names. The MotionBuilder-friendly set keeps CMU's numbers, whose unit is 1 /
0.45 inches, but lacks two bones that have several children. Both are restored: the second bone of the forearm in line with the
first and half as long (exact), the thorax parallel to the vertebra below and equally long (3 mm off on one recording). The
Daz-friendly set has the skeleton of Daz's figures, in centimetres, for all subjects. Its recordings begin with a T-pose
(`recordings.parts`).

*Bandai-Namco Research's* files are in centimetres. They have no joint above the base of the skull, so the head is placed in
line with the neck.

Source:
  HumanIK's names, which most producers write: MotionBuilder; files of Mixamo (AnimatedDrawings,
  `mixamo/Boxing_mixamo.com.bvh`), Rokoko (the same, `rokoko/jesse_dance.bvh`), LAFAN1 (`lafan1/extract.py`), OptiTrack, and
  SFU's columns in csv-to-json-har. Rokoko Studio's own names: AnimatedDrawings' configuration `rokoko`. Xsens MVN's:
  UniHumanoid's test files; 100STYLE and mocapdata.com use the same names. MVN's segments: Xsens' MVN user manual. OptiTrack's
  own names: Motive's exports. 3ds Max Biped's: Character Studio's documentation.
  Unreal's, Unity's and VRoid's: the mannequin's skeleton, `HumanBodyBones`, and VRoid Studio's exports.
  Markers: Pose2Sim's `skeletons.py`; Vicon's Plug-in Gait guide. The units of CMU and Bandai-Namco were checked on published
  files; HDM05's inches are those of its reading software.
"""

from collections.abc import Mapping
from typing import Any

from srnet_jax.data.mocap.skeleton_maps import Layout, Source, mapped, weights_of
from srnet_jax.data.mocap.smpl import STATURE_M
from srnet_jax.pose.skeleton import H36M_17

_INCH_M = 0.0254
_CMU_LENGTH = 0.45  # unit of length in CMU's .asf files
_LIMBS = ("Hip", "Knee", "Foot", "Shoulder", "Elbow", "Wrist")


def _limbs(left: str, right: str, names: str) -> dict[str, str]:
    """Return {joint: source's name} for the hips, knees, feet, shoulders, elbows and wrists.

    Args:
      left: pattern of names on the left, such as `Left*`, in which * is replaced by a name.
      right: the same on the right.
      names: the source's names of the six joints, separated by spaces.
    """
    return {
        key + limb: side.replace("*", name)
        for key, side in (("L", left), ("R", right))
        for limb, name in zip(_LIMBS, names.split(), strict=True)
    }


def _skeleton(name: str, limbs: Mapping[str, str], middle: Mapping[str, tuple[Source, ...]], **fields: Any) -> Layout:
    """Return a layout from the joints of its limbs, and the possible sources of Spine, Thorax, Neck and Head, best first."""
    ways: dict[str, tuple[Source, ...]] = {joint: (source,) for joint, source in limbs.items()} | dict(middle)
    ways["Hip"] = ((limbs["LHip"], limbs["RHip"]),)
    weights = {joint: tuple(map(weights_of, ways[joint])) for joint in H36M_17.joints}
    first = {joint: found[0] for joint, found in weights.items()}
    return Layout(name, first, {joint: found[1:] for joint, found in weights.items() if len(found) > 1}, **fields)


def _trunk(*spine: str, head: tuple[Source, ...] = ({"Head": 0.5, "Head_end": 0.5}, {})) -> dict[str, tuple[Source, ...]]:
    """Return the sources of Spine, Thorax, Neck and Head in most skeletons, best first.

    Args:
      spine: the source's joints that may give Spine.
      head: sources of Head; by default half-way to its end, or in line with the neck.
    """
    return {"Spine": spine, "Thorax": ("Neck",), "Neck": ("Head",), "Head": head}


def _with_thorax(source: Source) -> dict[str, float]:
    """Return the weights of a source above the lost thorax, which is restored as a copy of the vertebra below it."""
    weights = weights_of(source)
    return weights | {"Spine1": weights.get("Spine1", 0.0) + 1, "Spine": -1.0}


_VICON = Layout(
    "CMU and HDM05, ASF/AMC",
    mapped(
        ("lhipjoint", "rhipjoint"),
        *("rhipjoint", "rfemur", "rtibia"),
        *("lhipjoint", "lfemur", "ltibia"),
        *("root", "thorax", "upperneck", "head"),
        *("lclavicle", "lhumerus", "lwrist"),
        *("rclavicle", "rhumerus", "rwrist"),
    ),
    unit_m=_INCH_M,
    suffixes=(".amc",),
)
_MOTIONBUILDER = Layout(
    "CMU, MotionBuilder-friendly BVH",
    mapped(
        ("LeftUpLeg", "RightUpLeg"),
        *("RightUpLeg", "RightLeg", "RightFoot"),
        *("LeftUpLeg", "LeftLeg", "LeftFoot"),
        *("Hips", _with_thorax("Spine1"), _with_thorax("Head"), _with_thorax("Head_end")),
        *(_with_thorax("LeftArm"), _with_thorax("LeftForeArm"), _with_thorax({"LeftHand": 1.5, "LeftForeArm": -0.5})),
        *(_with_thorax("RightArm"), _with_thorax("RightForeArm"), _with_thorax({"RightHand": 1.5, "RightForeArm": -0.5})),
    ),
    {"Head": ({},)},
    unit_m=_INCH_M / _CMU_LENGTH,
    suffixes=(".bvh",),
    coincident=("Spine1", "Neck", "LeftShoulder", "RightShoulder"),
)
_DAZ = Layout(
    "CMU, Daz-friendly BVH, Poser and Second Life",
    mapped(
        ("lThigh", "rThigh"),
        *("rThigh", "rShin", "rFoot"),
        *("lThigh", "lShin", "lFoot"),
        *("abdomen", ("lCollar", "rCollar"), "head"),
        {"leftEye": 0.25, "rightEye": 0.25, "head": 1.0, "neck": -0.5},  # between the eyes and a longer neck
        *("lShldr", "lForeArm", "lHand"),
        *("rShldr", "rForeArm", "rHand"),
    ),
    {"Head": (weights_of(("head", "head_end")), {})},  # Poser's and Second Life's figures have no eyes
    unit_m=0.01,
    suffixes=(".bvh",),
)
_BANDAI = _skeleton(
    "Bandai-Namco, BVH",
    _limbs("*_L", "*_R", "UpperLeg LowerLeg Foot UpperArm LowerArm Hand"),
    _trunk("Spine", head=({"Head": 2.5, "Neck": -1.5},)),
    unit_m=0.01,
    suffixes=(".bvh",),
)
_HUMAN_IK = (
    _limbs("Left*", "Right*", "UpLeg Leg Foot Arm ForeArm Hand"),
    _trunk("Spine1", "Spine", head=(*({"Head": 0.5, end: 0.5} for end in ("HeadTop_End", "HeadEnd", "Head_end")), {})),
)
_MIXAMO = _skeleton("Mixamo", *_HUMAN_IK, signature="mixamorig.*|headtopend")
_LAFAN = _skeleton("LAFAN1", *_HUMAN_IK, signature="lefttoe", suffixes=(".bvh",))
_HUMAN = _skeleton("MotionBuilder's HumanIK names (SFU, Rokoko, OptiTrack and others)", *_HUMAN_IK)
_ROKOKO = _skeleton(
    "Rokoko Studio",
    _limbs("Left*", "Right*", "Thigh Shin Foot Arm ForeArm Hand"),
    _trunk("Spine2", "Spine1", "Spine"),
)
_XSENS = _skeleton(
    "Xsens MVN, 100STYLE and other BVH with Hips, Chest and Collar",
    _limbs("Left*", "Right*", "Hip Knee Ankle Shoulder Elbow Wrist"),
    _trunk("Chest3", "Chest2", "Chest"),
)
_MVN = _skeleton(
    "Xsens MVN's segments",
    _limbs("Left*", "Right*", "UpperLeg LowerLeg Foot UpperArm ForeArm Hand"),
    _trunk("T12", "L3"),
    suffixes=(".bvh",),
)
_MOTIVE = _skeleton(
    "OptiTrack Motive",
    _limbs("L*", "R*", "Thigh Shin Foot UArm FArm Hand"),
    _trunk("Chest", "Ab"),
    suffixes=(".bvh",),
)
_BIOVISION = _skeleton(
    "Biovision",
    _limbs("Left*", "Right*", "UpLeg LowLeg Foot UpArm LowArm Hand"),
    _trunk("Chest"),
)
_BIPED = _skeleton(
    "3ds Max Biped",
    _limbs("L *", "R *", "Thigh Calf Foot UpperArm Forearm Hand"),
    _trunk("Spine1", "Spine", head=({"Head": 0.5, "HeadNub": 0.5}, {"Head": 0.5, "Head_end": 0.5}, {})),
)
_UNREAL = _skeleton(
    "Unreal Engine's mannequin",
    _limbs("*_l", "*_r", "thigh calf foot upperarm lowerarm hand"),
    {
        **{"Spine": ("spine_02", "spine_01"), "Thorax": ("neck_01",), "Neck": ("head",)},
        "Head": ({"head": 0.5, "head_end": 0.5}, {}),
    },
    suffixes=(".bvh",),
)
_UNITY = _skeleton(
    "Unity's humanoid",
    _limbs("Left*", "Right*", "UpperLeg LowerLeg Foot UpperArm LowerArm Hand"),
    _trunk("Chest", "Spine"),
    suffixes=(".bvh",),
)
_VROID = _skeleton(
    "VRoid",
    _limbs("L_*", "R_*", "UpperLeg LowerLeg Foot UpperArm LowerArm Hand"),
    {
        **{"Spine": ("C_Chest", "C_Spine"), "Thorax": ("C_Neck",), "Neck": ("C_Head",)},
        "Head": ({"C_Head": 0.5, "C_Head_end": 0.5}, {}),
    },
    suffixes=(".bvh",),
)
_SMPL_LIMBS = _limbs("L_*", "R_*", "Hip Knee Ankle Shoulder Elbow Wrist")
_SMPL = _skeleton("SMPL", _SMPL_LIMBS, _trunk("Spine2", "Spine1"), suffixes=(".bvh",))
_AMASS = _skeleton(
    "SMPL's parameters (AMASS)",
    _SMPL_LIMBS,
    _trunk("Spine2", "Spine1"),
    suffixes=(".npz",),
    note=f"bones point as in the file, but have the lengths of a neutral body of {STATURE_M:.2f} m (anthropometry)",
)
_SMPL_X = _skeleton(
    "SMPL-X",
    _limbs("left_*", "right_*", "hip knee ankle shoulder elbow wrist"),
    _trunk("Spine2", "Spine1"),
    suffixes=(".bvh",),
)
_OWN = _skeleton(
    "this program's BVH",
    {joint: joint for side in "LR" for joint in (f"{side}Hip", f"{side}Knee", f"{side}Shoulder", f"{side}Elbow")}
    | {f"{side}Foot": f"{side}Knee_end" for side in "LR"}
    | {f"{side}Wrist": f"{side}Elbow_end" for side in "LR"},
    {"Spine": ("Spine",), "Thorax": ("Thorax",), "Neck": ("Neck",), "Head": ("Neck_end", {})},
    suffixes=(".bvh",),
)


def _markers(name: str, left: str, right: str, names: str, middle: Mapping[str, str], note: str = "") -> Layout:
    """Return a layout of markers.

    Args:
      name: of the layout.
      left: pattern of names on the left, in which * is replaced by a name.
      right: the same on the right.
      names: pairs `name:joint`, separated by spaces; joints are those of `pose.layouts`, without their side.
      middle: {name: joint} of markers without a side.
      note: for users, on the poses.
    """
    sides = {"left": left, "right": right}
    pairs = [pair.split(":") for pair in names.split()]
    both = {pattern.replace("*", own): f"{side}_{joint}" for own, joint in pairs for side, pattern in sides.items()}
    return Layout(name, {}, markers=both | dict(middle), suffixes=(".trc", ".c3d"), note=note)


_LIMB_MARKERS = "Hip:hip Knee:knee Ankle:ankle Shoulder:shoulder Elbow:elbow Wrist:wrist"
_FACE_MARKERS = " Eye:eye Ear:ear"
_OWN_MARKERS = _markers(
    "this program's joints as markers",
    *("L*", "R*", _LIMB_MARKERS),
    {"Hip": "pelvis", "Spine": "spine", "Neck": "thorax", "SkullBase": "skull_base", "HeadCentre": "head"},
)
_POSE2SIM = _markers(
    "Pose2Sim's markers",
    *("L*", "R*", _LIMB_MARKERS + _FACE_MARKERS),
    {"Hip": "pelvis", "CHip": "pelvis", "midHip": "pelvis", "Neck": "thorax", "Head": "head_top", "Nose": "nose"},
)
_COCO = _markers("COCO's joints", "left_*", "right_*", _LIMB_MARKERS + _FACE_MARKERS, {"Nose": "nose"})
_PLUG_IN_GAIT = _markers(  # its centres are computed by `gait_markers`
    "Plug-in Gait's markers",
    *("L*", "R*", "HJC:hip KJC:knee AJC:ankle SJC:shoulder EJC:elbow WJC:wrist"),
    {"ThoraxCentre": "thorax", "HeadCentre": "head"},
    "joint centres from markers: hips after Harrington et al. 2007, the others in from the skin by half of usual widths",
)

LAYOUTS = {
    **{"cmu": (_VICON, _MOTIONBUILDER, _DAZ), "hdm05": (_VICON,), "bandai": (_BANDAI,)},
    **{"mixamo": (_MIXAMO, _HUMAN), "lafan1": (_LAFAN, _HUMAN), "sfu": (_HUMAN,), "motionbuilder": (_HUMAN,)},
    **{"rokoko": (_ROKOKO, _HUMAN), "xsens": (_XSENS, _MVN), "100style": (_XSENS,), "biovision": (_BIOVISION,)},
    **{
        "motive": (_MOTIVE, _HUMAN),
        "biped": (_BIPED,),
        "unreal": (_UNREAL,),
        "unity": (_UNITY,),
        "vroid": (_VROID,),
        "poser": (_DAZ,),
        "smpl": (_AMASS, _SMPL, _SMPL_X),
    },
    **{"markers": (_OWN_MARKERS, _PLUG_IN_GAIT, _POSE2SIM, _COCO), "srnet": (_OWN, _OWN_MARKERS)},
}
