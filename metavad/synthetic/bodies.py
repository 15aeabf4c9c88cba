"""Articulated people: joint angles in, joints in metres out, for all frames of an actor at once.

Angles are radians in the body's own sagittal plane: 0 hangs down (limbs) or stands up (trunk), positive
swings forwards; ``out`` lifts an arm sideways. ``tip`` turns the whole body about its feet: a fall.
"""

from dataclasses import dataclass

import numpy as np

from metavad.types import FloatArray

__all__ = ["ANGLES", "JOINTS", "KEYPOINTS", "Build", "cadence", "cycling", "gait", "joints", "keypoints", "posture"]

ANGLES = (
    "lean", "neck", "hip_left", "hip_right", "knee_left", "knee_right", "shoulder_left", "shoulder_right",
    "out_left", "out_right", "elbow_left", "elbow_right",
)  # fmt: skip
JOINTS = (
    "pelvis", "neck", "head", "crown", "nose", "shoulder_left", "shoulder_right", "elbow_left", "elbow_right",
    "wrist_left", "wrist_right", "hand_left", "hand_right", "hip_left", "hip_right", "knee_left", "knee_right",
    "ankle_left", "ankle_right", "toe_left", "toe_right",
)  # fmt: skip
KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
"""The 17 keypoints of COCO (Lin et al. 2014, https://arxiv.org/abs/1405.0312), in its order."""


@dataclass(frozen=True)
class Build:
    """Stature in metres and relative width of one person."""

    stature: float
    width: float


def posture(name: str, seconds: FloatArray, phase: float) -> FloatArray:
    """Joint angles (T, 12) of a posture over time; small movements depend on ``phase``."""
    sway = np.sin(1.3 * seconds + phase)
    quick = np.sin(9.0 * seconds + phase)
    still = {
        "stand": {"lean": 0.02 * sway, "elbow": 0.25, "out": 0.08},
        "talk": {"lean": 0.03 * sway, "shoulder_right": 0.5 + 0.3 * np.sin(3 * seconds + phase), "elbow": 0.5,
                 "elbow_right": 1.4 + 0.4 * np.sin(4.1 * seconds + phase), "out": 0.1},
        "phone": {"neck": 0.5, "shoulder_right": 0.6, "elbow_right": 1.9 + 0.03 * sway, "elbow": 0.3},
        "sit": {"lean": 0.05 + 0.05 * sway, "hip": 1.45, "knee": 1.45, "shoulder": 0.5, "elbow": 0.7},
        "bend": {"lean": 1.2 + 0.12 * sway, "neck": 0.2, "hip": 0.42, "knee": 0.5,
                 "shoulder": 1.2 + 0.25 * np.sin(2.3 * seconds + phase), "elbow": 0.2},
        "crouch": {"lean": 0.6 + 0.03 * sway, "hip": 1.8, "knee": 2.3, "shoulder": 1.2, "elbow": 0.4},
        "hug": {"lean": 0.1 + 0.03 * sway, "shoulder": 1.25, "out": 0.1, "elbow": 0.8},
        "lie": {"hip": 0.25, "hip_right": 0.6, "knee": 0.5, "knee_right": 1.0 + 0.05 * sway, "shoulder": 0.6,
                "shoulder_left": 1.6 + 0.05 * sway, "out": 0.7, "elbow": 0.8},
        "fight": {"lean": 0.25 + 0.15 * np.sin(2.7 * seconds + phase), "neck": 0.2, "hip": 0.4, "hip_right": -0.35,
                  "knee": 0.5, "shoulder_left": 1.0 + 0.5 * np.maximum(quick, 0), "out": 0.25,
                  "elbow_left": 1.9 - 1.7 * np.maximum(quick, 0),
                  "shoulder_right": 1.0 + 0.5 * np.maximum(-quick, 0),
                  "elbow_right": 1.9 - 1.7 * np.maximum(-quick, 0)},
        "climb": {"lean": 0.1, "shoulder_left": 2.5 + 0.4 * np.sin(4 * seconds), "elbow": 0.5,
                  "shoulder_right": 2.5 - 0.4 * np.sin(4 * seconds), "hip_left": 0.9 + 0.6 * np.sin(4 * seconds),
                  "hip_right": 0.9 - 0.6 * np.sin(4 * seconds), "knee_left": 1.2 + 0.6 * np.sin(4 * seconds),
                  "knee_right": 1.2 - 0.6 * np.sin(4 * seconds)},
        "wind-up": {"lean": -0.2, "shoulder_right": 2.9, "elbow_right": 1.3, "hip_left": 0.5, "hip_right": -0.2,
                    "shoulder_left": 0.8, "out": 0.2},
        "release": {"lean": 0.4, "shoulder_right": 0.7, "elbow_right": 0.15, "hip_left": 0.4, "hip_right": -0.5,
                    "knee": 0.2, "shoulder_left": -0.3},
        "reach": {"lean": 0.15, "neck": -0.1, "shoulder": 1.9 + 0.2 * np.sin(2 * seconds + phase), "elbow": 0.6},
        "stagger": {"lean": 0.5, "shoulder": 1.4, "out": 0.7, "elbow": 0.6, "hip_left": 0.5, "knee": 0.7},
    }[name]  # fmt: skip
    return _angles(still, len(seconds))


