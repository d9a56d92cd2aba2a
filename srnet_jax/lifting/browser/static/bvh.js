// Write a motion as a .bvh animation, in centimetres, y up: `lifting/formats/bvh.py`, which says how the skeleton is fitted.

import { UserError } from './errors.js';
import { median } from './numbers.js';
import { completeRows, differences, greatest, interp, interpolated } from './series.js';
import {
  apply, bestRotation, cross, dot, IDENTITY, norm, product, rotationAbout, scale, subtract, transposed, unit, vectorAt,
} from './vectors.js';

const TURNS = 'Zrotation Xrotation Yrotation';

/** Return the text of a motion with a pose in at least one frame; if the floor is not known, it is at the lowest joint. */
export function toBvh(motion, tables) {
  const joints = tables.joints.length;
  const { points, fps } = even(motion, tables);
  const places = held(points, 3 * joints).map((_, index, all) => {
    const [row, axis] = [index - (index % 3), index % 3]; // x right, y up, z towards the camera
    return tables.constants.bvh.CENTIMETRES * [all[row], all[row + 2], -all[row + 1]][axis];
  });
  const frames = places.length / 3 / joints;
  const { offsets, rotations } = fit(places, tables);
  const heights = places.filter((_, index) => index % 3 === 1);
  const height = motion.floor ? 0 : -heights.reduce((least, value) => Math.min(least, value), Infinity);
  const turning = depthFirst(0, tables).filter((joint) => rotations[joint]);
  const angles = turning.map((joint) => zxyAngles(rotations[joint]));
  const lines = Array.from({ length: frames }, (_, frame) => {
    const [x, y, z] = vectorAt(places, frame * joints);
    return [x, y + height, z, ...angles.flatMap((own) => own[frame])].map(fixed).join(' ');
  });
  const head = ['HIERARCHY', ...hierarchy(0, offsets, 0, tables), 'MOTION'];
  return `${[...head, `Frames: ${frames}`, `Frame Time: ${(1 / fps).toFixed(8)}`, ...lines].join('\n')}\n`;
}

const fixed = (value) => value.toFixed(4);

/** Return a motion interpolated to even times, if its are uneven; a pause of more than LONGEST_GAP_S has no pose. */
function even(motion, tables) {
  const { UNEVEN, MOST_FRAMES, LONGEST_GAP_S } = tables.constants.motion;
  const { points, fps, name } = motion;
  const times = motion.seconds.map((time) => time - motion.seconds[0]);
  const last = times.length - 1;
  const steps = differences(times);
  if (last < 1 || greatest(steps.map((step) => step * fps - 1)) <= UNEVEN) return motion;
  if (times[last] * fps > MOST_FRAMES) {
    throw new UserError(`${name}: found ${times[last]} s at ${fps} frames per s, expected at most ${MOST_FRAMES} frames`);
  }
  const grid = Float64Array.from({ length: Math.floor(times[last] * fps + 1.5) }, (_, index) => index / fps);
  const places = interp(grid, times, times.map((_, index) => index));
  const width = 3 * tables.joints.length;
  const made = interpolated(points, width, places);
  places.forEach((place, row) => {
    const before = Math.min(Math.floor(place), last - 1);
    if (steps[before] > LONGEST_GAP_S && place % 1 > 0) made.fill(NaN, row * width, (row + 1) * width);
  });
  return { ...motion, points: made };
}

/** Return poses in which a frame without a pose repeats the last pose before it, or else has the first pose. */
function held(points, width) {
  const known = completeRows(points, width);
  let from = known.indexOf(true);
  const made = points.slice();
  known.forEach((is, frame) => {
    from = is ? frame : from;
    made.set(points.subarray(from * width, (from + 1) * width), frame * width);
  });
  return made;
}

