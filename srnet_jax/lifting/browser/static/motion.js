// Turn lifted poses into a motion in the room: `lifting/motion.py`, and the places of `lifting/result.py`.

import { SEEN } from './complete.js';
import { axes, ground } from './ground.js';
import { pinhole } from './normalization.js';
import { rootPath, withMedianBones } from './root_path.js';
import { completeRows } from './series.js';
import { median } from './numbers.js';
import { apply, dot, subtract, vectorAt } from './vectors.js';

/**
 * Estimate the path of a person's hip, up and the floor.
 * @param {object} person of `lift`, with filtered poses
 * @param {Float64Array} times [T] increasing seconds
 * @param {number[]|null} up direction of up, camera frame; null to estimate it
 * @param {(line: string) => void} warn
 * @returns {{root: Float64Array, up: number[], upErrorDeg: number, ground: number|null}}
 *   root [T*3] path of the hip, camera frame, metres; ground, the height of the floor: its points p have p . up = ground
 */
export function placed(person, times, up, warn, tables) {
  const { completed, track } = person;
  const joints = tables.joints.length;
  const bones = withMedianBones(Float64Array.from(person.poses), tables);
  const root = rootPath(bones, completed, pinhole(track.imageSize, person.focalPx, tables), times, tables);
  const whole = bones.map((value, index) => value + root[3 * Math.floor(index / (3 * joints)) + (index % 3)]);
  const seen = (frame, joint) => completed.sources[frame * joints + joint] === SEEN;
  const found = ground(whole, times, up, seen, tables);
  if (up && upsideDown(whole, found.up, tables)) {
    warn(`${person.name}: up points from the head to the feet in most frames; up is 0,-1,0 for a level camera`);
  }
  const feet = ['RFoot', 'LFoot'].map((name) => tables.joints.indexOf(name));
  const shown = Array.from(times.keys()).some((frame) => feet.some((foot) => seen(frame, foot)));
  const known = found.stands > 0 || (up && shown);
  return {
    root,
    up: found.up,
    upErrorDeg: found.errorDeg,
    ground: known && Number.isFinite(found.height) ? -found.height : null,
  };
}

/** Return whether the thorax is below the feet in most frames of joints [T*J*3]. */
function upsideDown(joints, up, { joints: names }) {
  const height = (frame, name) => dot(vectorAt(joints, frame * names.length + names.indexOf(name)), up);
  const frames = Array.from({ length: joints.length / 3 / names.length }, (_, frame) => frame);
  const along = frames.map((frame) => height(frame, 'Thorax') - (height(frame, 'RFoot') + height(frame, 'LFoot')) / 2);
  return median(along.filter(Number.isFinite)) < 0;
}

/**
 * Place all people of a clip in one world: up and the floor are those of the person with the smallest error of up, among those
 * with a floor if there are any; the origin is the first known position of a hip.
 * @param {object[]} people of `lift`, with root, up, upErrorDeg and ground
 * @returns {object[]} the people, with the common up, upErrorDeg, ground and origin
 */
export function inOneWorld(people) {
  const clip = ({ track, name }) => (track.frames > 1 ? track.clip : name);
  return people.map((person) => {
    const own = people.filter((other) => clip(other) === clip(person));
    const standing = own.filter(({ ground: floor }) => floor !== null);
    const best = (standing.length ? standing : own).reduce((a, b) => (b.upErrorDeg < a.upErrorDeg ? b : a));
    const origin = own.map(({ root }) => firstKnown(root)).find(Boolean) ?? null;
    return { ...person, up: best.up, upErrorDeg: best.upErrorDeg, ground: best.ground, origin };
  });
}

/** Return the first vector of an array that is known; null if none is. */
function firstKnown(root) {
  const frame = completeRows(root, 3).indexOf(true);
  return frame < 0 ? null : vectorAt(root, frame);
}

/**
 * Return a person's joints in a level world: x to the camera's right, y away from the camera, z up. The origin is on the floor
 * if it is known, below the first hip of the clip; else it is that hip.
 * @param {object} person of `lift`
 * @returns {Float64Array} [T*J*3] metres; NaN in frames without a pose or a root
 */
export function jointsWorld({ poses, root, up, ground: floor, origin }, tables) {
  const joints = tables.joints.length;
  const rows = axes(up, tables);
  const from = apply(rows, origin ?? firstKnown(root) ?? [0, 0, 0]);
  if (floor !== null) from[2] = floor;
  const made = new Float64Array(poses.length);
  for (let index = 0; index < poses.length / 3; index += 1) {
    const hip = subtract(apply(rows, vectorAt(root, Math.floor(index / joints))), from);
    made.set(apply(rows, vectorAt(poses, index)).map((value, k) => value + hip[k]), 3 * index);
  }
  return made;
}
