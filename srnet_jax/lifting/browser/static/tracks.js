// Track people through a video: one track of keypoints for each person, as srnet_jax/keypoints/tracks.py.

import { UserError } from './errors.js';
import { differences, listOf, median, range } from './numbers.js';
import { markMissing } from './points.js';
import { start } from './text.js';

/**
 * Track the people of a video, those with the most frames first.
 *
 * @param {import('./people.js').People} people
 * @param {import('./people.js').Budget} budget
 * @param {number} minConfidence below which a joint is missing
 * @param {object} rules `tables.tracks`
 * @param {(message: string) => void} warn
 * @returns {object[]} tracks, as `readFiles` describes them
 */
export function follow(people, budget, minConfidence, rules, warn) {
  const shown = onlyShown(people, minConfidence, rules);
  if (!shown.frames.length) return [];
  const [first, last] = range(shown.frames);
  if (last - first >= rules.maxFrames) {
    throw new UserError(`${people.where}: found frames ${first} to ${last}, expected at most ${rules.maxFrames} frames`);
  }
  let groups;
  if (people.still) {
    const sure = shown.values.map((values) => sum(confidences(values)));
    groups = [...sure.keys()].sort((a, b) => sure[b] - sure[a]).map((row) => ({ track: shown.ids[row], rows: [row] }));
  } else {
    groups = byPerson(shown, rules, warn).map(({ track, rows }) => ({ track, rows: oneAFrame(shown, rows) }));
  }
  const longest = range(groups.map(({ rows }) => rows.length))[1];
  const kept = groups.filter(({ rows }) => rows.length >= Math.min(rules.short, rules.share * longest));
  kept.sort((a, b) => b.rows.length - a.rows.length);
  return kept.map(({ track, rows }, index) => {
    const alone = track === null && kept.length === 1;
    const name = alone ? people.name : `${people.prefix}person_${track ?? index + 1}`;
    return trackOf(shown, rows, fileName(name), budget, rules);
  });
}

/** Mark missing joints, and remove people without any joint. */
function onlyShown(people, minConfidence, rules) {
  const values = people.values.map((own) => markMissing(own, minConfidence));
  const rows = [...values.keys()].filter((row) => values[row].some((value, at) => at % 3 === 0 && Number.isFinite(value)));
  const shown = {
    ...people,
    values: rows.map((row) => values[row]),
    frames: rows.map((row) => people.frames[row]),
    ids: rows.map((row) => people.ids[row]),
    times: people.times && rows.map((row) => people.times[row]),
  };
  checkPixels(shown, rules);
  return shown;
}

/** Check that coordinates can be pixels. */
function checkPixels({ values, frames, where }, { farthest, maxNormalised }) {
  if (!values.length) return;
  const most = values.map((own) => range(coordinates(own).map(Math.abs))[1]);
  const far = frames.filter((_, row) => most[row] >= farthest);
  if (far.length) {
    throw new UserError(`${where}: found keypoints of ${farthest} or more in frame ${range(far)[0]}, expected pixels`);
  }
  if (range(most)[1] <= maxNormalised) {
    throw new UserError(
      `${where}: found only keypoints within +-${maxNormalised}, which seem normalised, expected pixels`);
  }
  const isPoint = values.every((own) => [0, 1].every((axis) => {
    const [low, high] = range(own.filter((_, at) => at % 3 === axis));
    return high === low;
  }));
  if (isPoint && values.some((own) => coordinates(own).length > 2)) {
    throw new UserError(`${where}: found all joints at one point in each frame, expected a person's`);
  }
}

const coordinates = (values) => [...values].filter((value, at) => at % 3 < 2 && !Number.isNaN(value));
const confidences = (values) => [...values].filter((_, at) => at % 3 === 2);
const sum = (values) => values.reduce((total, value) => total + value, 0);

/** Return the track id, null if the detections were linked, and the rows of each person. */
function byPerson(people, rules, warn) {
  let groups = new Map();
  let unnamed = [];
  people.ids.forEach((track, row) => (track === null ? unnamed : listOf(groups, track)).push(row));
  const every = [...people.ids.keys()];
  const different = (rows) => new Set(rows.map((row) => people.frames[row])).size;
  if (groups.size === 1) {
    const [rows] = groups.values();
    if (different(rows) < rows.length) [groups, unnamed] = [new Map(), every]; // AlphaPose's, if it does not track
  }
  if (groups.size === every.length && groups.size > rules.fewIds && different(every) > 1) {
    [groups, unnamed] = [new Map(), every]; // each detection has its own id
  }
  const made = [...groups].map(([track, rows]) => ({ track, rows }));
  if (unnamed.length) {
    const numbers = link(people, unnamed, rules, warn);
    const linked = new Map();
    unnamed.forEach((row, index) => listOf(linked, numbers[index]).push(row));
    for (const number of [...linked.keys()].sort((a, b) => a - b)) made.push({ track: null, rows: linked.get(number) });
  }
  return made;
}

