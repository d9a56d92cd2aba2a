// Lift the people of a file: `lifting/lift_file.py`, `KeypointLifter.lift` and `models/predict.py`.
//
// An ONNX model takes sequences of facts.frames frames and returns frames - receptive_field + 1 poses. A clip is cut into
// windows that overlap; beyond its ends a window repeats the nearest frame. Windows of all people share a batch.
// Export every network with `frames` = its receptive field, as `launch.export` does by default: then the model computes only
// what its one pose needs, which is as fast for a long clip as longer sequences are, and fast enough live.

import { FILLED, missing } from './complete.js';
import { UserError } from './errors.js';
import { filtered } from './filters.js';
import { inOneWorld, placed } from './motion.js';
import { mirrored, normalized, pinhole, toMetres, turnedBack, turnedLevel } from './normalization.js';
import { roundHalfEven } from './numbers.js';
import { greatest, interp, interpolated, runs } from './series.js';

const POSES_A_CALL = 256; // of the network, which bounds the memory and how long the page does not answer

/**
 * @typedef {object} Network
 * @property {object} facts of `lifting_tables.facts`
 * @property {(inputs: Float32Array, batch: number, frames: number) => Promise<Float32Array>} run
 *   maps [batch, frames, 17, 2] to [batch, frames - receptive_field + 1, 17, 3]
 *
 * @typedef {object} Person
 * @property {string} name
 * @property {string} clip
 * @property {object} track
 * @property {object} completed
 * @property {string} model name of the network
 * @property {number|null} focalPx
 * @property {Float32Array} poses [T*17*3] metres, camera frame, relative to the hip; NaN in frames that are not lifted
 * @property {Float32Array|null} errors [T*17] expected error of each joint, metres; null if the network's were not measured
 * @property {Float64Array} root [T*3] path of the hip, camera frame, metres; NaN in frames without it
 * @property {[number, number, number]} up unit vector that points up, camera frame; people of one clip share it
 * @property {number} upErrorDeg standard error of up, degrees; 0 if it was given
 * @property {number|null} ground height of the floor: its points p have p . up = ground; null if not known
 * @property {[number, number, number]|null} origin hip of the clip's first frame with one, camera frame, metres
 */

/**
 * Lift people; `options.warn` gets a line for each kind of joint that was not seen, and where a frame rate is assumed.
 *
 * @param {object[]} people of `complete`
 * @param {object[]} tracks that they were made from, with an image size
 * @param {Network} network
 * @param {object} tables of `reading_tables.tables` and `lifting_tables.tables`, in one object
 * @param {object} [options]
 * @param {boolean} [options.flip] whether each pose is averaged with the mirrored pose of the mirrored keypoints
 * @param {number|null} [options.focalPx] focal length, pixels; null for the usual one
 * @param {object|null} [options.filters] as `tables.filters`; null for none
 * @param {number[]|null} [options.up] direction of up in the camera frame; null to estimate it
 * @param {(line: string) => void} [options.warn]
 * @param {(done: number, all: number) => void} [options.progress] called after each call of the network
 * @param {() => Promise<void>} [options.pause] awaited before each person's filters and path, so that a page can answer
 * @returns {Promise<Person[]>}
 * @throws {UserError} if no frame shows enough joints of any person
 */
export async function lift(people, tracks, network, tables, options = {}) {
  const { focalPx = null, filters = tables.filters, up = null, warn = () => {}, pause = async () => {} } = options;
  const { complete, result } = tables.constants;
  if (!people.some((person) => person.lifted.some(Boolean))) {
    throw new UserError(`${tracks[0].name}: no frame shows ${complete.MIN_JOINTS} of the 17 joints`);
  }
  tracks.forEach((track, index) => warnOfMissing(track, people[index], tables, warn));
  if (tracks.some((track) => !seconds(track) && track.frames > 1)) {
    warn(`frames per second not known, taken as ${result.USUAL_FPS}`);
  }
  const times = tracks.map((track) => {
    return seconds(track) ?? (track.frames > 1 ? frameNumbers(track).map((number) => number / result.USUAL_FPS) : null);
  });
  const sizes = tracks.map((track) => track.imageSize);
  const poses = await liftPoses(people, sizes, times, network, tables, options);
  const lifted = [];
  for (const [index, track] of tracks.entries()) {
    await pause();
    const completed = people[index];
    const at = (times[index] ?? new Float64Array(1)).map((time, _, all) => time - all[0]);
    const person = {
      name: track.name,
      clip: track.clip,
      track,
      completed,
      model: network.facts.name,
      focalPx,
      poses: filters ? filtered(poses[index], completed.confidences, at, filters, tables) : poses[index],
      errors: expectedErrors(poses[index], completed.sources, network.facts.calibration, tables),
    };
    lifted.push({ ...person, ...placed(person, at, up, warn, tables) });
  }
  return inOneWorld(lifted);
}

