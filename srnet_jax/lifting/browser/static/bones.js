// Give the bones of a track constant lengths: `pose/bones.py`.

import { UserError } from './errors.js';
import { median } from './numbers.js';
import { completeRows } from './series.js';
import { add, norm, scale, subtract, vectorAt } from './vectors.js';

/** Return the joints other than the hip, those nearer to the hip first, and for each bone the joints that it moves. */
function tree({ parents }) {
  const path = (joint) => (parents[joint] < 0 ? [] : [...path(parents[joint]), joint]); // bones from the hip to a joint
  const paths = parents.map((_, joint) => path(joint));
  const children = parents.flatMap((parent, joint) => (parent < 0 ? [] : [joint]));
  children.sort((a, b) => paths[a].length - paths[b].length || a - b);
  return { parents, children, paths };
}

/** Return the lengths [J] of the bones of one pose [J*3] that end at each joint; `alike` averages left and right. */
export function frameLengths(pose, alike, { parents, mirrored }) {
  const own = parents.map((parent, joint) => (parent < 0 ? 0 : norm(subtract(vectorAt(pose, joint), vectorAt(pose, parent)))));
  return alike ? own.map((length, joint) => (length + own[mirrored[joint]]) / 2) : own;
}

/** Return the median lengths [J] of the bones over the complete frames of poses [T*J*3]; null if no frame is complete. */
export function boneLengths(poses, alike, tables) {
  const width = 3 * tables.joints.length;
  const known = completeRows(poses, width);
  const frames = Array.from(known.keys()).filter((frame) => known[frame]);
  const lengths = frames.map((frame) => frameLengths(poses.subarray(frame * width, (frame + 1) * width), alike, tables));
  return frames.length ? tables.joints.map((_, joint) => median(lengths.map((own) => own[joint]))) : null;
}

/** The running median length of each bone. */
export class RunningLengths {
  constructor(alike, tables) {
    this.alike = alike;
    this.tables = tables;
    this.sorted = tables.joints.map(() => []);
  }

  /** Add the next complete pose [J*3], and return the median lengths [J]. */
  push(pose) {
    const lengths = frameLengths(pose, this.alike, this.tables);
    return this.sorted.map((values, joint) => {
      if (values.length < this.tables.constants.bones.MEMORY_FRAMES) insert(values, lengths[joint]);
      const count = values.length;
      return (values[(count - 1) >> 1] + values[count >> 1]) / 2;
    });
  }
}

function insert(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle + 1;
    else high = middle;
  }
  sorted.splice(low, 0, value);
}

/** Set the lengths of the bones of poses [T*J*3] from the hip outwards; each bone keeps its direction. */
export function treeWalk(poses, lengths, tables) {
  const { children, parents } = tree(tables);
  const joints = parents.length;
  const made = Float64Array.from(poses);
  for (let start = 0; start < poses.length / 3; start += joints) {
    for (const joint of children) {
      const bone = subtract(vectorAt(poses, start + joint), vectorAt(poses, start + parents[joint]));
      const moved = add(vectorAt(made, start + parents[joint]), scale(direction(bone, tables), lengths[joint]));
      made.set(moved, 3 * (start + joint));
    }
  }
  return made;
}

/** Return the direction of a bone; (0, 1, 0) if it is too short to have one. */
function direction(bone, tables) {
  const length = norm(bone);
  return length > tables.constants.bones.MIN_LENGTH ? scale(bone, 1 / length) : [0, 1, 0];
}

/**
 * Give all frames the same bone lengths while moving the joints as little as possible; the hip stays.
 * @param {Float64Array} poses [T*J*3]; frames with a NaN are returned unchanged
 * @param {number[]} lengths [J]
 * @param {ArrayLike<number>|null} confidences [T*J]; null for 1
 * @returns {Float64Array} [T*J*3]
 */
export function constantBones(poses, lengths, confidences, tables) {
  const { children, parents, paths } = tree(tables);
  const { SWEEPS, MIN_CONFIDENCE, TINY } = tables.constants.bones;
  const joints = parents.length;
  const made = Float64Array.from(poses);
  const known = completeRows(made, 3 * joints);
  for (let frame = 0; frame < known.length; frame += 1) {
    if (!known[frame]) continue;
    const start = frame * joints;
    const hip = vectorAt(made, start);
    const pulls = parents.map(() => [0, 0, 0]);
    const between = parents.map(() => new Float64Array(joints));
    const directions = parents.map(() => [0, 0, 0]);
    for (const joint of children) {
      const sure = confidences ? Math.min(Math.max(confidences[start + joint], MIN_CONFIDENCE), 1) : 1;
      const given = subtract(vectorAt(made, start + joint), hip);
      for (const a of paths[joint]) {
        pulls[a] = add(pulls[a], scale(given, sure * lengths[a]));
        for (const b of paths[joint]) if (a !== b) between[a][b] += sure * lengths[a] * lengths[b];
      }
      directions[joint] = direction(subtract(vectorAt(made, start + joint), vectorAt(made, start + parents[joint])), tables);
    }
    for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
      for (const a of children) {
        let wanted = pulls[a];
        for (const b of children) if (between[a][b]) wanted = subtract(wanted, scale(directions[b], between[a][b]));
        directions[a] = scale(wanted, 1 / Math.max(norm(wanted), TINY));
      }
    }
    for (const joint of children) {
      const moved = add(vectorAt(made, start + parents[joint]), scale(direction(directions[joint], tables), lengths[joint]));
      made.set(moved, 3 * (start + joint));
    }
  }
  return made;
}

/** Return the factor that scales bones of these lengths [J] to a body height or a leg length, metres; 1 if both are null. */
export function sizeFactor(lengths, { stature_m: stature, leg_m: leg }, { joints, ratios, constants }) {
  const wanted = leg ?? (stature ? stature * (ratios.thigh + ratios.shank) : null);
  if (wanted === null) return 1;
  const now = ['LKnee', 'LFoot', 'RKnee', 'RFoot'].reduce((sum, name) => sum + lengths[joints.indexOf(name)] / 2, 0);
  if (!(now > constants.bones.MIN_LENGTH)) {
    throw new UserError(`lengths: found legs of ${now} m, expected more than ${constants.bones.MIN_LENGTH} m`);
  }
  return wanted / now;
}
