// Convert a person's keypoints to Human3.6M's 17 joints and fill in missing ones, as srnet_jax/pose/complete.py.

import { UserError } from './errors.js';
import { completed, count, sizeOf } from './prior.js';
import { median, roundHalfEven } from './numbers.js';

const JOINTS = 17;
export const NOT_LIFTED = 0;
export const SEEN = 1;
export const DERIVED = 2;
export const FILLED = 3;

/**
 * @typedef {object} Completed
 * @property {Float32Array} points [T*17*2] pixels; NaN in frames that are not lifted
 * @property {Float32Array} confidences [T*17]; 0 where a joint was neither seen nor derived from seen joints
 * @property {Uint8Array} lifted [T]; 0 in gaps that are too long
 * @property {Uint8Array} sources [T*17] NOT_LIFTED, SEEN, DERIVED or FILLED
 */

/**
 * Convert a track to Human3.6M's 17 joints and fill in the missing ones.
 *
 * @param {{keypoints: ArrayLike<number>, confidences: ArrayLike<number>, frames: number, joints: number, layout: string,
 *   fps: ?number}} track
 * @param {object} tables from `reading_tables.py`
 * @returns {Completed}
 * @throws {UserError} for an unknown layout, or another number of joints
 */
export function complete(track, tables) {
  const { frames, joints } = track;
  const layout = findLayout(track.layout, tables);
  checkJoints(joints, track.layout, tables);
  const { longestGap, minJoints, usualFps } = tables.completing;
  const keypoints = withoutLeaps(track.keypoints, frames, joints, tables.completing);
  const sure = Float64Array.from(track.confidences, (value, index) =>
    (Number.isFinite(keypoints[2 * index]) && Number.isFinite(keypoints[2 * index + 1]) ? value : 0));
  const { points, confidences } = derived(keypoints, sure, frames, joints, layout);
  const sources = new Uint8Array(frames * JOINTS);
  const patterns = new Int32Array(frames);
  for (let frame = 0; frame < frames; frame += 1) {
    for (let joint = 0; joint < JOINTS; joint += 1) {
      const seen = confidences[frame * JOINTS + joint] > 0;
      const own = layout.own[joint];
      if (seen) patterns[frame] |= 1 << joint;
      sources[frame * JOINTS + joint] = own !== null && sure[frame * joints + own] > 0 ? SEEN : seen ? DERIVED : FILLED;
    }
  }
  const longest = Math.max(roundHalfEven(longestGap * (track.fps || usualFps)), 1);
  const enough = Uint8Array.from(patterns, (pattern) => Number(count(pattern) >= minJoints));
  const filled = fill(points, patterns, enough, longest, tables);
  const { whole, lifted } = withoutGaps(filled, enough, longest);
  for (let index = 0; index < frames * JOINTS; index += 1) {
    const frame = Math.floor(index / JOINTS);
    if (!enough[frame]) sources[index] = FILLED;
    if (!lifted[frame]) sources[index] = NOT_LIFTED;
    if (!lifted[frame] || !enough[frame]) confidences[index] = 0;
  }
  return { points: Float32Array.from(whole), confidences: Float32Array.from(confidences), lifted, sources };
}

/**
 * Return {joint: fraction of the frames with the person in which it was not seen}, of joints for which this exceeds 5 %.
 *
 * @param {Completed} person
 * @param {object} tables
 */
export function missing(person, tables) {
  const hidden = new Float64Array(JOINTS);
  let shown = 0;
  for (let frame = 0; frame < person.lifted.length; frame += 1) {
    const own = person.confidences.subarray(frame * JOINTS, (frame + 1) * JOINTS);
    if (person.lifted[frame] && own.some((value) => value > 0)) {
      shown += 1;
      own.forEach((value, joint) => { hidden[joint] += value > 0 ? 0 : 1; });
    }
  }
  const names = tables.layouts.h36m.joints;
  return Object.fromEntries(names.map((name, joint) => [name, hidden[joint] / shown])
    .filter(([, share]) => share > tables.completing.named));
}

/** Return a layout by its name. */
export function findLayout(name, tables) {
  if (typeof name !== 'string' || !Object.hasOwn(tables.layouts, name)) {
    throw new UserError(`layout '${name}': not known, expected one of ${Object.keys(tables.layouts).join(', ')}`);
  }
  return tables.layouts[name];
}

/** Check that the number of joints is that of a layout. */
export function checkJoints(found, name, tables) {
  const expected = findLayout(name, tables).joints.length;
  if (found === expected) return;
  const others = Object.keys(tables.layouts).filter((other) => tables.layouts[other].joints.length === found);
  const hint = others.length ? `; ${others.join(' and ')} ${others.length === 1 ? 'has' : 'have'} ${found}` : '';
  throw new UserError(`keypoints: found ${found} joints, expected the ${expected} of layout ${name}${hint}`);
}

/** Convert keypoints to Human3.6M's joints: each is taken or derived in the first way whose joints are seen in the frame. */
export function derived(keypoints, confidences, frames, joints, layout) {
  const points = new Float64Array(frames * JOINTS * 2).fill(NaN);
  const found = new Float64Array(frames * JOINTS);
  for (let frame = 0; frame < frames; frame += 1) {
    for (let target = 0; target < JOINTS; target += 1) {
      for (const [sources, weights] of layout.ways[target]) {
        const lowest = Math.min(...sources.map((source) => confidences[frame * joints + source]));
        if (lowest > 0) {
          const at = frame * JOINTS + target;
          points[2 * at] = 0;
          points[2 * at + 1] = 0;
          sources.forEach((source, index) => {
            points[2 * at] += weights[index] * keypoints[2 * (frame * joints + source)];
            points[2 * at + 1] += weights[index] * keypoints[2 * (frame * joints + source) + 1];
          });
          found[at] = lowest;
          break;
        }
      }
    }
  }
  return { points, confidences: found };
}

