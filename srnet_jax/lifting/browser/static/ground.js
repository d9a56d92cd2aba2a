// The vertical and the floor, from standing feet, upright bodies and an approximately level camera: `pose/ground.py`.

import { leastSquares } from './least_squares.js';
import { median } from './numbers.js';
import { completeRows, runs } from './series.js';
import { add, cross, dot, norm, scale, subtract, unit, vectorAt } from './vectors.js';
import { whittaker } from './whittaker.js';

const RADIANS = Math.PI / 180;

/**
 * Estimate the vertical and the floor.
 * @param {Float64Array} joints [T*J*3] camera frame, metres; NaN in frames that are not known
 * @param {Float64Array} times [T] increasing seconds
 * @param {number[]|null} up [3] direction of up, camera frame, if it is known
 * @param {(frame: number, joint: number) => boolean} seen whether the detector saw a joint; other feet are not used
 * @returns {{up: number[], height: number, errorDeg: number, stands: number}} as the `Ground` of `pose/ground.py`
 */
export function ground(joints, times, up, seen, tables) {
  const numbers = tables.constants.ground;
  const count = tables.joints.length;
  const known = completeRows(joints, 3 * count);
  const rows = Array.from(times.keys()).filter((frame) => known[frame]);
  const given = up && unit(up);
  if (!rows.length) return { up: given ?? [0, -1, 0], height: NaN, errorDeg: given ? 0 : numbers.PITCH_DEG, stands: 0 };
  const body = bodyOf(tables);
  const frames = rows.map((frame) => ({
    time: times[frame],
    joints: tables.joints.map((_, joint) => vectorAt(joints, frame * count + joint)),
    seen: body.feet.map((foot) => seen(frame, foot)),
  }));
  const upright = bodyUp(frames.filter((frame) => frame.seen.every(Boolean)), body, numbers);
  const about = given ?? unit(add([0, -0.5, 0], upright ?? [0, 0, 0]));
  const stands = standsOf(frames, about, body, tables);
  const places = stands.length ? stands : lowest(frames, about, body, numbers);
  const below = numbers.ANKLE * median(frames.map((frame) => legLength(frame.joints, body)));
  if (given) {
    const height = places.length ? -median(places.map((place) => dot(place, given))) : NaN;
    return { up: given, height: height + below, errorDeg: 0, stands: stands.length };
  }
  const found = plane(places, about, upright, numbers);
  return { ...found, height: places.length ? found.height + below : NaN, stands: stands.length };
}

/** Return the world's axes right, away and up, as rows in the camera frame, for a unit vector up; see `pose/ground.py`. */
export function axes(up, tables) {
  let away = subtract([0, 0, 1], scale(up, up[2]));
  if (norm(away) < tables.constants.ground.LEVEL) {
    const top = [0, Math.sign(up[2]), 0];
    away = subtract(top, scale(up, dot(top, up)));
  }
  away = unit(away);
  return [cross(away, up), away, up];
}

/** Return the indices of joints that matter here; feet are the right and the left one. */
function bodyOf({ joints }) {
  const both = (name) => ['R', 'L'].map((side) => joints.indexOf(side + name));
  return { feet: both('Foot'), knees: both('Knee'), hips: both('Hip'), thorax: joints.indexOf('Thorax'), root: 0 };
}

/** Return the mean position of a foot in each of its stands; a longer stand counts once for each half second. */
function standsOf(frames, up, body, tables) {
  const { LONGEST_GAP_S, SHORTEST_S, LONGEST_S } = tables.constants.ground;
  const found = [];
  let first = 0;
  for (let last = 1; last <= frames.length; last += 1) {
    if (last < frames.length && !(frames[last].time - frames[last - 1].time > LONGEST_GAP_S)) continue;
    const part = frames.slice(first, last);
    const standing = standingFeet(part, up, body, tables);
    body.feet.forEach((foot, side) => {
      for (const [start, end] of runs(part.length, (frame) => standing[frame][side] && part[frame].seen[side])) {
        const lasts = part[end - 1].time - part[start].time;
        if (lasts < SHORTEST_S) continue;
        const places = part.slice(start, end).map((frame) => frame.joints[foot]);
        found.push(...split(places, Math.min(Math.floor(lasts / LONGEST_S) + 1, end - start)).map(mean));
      }
    });
    first = last;
  }
  return found;
}

/** Return for each frame whether the right and the left foot stand: slow, and not above the other one. */
function standingFeet(frames, up, { feet }, tables) {
  const { FEET_S, SLOW_M_S, HIGHER_M } = tables.constants.ground;
  if (frames.length < 2) return frames.map(() => [false, false]);
  const times = Float64Array.from(frames, (frame) => frame.time);
  const places = Float64Array.from(frames.flatMap((frame) => feet.flatMap((foot) => frame.joints[foot])));
  const smooth = whittaker(places, 6, times, FEET_S, null, tables);
  const speeds = gradient(smooth, 6, times);
  return frames.map(({ joints }, frame) => {
    const heights = feet.map((foot) => dot(joints[foot], up));
    const slow = (side) => norm(vectorAt(speeds, 2 * frame + side)) < SLOW_M_S;
    return [0, 1].map((side) => slow(side) && heights[side] - heights[1 - side] < HIGHER_M);
  });
}