/** Return the numbers of a track's frames in the video. */
export function frameNumbers(track) {
  return Float64Array.from({ length: track.frames }, (_, row) => track.firstFrame + track.every * row);
}

/** Return the times of a track's frames, seconds; null if they are not known. */
export function seconds(track) {
  if (track.times) return Float64Array.from(track.times);
  return track.fps ? frameNumbers(track).map((number) => number / (track.fps * track.every)) : null;
}

/**
 * Lift several people at once, without filters; see `lift`.
 *
 * @param {object[]} people of `complete`
 * @param {[number, number][]} sizes of the images
 * @param {(Float64Array|null)[]} times seconds of each person's frames; null for those of the network
 * @returns {Promise<Float32Array[]>} [T*17*3] of each person
 */
export async function liftPoses(people, sizes, times, network, tables, options = {}) {
  const { flip = true, focalPx = null, up = null, progress } = options;
  const width = 2 * tables.joints.length;
  const { facts } = network;
  const pieces = people.flatMap((person, index) => {
    const camera = pinhole(sizes[index], focalPx, tables);
    return runs(person.lifted.length, (frame) => person.lifted[frame]).map(([start, end]) => {
      const own = person.points.subarray(start * width, end * width);
      const piece = atNetworkRate(own, times[index]?.subarray(start, end), facts, tables);
      const points = up ? turnedLevel(piece.points, up, camera, tables) : piece.points;
      const inputs = normalized(facts.normalization, points, camera, tables);
      return { index, start, camera, points, places: piece.places, inputs };
    });
  });
  const outputs = await predicted(pieces.map((piece) => piece.inputs), network, flip, tables, progress);
  const made = people.map((person) => new Float32Array(person.lifted.length * tables.joints.length * 3).fill(NaN));
  pieces.forEach(({ index, start, camera, points, places }, number) => {
    const metres = fromHip(toMetres(facts.normalization, outputs[number], points, camera, tables), tables);
    const farthest = greatest(metres);
    if (!(farthest < tables.constants.lifter.FARTHEST_M)) {
      const found = farthest.toPrecision(3);
      throw new UserError(`${facts.name}: gives joints ${found} m from the hip, which no body has; damaged weights?`);
    }
    const found = places ? interpolated(metres, tables.joints.length * 3, places) : metres;
    made[index].set(up ? turnedBack(found, up, tables) : found, start * tables.joints.length * 3);
  });
  return made;
}

/** Return the points at the network's frame rate, and the place of each given frame among them; null if they are the same. */
function atNetworkRate(points, times, facts, tables) {
  const { SAME_RATE, MOST_FRAMES } = tables.constants.lifter;
  const width = 2 * tables.joints.length;
  const frames = points.length / width;
  if (facts.receptive_field === 1 || !facts.fps || !times || frames < 2) return { points, places: null };
  const places = times.map((time) => (time - times[0]) * facts.fps);
  if (greatest(places.map((place, frame) => place - frame)) <= SAME_RATE * frames) return { points, places: null };
  const count = Math.ceil(places[frames - 1]) + 1;
  if (count > MOST_FRAMES) {
    throw new UserError(`fps: ${count} frames at the network's rate ${facts.fps}, expected a rate nearer to it`);
  }
  const numbers = (length) => Float64Array.from({ length }, (_, index) => index);
  return { points: interpolated(points, width, interp(numbers(count), places, numbers(frames))), places };
}

