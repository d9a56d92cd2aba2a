// The people that a keypoint file contains, and fields that several formats share, as srnet_jax/keypoints/people.py.

import { UserError } from './errors.js';
import { differences, distinct, listOf, median, quantile, range } from './numbers.js';
import { places } from './pictures.js';
import { isMissing, isNumber } from './points.js';
import { described, general, isPrintable, length, oneLine } from './text.js';

export const MOVES_ON = 0.2; // largest `motion` of one person from frame to frame
const SAME_INSTANT = 1e-3; // seconds
const VIDEO = /\.(mp4|m4v|avi|mov|mkv|webm|mpe?g)$/i;
const ENDING = /\.(npz|npy|json|csv|tsv|txt|jpe?g|png|bmp|tiff?|webp)$/i;
const CLOCK = new RegExp( // 1:02.5, 00:01:02.5, 2024-05-01 10:00:00.04, 2024-05-01T10:00:00Z
  '^(?:([1-9][0-9]{3})[-/](0[1-9]|1[0-2])[-/]([0-3][0-9])[T ]+)?'
  + '(?:([0-9]{1,3}):)?([0-5]?[0-9]):([0-5][0-9])(?:[.,]([0-9]{1,9}))?Z?$');
const FREE_BYTES = 2 ** 28;

/** Convert a time of day, or a date and a time of day, to seconds, as text with as many decimals; null for other text. */
export function clockSeconds(text) {
  const found = CLOCK.exec(text);
  if (!found) return null;
  const [, year, month, day, hours, minutes, seconds, decimals] = found;
  const days = year === undefined ? 0 : Date.UTC(year, month - 1, 1) / 86400000 + Number(day) - 1;
  const whole = 86400 * days + 3600 * Number(hours ?? 0) + 60 * Number(minutes) + Number(seconds);
  return decimals === undefined ? String(whole) : `${whole}.${decimals}`;
}

/**
 * @typedef {object} Detection one person in one picture
 * @property {number|string} picture number of the frame, or name of the picture
 * @property {?string} track track id
 * @property {Float64Array} values [J*3] x, y, confidence, as in the file
 * @property {?string[]} names names of the joints
 * @property {boolean} hasDepth whether there is a third coordinate
 * @property {string} clip name of the video; '' if the file has only one
 * @property {?number[]} size width and height of the picture
 * @property {?number[]} clock time stamp and its unit in seconds, NaN if not known
 */

/**
 * @typedef {object} People all N detections in one video or picture
 * @property {string} where begins messages
 * @property {string} name name of the track, if there is only one
 * @property {number[]} frames [N] frame numbers
 * @property {(?string)[]} ids [N] track ids
 * @property {Float64Array[]} values [N] of [J*3] x, y, confidence
 * @property {string} prefix begins the names of several tracks
 * @property {?string} layout
 * @property {?number[]} imageSize
 * @property {?number} fps
 * @property {boolean} still whether this is an independent picture
 * @property {?number[]} times [N] seconds
 */

/** Limit the memory for reading a file in proportion to its size. */
export class Budget {
  constructor(bytes) {
    this.left = bytes + FREE_BYTES;
  }

  /** Count bytes; throw a UserError if there are too many. */
  charge(bytes) {
    this.left -= bytes;
    if (!(this.left >= 0)) throw new UserError('refused: reading it would take memory out of proportion to the file');
  }
}

/**
 * Group detections by video and by independent picture.
 *
 * @param {Detection[]} people
 * @param {string} file
 * @param {Budget} budget
 * @param {(message: string) => void} warn
 * @param {object} rules `tables.tracks`
 * @returns {People[]}
 */