/** Return the rows of a person in the order of frames; of each frame only the row with the highest confidence. */
function oneAFrame(people, rows) {
  const sure = new Map(rows.map((row) => [row, sum(confidences(people.values[row]))]));
  const ordered = [...rows].sort((a, b) => people.frames[a] - people.frames[b] || sure.get(a) - sure.get(b));
  return ordered.filter((row, index) => people.frames[row] !== people.frames[ordered[index + 1]]);
}

/** Link detections without ids, and return the number of the person of each row. */
function link(people, rows, rules, warn) {
  const frames = rows.map((row) => people.frames[row]);
  const values = rows.map((row) => people.values[row]);
  const sizes = values.map(sizeOf);
  const numbers = new Int32Array(rows.length);
  const groups = new Map();
  [...rows.keys()].sort((a, b) => frames[a] - frames[b]).forEach((row) => listOf(groups, frames[row]).push(row));
  const most = [...groups.values()].reduce((best, group) => (group.length > best.length ? group : best));
  if (most.length === 1) return numbers;
  if (most.length > rules.maxPeople) {
    throw new UserError(`${people.where}: found ${most.length} people without track ids in frame ${frames[most[0]]}, `
      + `expected at most ${rules.maxPeople}`);
  }
  const every = new Map([...groups].map(([frame, group]) => [frame, doublesOf(values, sizes, group, rules)]));
  const twice = [...every.values()].filter((doubles) => doubles.size).length;
  if (groups.size > 1 && twice > rules.mostly * groups.size) {
    warn(`${people.where}: found two people at the same place in ${twice} of ${groups.size} frames, expected each person once `
      + 'a frame; the surer one is used, are the frames numbered rightly?');
  }
  if ([...groups].every(([frame, group]) => group.length === every.get(frame).size + 1)) return numbers;
  let lastRows = []; // the last row of each person who may be continued
  let count = 0;
  for (const [frame, group] of groups) {
    lastRows = lastRows.filter((row) => frame - frames[row] <= rules.memory);
    const doubles = every.get(frame);
    let left = group.filter((row) => !doubles.has(row));
    const pairs = nearest(values, sizes, lastRows, left, (row) => frame - frames[row], rules);
    for (const [before, row] of pairs) {
      numbers[row] = numbers[before];
      left = left.filter((other) => other !== row);
      lastRows = [...lastRows.filter((other) => other !== before), row];
    }
    for (const row of left) {
      numbers[row] = count;
      count += 1;
    }
    lastRows = [...lastRows, ...left].slice(-rules.maxPeople);
    for (const [row, surer] of doubles) numbers[row] = numbers[surer];
  }
  return numbers;
}

/** Return {row: the surer row of the same frame at the same place}, for people whom a detector found twice. */
function doublesOf(values, sizes, rows, rules) {
  const found = new Map();
  if (rows.length < 2) return found;
  const kept = [];
  const sure = new Map(rows.map((row) => [row, sum(confidences(values[row]))]));
  for (const row of [...rows].sort((a, b) => sure.get(a) - sure.get(b)).reverse()) {
    const surer = kept.find((other) => {
      const { mean, shared } = distance(values[other], values[row]);
      return shared >= rules.doubleJoints && mean < rules.double * sizes[other];
    });
    if (surer === undefined) kept.push(row);
    else found.set(row, surer);
  }
  return found;
}

/** Return the mean distance of the joints that two people have both, and their number. */
function distance(one, other) {
  let [total, shared] = [0, 0];
  for (let at = 0; at < one.length; at += 3) {
    if (Number.isFinite(one[at]) && Number.isFinite(other[at])) {
      total += Math.hypot(one[at] - other[at], one[at + 1] - other[at + 1]);
      shared += 1;
    }
  }
  return { mean: total / Math.max(shared, 1), shared };
}

/** Match rows of earlier frames to rows of this frame, nearest pairs first. */
function nearest(values, sizes, before, now, passed, rules) {
  const pairs = [];
  for (const a of before) {
    for (const b of now) {
      const { mean, shared } = distance(values[a], values[b]);
      const reach = Math.max(sizes[a], sizes[b]) * Math.min(rules.reach * passed(a), rules.farthestReach);
      if (shared && mean <= reach) pairs.push({ a, b, distance: mean });
    }
  }
  pairs.sort((one, other) => one.distance - other.distance);
  const found = new Map();
  const taken = new Set();
  for (const { a, b } of pairs) {
    if (!found.has(a) && !taken.has(b)) {
      found.set(a, b);
      taken.add(b);
    }
  }
  return [...found];
}