/** Lift normalised sequences [T*17*2]; return [T*17*3] of each, in the network's units. */
async function predicted(sequences, network, flip, tables, progress = () => {}) {
  const [width, out] = [2 * tables.joints.length, 3 * tables.joints.length];
  const { receptive_field: field, causal, frames } = network.facts;
  const step = frames - field + 1;
  const offset = causal ? field - 1 : (field - 1) >> 1;
  const made = sequences.map((sequence) => new Float32Array((sequence.length / width) * out));
  const windows = sequences.flatMap((sequence, index) => {
    const count = Math.ceil(sequence.length / width / step);
    return Array.from({ length: count }, (_, number) => ({ index, first: number * step }));
  });
  const rows = Math.max(Math.floor(POSES_A_CALL / step / (flip ? 2 : 1)), 1);
  for (let start = 0; start < windows.length; start += rows) {
    const batch = windows.slice(start, start + rows);
    const straight = new Float32Array(batch.length * frames * width);
    batch.forEach(({ index, first }, row) => {
      const last = sequences[index].length / width - 1;
      for (let k = 0; k < frames; k += 1) {
        const frame = Math.min(Math.max(first - offset + k, 0), last);
        straight.set(sequences[index].subarray(frame * width, (frame + 1) * width), (row * frames + k) * width);
      }
    });
    const poses = await run(straight, batch.length, network, flip, tables);
    batch.forEach(({ index, first }, row) => {
      const count = Math.min(step, made[index].length / out - first);
      made[index].set(poses.subarray(row * step * out, (row * step + count) * out), first * out);
    });
    progress(Math.min(start + rows, windows.length), windows.length);
  }
  return made;
}

/** Run the network on windows [batch, frames, 17, 2]; with `flip`, on their mirror images too, and average. */
export async function run(inputs, batch, network, flip, tables) {
  const { frames } = network.facts;
  if (!flip) return network.run(inputs, batch, frames);
  const both = new Float32Array(2 * inputs.length);
  both.set(inputs);
  both.set(mirrored(inputs, 2, tables), inputs.length);
  const outputs = await network.run(both, 2 * batch, frames);
  const half = outputs.length / 2;
  const back = mirrored(outputs.subarray(half), 3, tables);
  return outputs.slice(0, half).map((value, index) => (value + back[index]) / 2);
}

/** Make poses [T*17*3] relative to the hip, in place. */
export function fromHip(poses, tables) {
  const width = 3 * tables.joints.length;
  for (let start = 0; start < poses.length; start += width) {
    const hip = poses.slice(start, start + 3);
    for (let i = 0; i < width; i += 1) poses[start + i] -= hip[i % 3];
  }
  return poses;
}

/** Return the expected errors [T*17] of a network's poses, metres; null if not measured. See `pose/expected_errors.py`. */
function expectedErrors(poses, sources, calibration, tables) {
  if (!calibration) return null;
  const { parents } = tables;
  const joints = parents.length;
  const { lengths, base, chain, whole, filled } = calibration;
  const made = new Float32Array(poses.length / 3);
  for (let start = 0; start < made.length; start += joints) {
    const place = (joint) => poses.subarray(3 * (start + joint), 3 * (start + joint) + 3);
    const short = parents.map((parent, joint) => {
      const [a, b] = [place(joint), place(Math.max(parent, 0))];
      const length = Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
      const less = Math.max(1 - length / Math.max(lengths[joint], tables.constants.expected_errors.MIN_LENGTH_M), 0);
      return parent < 0 ? 0 * less : less; // 0 for the hip, NaN without a pose
    });
    const mean = short.reduce((sum, value) => sum + value, 0) / joints;
    const along = [];
    parents.forEach((parent, joint) => along.push(short[joint] + (parent < 0 ? 0 : along[parent])));
    for (let joint = 0; joint < joints; joint += 1) {
      const unseen = sources[start + joint] === FILLED ? filled[joint] : 0;
      made[start + joint] = base[joint] + chain[joint] * along[joint] + whole[joint] * mean + unseen;
    }
  }
  return made;
}

/** Warn of joints that were not seen, one line for each person, and of frames that show too little. */
function warnOfMissing(track, person, tables, warn) {
  const shares = Object.entries(missing(person, tables));
  const parts = shares.map(([name, share]) => `${name} in ${roundHalfEven(100 * share)}%`);
  if (parts.length) warn(`${track.name}: not seen, estimated: ${parts.join(', ')} of the frames`);
  const gaps = person.lifted.filter((known) => !known).length;
  if (gaps) warn(`${track.name}: ${gaps} of ${person.lifted.length} frames show too little for a pose (NaN)`);
}
