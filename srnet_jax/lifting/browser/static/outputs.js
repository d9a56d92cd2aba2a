// The files of lifted people, as text: what `launch.predict` writes for them.
//
// - .csv and .bvh are those of `--output`.
// - .json holds the arrays of `--output=poses.npz` under the same names; null is what is not known.

import { toBvh } from './bvh.js';
import { UserError } from './errors.js';
import { frameNumbers, seconds } from './lift.js';
import { jointsWorld } from './motion.js';
import { median } from './numbers.js';
import { completeRows, differences } from './series.js';

/**
 * @typedef {object} Motion one person's joints, from which .csv and .bvh are written
 * @property {string} name
 * @property {Float64Array} points [T*J*3] x right, y away from the camera, z up, metres; NaN in frames without a pose
 * @property {ArrayLike<number>} frames [T] numbers of the frames in the video
 * @property {Float64Array} seconds [T]
 * @property {number} fps
 * @property {boolean} floor whether z is 0 on the floor
 */

const WRITERS = {
  '.json': toJson,
  '.csv': (person, tables) => toCsv(motion(person, tables), tables),
  '.bvh': (person, tables) => toBvh(motion(person, tables), tables),
};

/**
 * Return the files of people in one format: of several people, each file's name gets the person's name.
 * @param {object[]} people of `lift`
 * @param {string} stem of the names
 * @param {'.json'|'.csv'|'.bvh'} suffix
 * @param {(line: string) => void} warn gets a line for each person among several without a pose, who gets no .csv or .bvh
 * @returns {{name: string, text: string}[]}
 * @throws {UserError} if the only person has no pose, or the times are too uneven
 */
export function files(people, stem, suffix, tables, warn) {
  return people.flatMap((person) => {
    const name = people.length > 1 ? `${stem}_${person.name}${suffix}` : `${stem}${suffix}`;
    if (suffix !== '.json' && !completeRows(jointsWorld(person, tables), 3 * tables.joints.length).some(Boolean)) {
      if (people.length === 1) throw new UserError(`${name}: not written, no frame of ${person.name} has a pose and a root`);
      warn(`${person.name}: no frame has a pose, motions are not written`);
      return [];
    }
    return [{ name, text: WRITERS[suffix](person, tables) }];
  });
}

/** Return the motion of a person. */
export function motion(person, tables) {
  const { track } = person;
  const { USUAL_FPS } = tables.constants.result;
  const frames = frameNumbers(track);
  const times = seconds(track);
  const usual = times && times.length > 1 ? 1 / median(differences(times)) : USUAL_FPS;
  return {
    name: person.name,
    points: jointsWorld(person, tables),
    frames,
    seconds: times ?? frames.map((number) => number / USUAL_FPS),
    fps: track.fps || (times ? usual : USUAL_FPS / track.every),
    floor: person.ground !== null,
  };
}

/** Return a table: frame, time, and x, y, z of each joint, metres; unknown numbers are empty. */
function toCsv({ points, frames, seconds: times }, { joints }) {
  const width = 3 * joints.length;
  const head = ['frame', 'time', ...joints.flatMap((joint) => ['x', 'y', 'z'].map((axis) => `${joint}_${axis}`))];
  const lines = Array.from(frames, (number, row) => {
    const values = Array.from(points.subarray(row * width, (row + 1) * width), (v) => (Number.isNaN(v) ? '' : v.toFixed(6)));
    return [number, times[row].toFixed(6), ...values].join(',');
  });
  return `${[head.join(','), ...lines].join('\n')}\n`;
}

/** Return all that is known of a person, as JSON. */
function toJson(person, tables) {
  const { track, completed } = person;
  const frames = Array.from(frameNumbers(track));
  const joints = tables.joints.length;
  return `${JSON.stringify({
    poses_3d: nested(person.poses, [joints, 3], 6),
    keypoints_2d: nested(track.keypoints, [track.joints, 2], 3),
    confidences: nested(completed.confidences, [joints], 4),
    sources: nested(completed.sources, [joints], 0),
    source_names: tables.source_names,
    detected: Array.from(track.detected, Boolean),
    frames,
    fps: track.fps || null,
    image_size: track.imageSize,
    focal_px: person.focalPx,
    joints: tables.joints,
    parents: tables.parents,
    unit: tables.unit,
    frame: tables.axes,
    layout: track.layout,
    name: person.name,
    model: person.model,
    times: seconds(track) && nested(seconds(track), [], 6),
    root: nested(person.root, [3], 6),
    up: person.up,
    ground: person.ground,
    errors_m: person.errors && nested(person.errors, [joints], 6),
    up_error_deg: person.upErrorDeg,
  })}\n`;
}

/** Return a flat array as nested lists of rounded numbers, with null for NaN; `shape` is that of one item. */
function nested(values, shape, digits) {
  if (!shape.length) return Array.from(values, (value) => (Number.isFinite(value) ? Number(value.toFixed(digits)) : null));
  const width = shape.reduce((all, size) => all * size, 1);
  return Array.from({ length: values.length / width }, (_, row) => {
    return nested(values.subarray(row * width, (row + 1) * width), shape.slice(1), digits);
  });
}