def _angles(given: dict[str, FloatArray | float], frames: int) -> FloatArray:
    """Names without a side set both sides; a name with a side overrules."""
    table = np.zeros((frames, len(ANGLES)))
    for column, name in enumerate(ANGLES):
        table[:, column] = given.get(name, given.get(name.split("_")[0], 0.0))
    return table


def gait(speed: FloatArray, cycle: FloatArray, leg: float) -> FloatArray:
    """Joint angles (T, 12) of walking or running at ``speed`` (T,) m/s; ``cycle`` (T,) is the stride's phase."""
    running = np.clip((speed - 1.9) / 1.0, 0, 1)
    reach = np.arcsin(np.clip(speed / (4 * cadence(speed) * leg), 0, 0.64))
    swing, lift = reach * np.sin(cycle), np.cos(cycle - 0.35)
    flex = np.clip(reach / 0.4, 0, 1) * (0.85 + 0.9 * running)
    arms = (0.75 + 0.35 * running) * swing
    return _angles(
        {
            "lean": 0.03 + 0.035 * speed,
            "hip_left": swing + 0.12 + 0.15 * running, "hip_right": -swing + 0.12 + 0.15 * running,
            "knee_left": 0.12 + flex * np.maximum(lift, 0), "knee_right": 0.12 + flex * np.maximum(-lift, 0),
            "shoulder_left": -arms, "shoulder_right": arms,
            "out": 0.1, "elbow": 0.3 + 1.2 * running,
        },
        len(speed),
    )  # fmt: skip


def cadence(speed: FloatArray) -> FloatArray:
    """Strides (two steps) a second at ``speed`` m/s."""
    return np.asarray(0.4 + 0.45 * np.sqrt(np.maximum(speed, 0.0)))


def cycling(cycle: FloatArray) -> FloatArray:
    """Joint angles (T, 12) on a bicycle."""
    turn = np.sin(cycle)
    return _angles(
        {"lean": 0.55, "neck": -0.3, "shoulder": 1.25, "elbow": 0.25, "out": 0.12,
         "hip_left": 1.0 + 0.4 * turn, "hip_right": 1.0 - 0.4 * turn,
         "knee_left": 1.1 + 0.45 * turn, "knee_right": 1.1 - 0.45 * turn},
        len(cycle),
    )  # fmt: skip


def _pointing(angle: FloatArray, length: float, out: FloatArray | float = 0.0) -> FloatArray:
    """Offset (T, 3) of a limb: forwards, left, up."""
    side = np.broadcast_to(np.asarray(out, dtype=float), angle.shape)
    return length * np.stack([np.sin(angle) * np.cos(side), np.sin(side), -np.cos(angle) * np.cos(side)], -1)