/** Return the derivative of rows of `width` numbers, of second order inside and of first order at the ends. */
function gradient(values, width, times) {
  const last = times.length - 1;
  const slope = (k, row) => (values[(row + 1) * width + k] - values[row * width + k]) / (times[row + 1] - times[row]);
  return values.map((_, index) => {
    const [row, k] = [Math.floor(index / width), index % width];
    if (row === 0 || row === last) return slope(k, Math.min(row, last - 1));
    const [before, after] = [times[row] - times[row - 1], times[row + 1] - times[row]];
    return (after * slope(k, row - 1) + before * slope(k, row)) / (before + after);
  });
}

/** Split an array into parts of about the same length, the longer ones first. */
function split(array, parts) {
  const [short, longer] = [Math.floor(array.length / parts), array.length % parts];
  const start = (part) => part * short + Math.min(part, longer);
  return Array.from({ length: parts }, (_, part) => array.slice(start(part), start(part + 1)));
}

function mean(vectors) {
  return scale(vectors.reduce(add, [0, 0, 0]), 1 / vectors.length);
}

/** Return the mean position of the lowest feet, in an array; empty if no foot is seen. */
function lowest(frames, up, { feet }, { LOWEST }) {
  const low = frames.filter((frame) => frame.seen.some(Boolean)).map((frame) => {
    const heights = feet.map((foot, side) => (frame.seen[side] ? dot(frame.joints[foot], up) : Infinity));
    const side = heights[1] < heights[0] ? 1 : 0;
    return { height: heights[side], place: frame.joints[feet[side]] };
  });
  if (!low.length) return [];
  const limit = percentile(low.map((one) => one.height), LOWEST);
  return [mean(low.filter((one) => one.height <= limit).map((one) => one.place))];
}

function percentile(values, percent) {
  const ordered = Float64Array.from(values).sort();
  const place = ((ordered.length - 1) * percent) / 100;
  const before = Math.floor(place);
  return ordered[before] + (ordered[Math.min(before + 1, ordered.length - 1)] - ordered[before]) * (place - before);
}

/** Return the length of thigh and shank together, the mean of both legs. */
function legLength(joints, { hips, knees, feet }) {
  const length = (a, b) => norm(subtract(joints[a], joints[b]));
  return [0, 1].reduce((sum, side) => sum + (length(hips[side], knees[side]) + length(knees[side], feet[side])) / 2, 0);
}

/** Return the median direction from ankles to thorax of straight, upright bodies; null if there are none. */
function bodyUp(frames, body, { STRAIGHT, UPRIGHT }) {
  const directions = frames.flatMap(({ joints }) => {
    const along = subtract(joints[body.thorax], mean(body.feet.map((foot) => joints[foot])));
    const whole = legLength(joints, body) + norm(subtract(joints[body.thorax], joints[body.root]));
    const length = norm(along);
    return length > STRAIGHT * whole && -along[1] > UPRIGHT * length ? [scale(along, 1 / length)] : [];
  });
  return directions.length ? unit([0, 1, 2].map((k) => median(directions.map((direction) => direction[k])))) : null;
}

/** Fit up and the camera's height above places; return them and the standard error of up, degrees. */
function plane(places, about, upright, numbers) {
  const { ACROSS_M, ALONG_M, ALONG, PITCH_DEG, ROLL_DEG, HEIGHT_M, LEAN_DEG, TAIL } = numbers;
  const tangents = axes(about, { constants: { ground: numbers } }).slice(0, 2);
  const turned = ([a, b]) => unit(add(about, add(scale(tangents[0], a), scale(tangents[1], b))));
  const errors = (values) => {
    const up = turned(values);
    const robust = places.map((place) => {
      const distance = norm(place);
      const along = (dot(place, up) / distance) * Math.hypot(ALONG_M, ALONG * distance);
      const off = (dot(place, up) + values[2]) / Math.hypot(ACROSS_M, along);
      return Math.sign(off) * Math.sqrt((TAIL + 1) * Math.log1p(off ** 2 / TAIL));
    });
    const camera = [up[2] / (PITCH_DEG * RADIANS), up[0] / (ROLL_DEG * RADIANS), (values[2] - HEIGHT_M[0]) / HEIGHT_M[1]];
    const lean = upright ? scale(subtract(up, upright), 1 / (LEAN_DEG * RADIANS)) : [];
    return [...robust, ...camera, ...lean];
  };
  const start = places.length ? -median(places.map((place) => dot(place, about))) : HEIGHT_M[0];
  const { values, covariance } = leastSquares(errors, [0, 0, start]);
  const errorDeg = Math.sqrt(covariance[0][0] + covariance[1][1]) / RADIANS;
  return { up: turned(values), height: values[2], errorDeg };
}
