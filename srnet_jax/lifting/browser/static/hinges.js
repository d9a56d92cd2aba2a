// Straighten knees and elbows that bend the wrong way: `pose/hinges.py`, which says when and why.

import { completeRows } from './series.js';
import { add, apply, bestRotation, cross, dot, norm, rotated, scale, subtract, unit, vectorAt } from './vectors.js';

const TINY = 1e-12;

/**
 * Straighten the knees and the elbows of poses that bend the wrong way; bones keep their lengths.
 * @param {Float64Array} poses [T*J*3] in a right-handed frame, metres; frames with a NaN are unchanged
 * @param {{knees: boolean, elbows: boolean}} settings
 * @returns {Float64Array} [T*J*3]
 */
export function withoutWrongBends(poses, { knees, elbows }, tables) {
  const numbers = tables.constants.hinges;
  const indices = (names) => names.map((name) => tables.joints.indexOf(name));
  const both = (limb, line, limit) =>
    ['L', 'R'].map((side) => [indices(limb.map((name) => side + name)), indices(line), limit]);
  const hinges = [ // the joints of the limb, the two joints whose line is the axis, and the limit angle
    ...(knees ? both(['Hip', 'Knee', 'Foot'], ['RHip', 'LHip'], numbers.KNEE_LIMIT) : []),
    ...(elbows ? both(['Shoulder', 'Elbow', 'Wrist'], ['LShoulder', 'RShoulder'], numbers.ELBOW_LIMIT) : []),
  ];
  const made = Float64Array.from(poses);
  const width = 3 * tables.joints.length;
  completeRows(poses, width).forEach((known, frame) => {
    if (!known) return;
    const pose = poses.subarray(frame * width, (frame + 1) * width);
    for (const [limb, line, limit] of hinges) {
      const straightened = unbent(pose, limb, line, limit, numbers);
      straightened?.forEach((place, k) => made.set(place, frame * width + 3 * limb[k + 1]));
    }
  });
  return made;
}

/** Return the second and the third joint of a limb, straightened; null if it does not bend the wrong way. */
function unbent(pose, limb, line, limit, numbers) {
  const [first, hinge, last] = limb.map((joint) => vectorAt(pose, joint));
  const across = subtract(vectorAt(pose, line[1]), vectorAt(pose, line[0]));
  if (!(dot(cross(subtract(hinge, first), subtract(last, hinge)), across) < 0)) return null;
  const direction = (vector) => unit(vector, numbers.MIN_LENGTH);
  const [upper, lower] = [direction(subtract(hinge, first)), direction(subtract(last, hinge))];
  const level = direction(across);
  const axis = subtract(level, scale(upper, dot(level, upper)));
  if (norm(axis) < numbers.MIN_ACROSS) return null;
  const torso = direction(subtract(vectorAt(pose, numbers.HIP), vectorAt(pose, numbers.THORAX)));
  const trust = clip((limit - norm(turn(torso, upper))) / numbers.FADE);
  const bend = turn(upper, lower);
  const wrong = Math.min(dot(bend, direction(axis)), 0);
  const share = trust * clip((numbers.FARTHEST + wrong) / (numbers.FARTHEST - numbers.CERTAIN));
  if (!(wrong * share < -numbers.ROUNDING)) return null;
  const kept = turnedBy(upper, subtract(bend, scale(direction(axis), wrong * share)));
  const before = [subtract(hinge, first), subtract(last, first)];
  const after = [before[0], add(before[0], turnedBy(subtract(before[1], before[0]), turn(lower, kept)))];
  const whole = bestRotation(after, before); // of the limb, so that both joints move as little as possible
  return after.map((place) => add(first, apply(whole, place)));
}

const clip = (value) => Math.min(Math.max(value, 0), 1);

/** Return the shortest rotation vector from one direction to another; 0 for opposite directions. */
function turn(a, b) {
  const normal = cross(a, b);
  const sine = norm(normal);
  return scale(normal, Math.atan2(sine, dot(a, b)) / Math.max(sine, TINY));
}

/** Rotate a vector by a rotation vector. */
function turnedBy(vector, rotation) {
  return rotated(vector, unit(rotation, TINY), norm(rotation));
}