export function gather(people, file, budget, warn, rules) {
  const clips = new Map();
  people.forEach((person, index) => {
    budget.charge(16 * person.values.length);
    listOf(clips, person.clip).push(index);
  });
  const videos = new Map();
  for (const [clip, indices] of clips) {
    placesOf(indices.map((index) => people[index]), file, warn, rules).forEach((place, number) => {
      const name = [clip, place.clip].filter(Boolean).join('_');
      const key = JSON.stringify([name, place.still]);
      if (!videos.has(key)) videos.set(key, { clip: name, still: place.still, frames: [], own: [] });
      videos.get(key).frames.push(place.frame);
      videos.get(key).own.push(people[indices[number]]);
    });
  }
  return [...videos.values()].map(({ clip, still, frames, own }) => {
    const odd = own.find((person) => person.values.length !== own[0].values.length);
    if (odd) {
      throw new UserError(`${file}: frame ${oneLine(odd.picture, 100)}: found ${odd.values.length / 3} joints, expected `
        + `${own[0].values.length / 3} as in frame ${oneLine(own[0].picture, 100)}`);
    }
    const alone = videos.size === 1;
    const name = alone && !still ? videoName(file) : videoName(clip) || videoName(file);
    return {
      where: alone ? file : `${file}: ${oneLine(clip || 'the video', 100)}`,
      name,
      frames,
      ids: own.map((person) => person.track),
      values: own.map((person) => person.values),
      prefix: alone ? '' : `${name}_`,
      layout: null,
      imageSize: own[0].size,
      fps: null,
      still,
      times: still ? null : timesOf(own, frames, file, warn),
    };
  });
}

/** Return the seconds of detections; null without time stamps, or, with a warning, if these are not usable. */
function timesOf(people, frames, where, warn) {
  if (people.some((person) => person.clock === null)) return null;
  const seconds = inSeconds(people.map((person) => person.clock[0]), people[0].clock[1], where, warn);
  return inOrder(seconds, frames, where, warn);
}

/** Return the seconds of frames if they increase with the frame numbers; else null, with a warning. */
export function inOrder(seconds, frames, where, warn) {
  if (seconds === null) return null;
  const first = new Map();
  frames.forEach((frame, row) => { if (!first.has(frame)) first.set(frame, seconds[row]); });
  const ordered = [...first.keys()].sort((a, b) => a - b).map((frame) => first.get(frame));
  const isAlike = seconds.every((second, row) => Math.abs(second - first.get(frames[row])) < SAME_INSTANT);
  if (isAlike && seconds.every(Number.isFinite) && differences(ordered).every((step) => step > 0)) {
    return frames.map((frame) => first.get(frame));
  }
  warn(`${where}: time stamps not used, expected them to increase with the frame numbers`);
  return null;
}

/** Convert time stamps to seconds; a unit of NaN is guessed. Returns null, with a warning, if it cannot be guessed. */
export function inSeconds(values, unit, where, warn) {
  const usable = Number.isFinite(unit) ? unit : unitOf(values);
  if (usable) return values.map((value) => value * usable);
  const steps = differences(distinct(values.filter(Number.isFinite)));
  if (steps.length) {
    warn(`${where}: time stamps ${general(median(steps))} apart not used, expected a name with their unit, such as time_ms`);
  }
  return null;
}

/** Guess the unit, seconds, of time stamps from their median step; null if it is ambiguous. */
export function unitOf(values) {
  const step = median(differences(distinct(values.filter(Number.isFinite))));
  if (step >= 1e-4 && step < 1) return 1;
  const power = [3, 6, 9].find((one) => step / 10 ** one >= 0.005 && step / 10 ** one < 1);
  return power === undefined ? null : Number(`1e-${power}`);
}

/** Return the place of the picture of each detection; pictures of different sizes, or people, are independent. */
function placesOf(people, file, warn, rules) {
  const pictures = people.map((person) => person.picture);
  if (pictures.every((picture) => typeof picture === 'number')) {
    return pictures.map((frame) => ({ clip: '', frame, still: false }));
  }
  const found = places(pictures);
  const groups = new Map();
  const key = (place) => JSON.stringify([place.clip, place.still]);
  for (const person of people) listOf(groups, key(found.get(person.picture))).push(person);
  const apart = new Set();
  for (const [group, own] of groups) {
    if (new Set(own.map((person) => String(person.size))).size > 1) {
      apart.add(group);
    } else if (!found.get(own[0].picture).still && nobodyStays(own, found, rules)) {
      warn(`${file}: found nobody near the same place in the next picture, reading separate pictures`);
      apart.add(group);
    }
  }
  return pictures.map((picture) => {
    const place = found.get(picture);
    return apart.has(key(place)) ? { clip: videoName(String(picture)), frame: 0, still: true } : place;
  });
}