def joints(build: Build, angles: FloatArray, tip: FloatArray, side: float) -> FloatArray:
    """Joints (T, 21, 3) in the body's frame (forwards, left, up), feet on the ground.

    ``tip`` (T,) radians turns the body about its feet towards ``side`` (0 forwards, pi backwards).
    """
    size, column = build.stature, dict(zip(ANGLES, angles.T, strict=True))
    lean = column["lean"]
    up, left = _pointing(np.pi - lean, 1.0), np.zeros((len(angles), 3))
    left[:, 1] = 1.0
    at = {"pelvis": np.zeros((len(angles), 3)), "neck": 0.3 * size * up}
    nod = _pointing(np.pi - lean - column["neck"], 1.0)
    face = _pointing(np.pi / 2 - lean - column["neck"], 1.0)
    at |= {"head": at["neck"] + 0.095 * size * nod, "crown": at["neck"] + 0.165 * size * nod}
    at["nose"] = at["head"] + 0.06 * size * face
    for name, sign in (("left", 1.0), ("right", -1.0)):
        at |= _arm(at["neck"] - 0.042 * size * up, left * sign, size, build.width, column, name, sign)
        at |= _leg(left * sign, size, build.width, column, name)
    body = np.stack([at[name] for name in JOINTS], 1)
    feet = np.stack([at["ankle_left"][:, 2], at["ankle_right"][:, 2]]).min(0)
    body[..., 2] += (0.045 * size - feet)[:, None]
    return _tipped(body, tip, side, 0.07 * size)


def _arm(top: FloatArray, left: FloatArray, size: float, width: float, column: dict[str, FloatArray], name: str,
         sign: float) -> dict[str, FloatArray]:  # fmt: skip
    shoulder = top + 0.1 * size * width * left
    angle, out = column[f"shoulder_{name}"] - column["lean"], sign * column[f"out_{name}"]
    elbow = shoulder + _pointing(angle, 0.175 * size, out)
    forearm = angle + column[f"elbow_{name}"]
    wrist = elbow + _pointing(forearm, 0.15 * size, 0.4 * out)
    hand = wrist + _pointing(forearm, 0.045 * size)
    return {f"shoulder_{name}": shoulder, f"elbow_{name}": elbow, f"wrist_{name}": wrist, f"hand_{name}": hand}


def _leg(
    left: FloatArray, size: float, width: float, column: dict[str, FloatArray], name: str
) -> dict[str, FloatArray]:
    hip = 0.052 * size * width * left
    knee = hip + _pointing(column[f"hip_{name}"], 0.245 * size)
    shank = column[f"hip_{name}"] - column[f"knee_{name}"]
    ankle = knee + _pointing(shank, 0.24 * size)
    toe = ankle + _pointing(shank + 1.35, 0.11 * size)
    return {f"hip_{name}": hip, f"knee_{name}": knee, f"ankle_{name}": ankle, f"toe_{name}": toe}


def _tipped(body: FloatArray, tip: FloatArray, side: float, thickness: float) -> FloatArray:
    cosine, sine = np.cos(tip)[:, None], np.sin(tip)[:, None]
    towards = np.array([np.cos(side), np.sin(side)])
    along = body[..., :2] @ towards
    moved = along * cosine + body[..., 2] * sine
    height = body[..., 2] * cosine - along * sine + thickness * np.abs(sine)
    turned = body.copy()
    turned[..., :2] += (moved - along)[..., None] * towards
    # a body does not sink into the ground: limbs that would are laid upon it
    turned[..., 2] = np.where(tip[:, None] > 0, np.maximum(height, 0.04), body[..., 2])
    return turned


def keypoints(body: FloatArray) -> FloatArray:
    """The 17 keypoints (T, 17, 3) of joints (T, 21, 3)."""
    at = {name: body[:, number] for number, name in enumerate(JOINTS)}
    width = np.linalg.norm(at["shoulder_left"] - at["shoulder_right"], axis=-1, keepdims=True)
    left = (at["shoulder_left"] - at["shoulder_right"]) / np.maximum(width, 1e-6)
    forward, up = at["nose"] - at["head"], (at["crown"] - at["head"]) * 0.25
    found = [at["nose"]]
    found += [at["head"] + 0.85 * forward + up + sign * 0.032 * left for sign in (1, -1)]
    found += [at["head"] + sign * 0.075 * left for sign in (1, -1)]
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
        found += [at[f"{part}_left"], at[f"{part}_right"]]
    return np.stack(found, 1)