/** Return the diagonal, pixels, of the box around the visible joints of a person. */
function sizeOf(values) {
  const sides = [0, 1].map((axis) => {
    const [low, high] = range(values.filter((_, at) => at % 3 === axis));
    return high - low;
  });
  return Math.hypot(...sides);
}

/** Make a track from the rows of a person, which are in the order of frames. */
function trackOf(people, rows, name, budget, rules) {
  const first = people.frames[rows[0]];
  const frames = people.frames[rows.at(-1)] - first + 1;
  const joints = people.values[rows[0]].length / 3;
  budget.charge(frames * (40 * joints + 48));
  const keypoints = new Float32Array(frames * joints * 2).fill(NaN);
  const sure = new Float32Array(frames * joints);
  const detected = new Uint8Array(frames);
  for (const row of rows) {
    const at = people.frames[row] - first;
    const values = people.values[row];
    for (let joint = 0; joint < joints; joint += 1) {
      keypoints.set(values.subarray(3 * joint, 3 * joint + 2), 2 * (at * joints + joint));
      sure[at * joints + joint] = values[3 * joint + 2];
    }
    detected[at] = 1;
  }
  const { times, fps } = timing(people, first, frames, rules);
  const { prefix: clip, layout, imageSize } = people;
  const filmed = { clip, layout, fps, imageSize, firstFrame: first, every: 1, times };
  return { name, ...filmed, frames, joints, keypoints, confidences: sure, detected };
}

/** Return the seconds of frames, null if they are even, and the frame rate. */
function timing(people, first, count, rules) {
  const rate = people.fps;
  if (people.times === null) return { times: null, fps: rate };
  const own = new Map();
  people.frames.forEach((frame, row) => { if (!own.has(frame)) own.set(frame, people.times[row]); });
  const known = [...own.keys()].sort((a, b) => a - b);
  if (known.length < 2) return { times: null, fps: rate };
  const seconds = known.map((frame) => own.get(frame));
  let fps = (known.at(-1) - known[0]) / (seconds.at(-1) - seconds[0]);
  if (rate && Math.abs(fps / rate - 1) < rules.sameRate) fps = rate;
  const grid = known.map((frame) => seconds[0] + (frame - known[0]) / fps);
  const least = range(differences(grid))[0];
  const isUneven = seconds.some((second, index) => Math.abs(second - grid[index]) > rules.uneven * least);
  if (!isUneven && Math.abs(seconds[0] - known[0] / fps) < rules.uneven / fps) return { times: null, fps };
  const times = Float64Array.from({ length: count }, (_, index) => interpolated(first + index, known, seconds));
  return { times, fps };
}

/** Interpolate between known points, whose places increase; constant beyond them. */
function interpolated(at, places, values) {
  if (at <= places[0]) return values[0];
  if (at >= places.at(-1)) return values.at(-1);
  let [low, high] = [0, places.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (places[middle] <= at) low = middle;
    else high = middle;
  }
  return values[low] + ((values[high] - values[low]) / (places[high] - places[low])) * (at - places[low]);
}

/** Give tracks without an image size a common one that contains all keypoints, with a warning. */
export function withImageSizes(tracks, file, rules, warn) {
  if (tracks.every((track) => track.imageSize)) return tracks;
  const axes = [0, 1].map((axis) => tracks.flatMap((track) =>
    Array.from(track.keypoints.filter((value, at) => at % 2 === axis && !Number.isNaN(value)))));
  const [width, height] = axes.map((values) => Math.max(Math.ceil(range(values)[1]), 1));
  const middle = axes.map(median);
  const fitting = rules.usualSizes.filter((size) => width <= size[0] && height <= size[1]);
  const away = (size) => Math.hypot(middle[0] - size[0] / 2, middle[1] - size[1] / 2) / Math.max(...size);
  const size = (fitting.length ? fitting : [[width, height]]).reduce((best, one) => (away(one) < away(best) ? one : best));
  warn(`${file}: image size not known, assuming ${size[0]} x ${size[1]}; poses depend on it (width, height)`);
  return tracks.map((track) => ({ ...track, imageSize: track.imageSize ?? size }));
}

/** Append numbers to the names of tracks that would have the same name. */
export function withOwnNames(tracks) {
  const taken = new Set();
  const numbers = new Map();
  return tracks.map((track) => {
    let { name } = track;
    while (taken.has(name.toLowerCase())) {
      numbers.set(track.name, (numbers.get(track.name) ?? 0) + 1);
      name = `${track.name}_${numbers.get(track.name) + 1}`;
    }
    taken.add(name.toLowerCase());
    return { ...track, name };
  });
}

function fileName(name) {
  const plain = start(name.replace(/[^\p{L}\p{N}_.-]+/gu, '_'), 60);
  return plain.replace(/^[._]+|[._]+$/g, '') || 'person';
}