/** Return whether most pictures show nobody who may be the same person as in the picture before, as in no video. */
function nobodyStays(people, found, { examined, fewSteps, reach, farthestReach }) {
  const frameOf = (person) => found.get(person.picture).frame;
  const frames = new Map();
  const first = [...people].sort((a, b) => frameOf(a) - frameOf(b)).slice(0, examined);
  if (first.some((person) => person.values.length !== first[0].values.length)) return false;
  for (const person of first) listOf(frames, frameOf(person)).push(person.values);
  const ordered = [...frames];
  const stays = ordered.slice(1).map(([second, now], index) => {
    const [frame, before] = ordered[index];
    const gaps = before.flatMap((one) => now.map((other) => gapOf(one, other))).filter(Number.isFinite);
    return gaps.length ? range(gaps)[0] <= Math.min(reach * (second - frame), farthestReach) : null;
  }).filter((stay) => stay !== null);
  return stays.length >= fewSteps && stays.filter(Boolean).length < stays.length / 2;
}

/** Return the mean distance of two people's joints [J*3], in sizes of the larger person; NaN if they share no joint. */
function gapOf(one, other) {
  const boxes = [one, other].map((values) => {
    const axes = [[], []];
    for (let at = 0; at < values.length; at += 3) {
      if (!isMissing(values[at], values[at + 1])) [0, 1].forEach((axis) => axes[axis].push(values[at + axis]));
    }
    return Math.hypot(...axes.map(range).map(([low, high]) => high - low));
  });
  let [sum, count] = [0, 0];
  for (let at = 0; at < one.length; at += 3) {
    if (isMissing(one[at], one[at + 1]) || isMissing(other[at], other[at + 1])) continue;
    sum += Math.hypot(one[at] - other[at], one[at + 1] - other[at + 1]);
    count += 1;
  }
  return sum / count / Math.max(...boxes);
}

/**
 * Measure how much consecutive poses differ: the 90th percentile of the mean joint distance, in sizes of the person.
 *
 * Consecutive frames of a video have about 0.02, different people in one picture more than 0.2.
 *
 * @param {ArrayLike<number>[][]} poses [N][M] of [J*size] x, y, ...; each of the M is compared with the next one's
 * @param {number} size numbers of a joint
 * @returns {number} NaN if no joints can be compared
 */
export function motion(poses, size = 3) {
  const steps = [];
  const sizes = [];
  const isSeen = (pose, at) => !(pose[at] === 0 && pose[at + 1] === 0);
  for (let index = 0; index < poses.length; index += 1) {
    for (let place = 0; place < poses[index].length; place += 1) {
      const pose = poses[index][place];
      const before = index ? poses[index - 1][place] : null;
      const [low, high] = [[Infinity, Infinity], [-Infinity, -Infinity]];
      let [sum, count] = [0, 0];
      for (let at = 0; at < pose.length; at += size) {
        if (!isSeen(pose, at)) continue;
        for (const axis of [0, 1]) {
          if (pose[at + axis] < low[axis]) low[axis] = pose[at + axis];
          if (pose[at + axis] > high[axis]) high[axis] = pose[at + axis];
        }
        const step = before && isSeen(before, at) ? Math.hypot(pose[at] - before[at], pose[at + 1] - before[at + 1]) : NaN;
        if (!Number.isNaN(step)) [sum, count] = [sum + step, count + 1];
      }
      if (count) steps.push(sum / count);
      if (high[0] >= low[0] && high[1] >= low[1]) sizes.push(Math.hypot(high[0] - low[0], high[1] - low[1]));
    }
  }
  return quantile(steps, 0.9) / median(sizes);
}

/** Remove the endings of a video file and of a keypoint file from a name. */
export const videoName = (name) => name.replace(ENDING, '').replace(VIDEO, '');

/** Check and return the width and height of images, pixels. */
export function imageSize(width, height, where, farthest) {
  for (const [key, value] of [['width', width], ['height', height]]) {
    if (!isNumber(value) || !Number.isInteger(value) || value < 1 || value > farthest) {
      throw new UserError(`${where}: found the ${key} ${described(value)}, expected the image's size in pixels`);
    }
  }
  return [width, height];
}

/** Check and return frames per second; null stays null. */
export function frameRate(value, where) {
  if (value === null || value === undefined) return null;
  if (!isNumber(value) || !(value > 0 && value < 10000)) {
    throw new UserError(`${where}: found fps ${described(value)}, expected frames per second`);
  }
  return value;
}

/** Check and return the name of a layout; null stays null. */
export function layoutName(value, where) {
  if (value === null || value === undefined) return null;
  if (typeof value !== 'string' || !isPrintable(value) || !value || length(value) > 60) {
    throw new UserError(`${where}: found the layout ${described(value)}, expected a name such as 'coco'`);
  }
  return value;
}