/** Return the offset of each joint from its parent, and for each joint with children, rotations in the parent's frame. */
function fit(points, tables) {
  const { joints, parents, constants: { bvh: { TINY } } } = tables;
  const count = joints.length;
  const frames = Array.from({ length: points.length / 3 / count }, (_, frame) => frame);
  const place = (frame, joint) => vectorAt(points, frame * count + joint);
  const bone = (frame, joint) => subtract(place(frame, joint), place(frame, parents[joint]));
  const offsets = joints.map((name, joint) => {
    return parents[joint] < 0 ? [0, 0, 0] : scale(restDirection(name), median(frames.map((frame) => norm(bone(frame, joint)))));
  });
  const world = { [-1]: frames.map(() => IDENTITY) };
  const rotations = {};
  for (const joint of depthFirst(0, tables)) {
    const children = childrenOf(joint, tables);
    if (!children.length) continue;
    const around = world[parents[joint]];
    const fitted = () => {
      const rest = children.map((child) => offsets[child]);
      return frames.map((frame) => bestRotation(rest, children.map((child) => bone(frame, child))));
    };
    if (children.length === 1) {
      const [child] = children;
      world[joint] = frames.map((frame) => {
        return product(smallestRotation(apply(around[frame], offsets[child]), bone(frame, child), TINY), around[frame]);
      });
    } else {
      const first = fitted();
      for (const child of children) { // the mean directions, in the frame of the joint
        const own = frames.map((frame) => apply(transposed(first[frame]), bone(frame, child)));
        const mean = [0, 1, 2].map((k) => own.reduce((sum, vector) => sum + vector[k], 0) / frames.length);
        if (norm(mean) > TINY) offsets[child] = scale(mean, norm(offsets[child]) / norm(mean));
      }
      world[joint] = fitted();
    }
    rotations[joint] = frames.map((frame) => product(transposed(around[frame]), world[joint][frame]));
  }
  return { offsets, rotations };
}

/** Return the direction, in the T-pose, of the bone that ends in a joint. */
function restDirection(name) {
  if (/Knee|Foot/.test(name)) return [0, -1, 0];
  if (/^[LR]/.test(name)) return name[0] === 'L' ? [1, 0, 0] : [-1, 0, 0];
  return [0, 1, 0];
}

function childrenOf(joint, { parents }) {
  return parents.flatMap((parent, child) => (parent === joint ? [child] : []));
}

function depthFirst(joint, tables) {
  return [joint, ...childrenOf(joint, tables).flatMap((child) => depthFirst(child, tables))];
}

/** Return the lines of the file that define a joint and all joints below it. */
function hierarchy(joint, offsets, depth, tables) {
  const indent = '\t'.repeat(depth);
  const offset = `${indent}\tOFFSET ${offsets[joint].map(fixed).join(' ')}`;
  const children = childrenOf(joint, tables);
  if (!children.length) return [`${indent}End Site`, `${indent}{`, offset, `${indent}}`]; // the format has no name for it
  const channels = depth ? `CHANNELS 3 ${TURNS}` : `CHANNELS 6 Xposition Yposition Zposition ${TURNS}`;
  const head = [`${indent}${depth ? 'JOINT' : 'ROOT'} ${tables.joints[joint]}`, `${indent}{`, offset, `${indent}\t${channels}`];
  return [...head, ...children.flatMap((child) => hierarchy(child, offsets, depth + 1, tables)), `${indent}}`];
}

/** Return the angles [z, x, y] of rotations about z, then x, then y, degrees, continuous over time. */
function zxyAngles(rotations) {
  let last = null;
  return rotations.map((r) => {
    const x = Math.asin(Math.min(Math.max(r[2][1], -1), 1));
    const locked = Math.abs(Math.cos(x)) < 1e-7; // z and y turn about the same axis
    const z = locked ? Math.atan2(r[1][0], r[0][0]) : Math.atan2(-r[0][1], r[1][1]);
    const y = locked ? 0 : Math.atan2(-r[2][0], r[2][2]);
    const angles = [z, x, y].map((angle) => (angle * 180) / Math.PI);
    last = last ? angles.map((angle, k) => angle - 360 * Math.round((angle - last[k]) / 360)) : angles;
    return last;
  });
}

/** Return the smallest rotation from one direction to another; the identity where one has no length. */
function smallestRotation(start, end, tiny) {
  const [a, b] = [unit(start, tiny), unit(end, tiny)];
  const normal = cross(a, b);
  const across = cross(a, Math.abs(a[0]) < 0.9 ? [1, 0, 0] : [0, 1, 0]); // the axis for opposite directions
  const axis = unit(norm(normal) > tiny ? normal : across, tiny);
  return rotationAbout(axis, Math.atan2(norm(normal), dot(a, b)));
}