/** Estimate the hidden joints of frames that show enough joints; the others stay NaN. */
function fill(points, patterns, enough, longest, tables) {
  const frames = patterns.length;
  const filled = new Float64Array(points.length).fill(NaN);
  const sizes = new Float64Array(frames);
  for (let frame = 0; frame < frames; frame += 1) {
    if (enough[frame]) {
      filled.set(completed(points, frame, patterns[frame], tables.prior), frame * JOINTS * 2);
      sizes[frame] = sizeOf(points, frame, patterns[frame], tables.prior);
    }
  }
  for (let joint = 0; joint < JOINTS; joint += 1) {
    const bit = 1 << joint;
    const before = new Int32Array(frames); // the nearest earlier frame that shows the joint
    const after = new Int32Array(frames);
    for (let frame = 0, last = -longest - 1; frame < frames; frame += 1) {
      if (enough[frame] && patterns[frame] & bit) last = frame;
      before[frame] = last;
    }
    for (let frame = frames - 1, next = frames + longest; frame >= 0; frame -= 1) {
      if (enough[frame] && patterns[frame] & bit) next = frame;
      after[frame] = next;
    }
    for (let frame = 0; frame < frames; frame += 1) {
      if (enough[frame] && !(patterns[frame] & bit)) {
        const [x, y] = offset(points, patterns, joint, frame, before[frame], after[frame], longest, tables);
        filled[2 * (frame * JOINTS + joint)] += sizes[frame] * x;
        filled[2 * (frame * JOINTS + joint) + 1] += sizes[frame] * y;
      }
    }
  }
  return filled;
}

/**
 * Return the offset of a hidden joint from its estimate, in sizes of the person.
 *
 * It is known at the ends of a gap, and interpolated between them; in a gap longer than `longest` frames it fades out.
 */
function offset(points, patterns, joint, frame, first, last, longest, tables) {
  const found = [0, 0];
  const inside = last - first - 1 <= longest;
  for (const [end, share] of [[first, (last - frame) / (last - first)], [last, (frame - first) / (last - first)]]) {
    const near = Math.abs(frame - end);
    if (near > longest || end < 0 || end >= patterns.length) continue;
    const weight = inside ? share : Math.max(1 - near / (longest + 1), 0);
    const both = patterns[frame] & patterns[end];
    if (count(both) < tables.completing.minJoints) continue;
    const size = sizeOf(points, end, both, tables.prior);
    const estimate = completed(points, end, both, tables.prior);
    for (const axis of [0, 1]) {
      found[axis] += (weight * (points[2 * (end * JOINTS + joint) + axis] - estimate[2 * joint + axis])) / size;
    }
  }
  return found;
}

/** Interpolate whole frames in short gaps between known ones. */
function withoutGaps(points, known, longest) {
  const whole = points.slice();
  const lifted = known.slice();
  let before = -1;
  for (let frame = 0; frame < known.length; frame += 1) {
    if (!known[frame]) continue;
    if (before >= 0 && frame - before > 1 && frame - before <= longest + 1) {
      for (let inner = before + 1; inner < frame; inner += 1) {
        const share = (inner - before) / (frame - before);
        lifted[inner] = 1;
        for (let index = 0; index < JOINTS * 2; index += 1) {
          whole[inner * JOINTS * 2 + index] =
            (1 - share) * points[before * JOINTS * 2 + index] + share * points[frame * JOINTS * 2 + index];
        }
      }
    }
    before = frame;
  }
  return { whole, lifted };
}

/** Return keypoints in which joints that jump away for one or two frames, and return, are NaN. */
export function withoutLeaps(keypoints, frames, joints, { leap, back }) {
  const made = Float64Array.from(keypoints);
  if (frames < 3) return made;
  const around = new Float64Array(made.length);
  const squares = [];
  for (let frame = 0; frame < frames; frame += 1) {
    const own = made.subarray(frame * joints * 2, (frame + 1) * joints * 2);
    const centre = [0, 1].map((axis) => median(own.filter((value, index) => index % 2 === axis && !Number.isNaN(value))));
    let [sum, shown] = [0, 0];
    own.forEach((value, index) => { around[frame * joints * 2 + index] = value - centre[index % 2]; });
    for (let joint = 0; joint < joints; joint += 1) {
      const at = 2 * (frame * joints + joint);
      const square = around[at] ** 2 + around[at + 1] ** 2;
      if (!Number.isNaN(square)) [sum, shown] = [sum + square, shown + 1];
    }
    if (shown) squares.push(Math.sqrt(sum / shown));
  }
  const size = median(squares);
  if (!(size > 0)) return made;
  const distance = (joint, a, middleOf) => {
    const at = (frame) => 2 * (frame * joints + joint);
    const [b, c] = middleOf;
    const x = around[at(a)] - (around[at(b)] + around[at(c)]) / 2;
    const y = around[at(a) + 1] - (around[at(b) + 1] + around[at(c) + 1]) / 2;
    return Math.hypot(x, y) / size;
  };
  for (const width of [1, 2]) {
    for (let before = 0; before + width + 1 < frames; before += 1) {
      const after = before + width + 1;
      const inside = width === 1 ? [before + 1] : [before + 1, before + 2];
      for (let joint = 0; joint < joints; joint += 1) {
        if (distance(joint, after, [before, before]) < back
            && inside.every((frame) => distance(joint, frame, [before, after]) > leap)) {
          for (const frame of inside) made.fill(NaN, 2 * (frame * joints + joint), 2 * (frame * joints + joint) + 2);
        }
      }
    }
  }
  return made;
}
