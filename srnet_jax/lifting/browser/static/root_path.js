// Where a lifted person is: the path of the hip in the camera frame, `pose/root_path.py`.

import { boneLengths, treeWalk } from './bones.js';
import { median } from './numbers.js';
import { completeRows, interp } from './series.js';
import { whittaker } from './whittaker.js';

/** Set the bones of poses [T*J*3], relative to the hip, to their median lengths; the directions stay. */
export function withMedianBones(poses, tables) {
  const lengths = boneLengths(poses, false, tables);
  return lengths ? treeWalk(poses, lengths, tables) : Float64Array.from(poses);
}

/**
 * Estimate the smooth path of a person's hip.
 * @param {Float64Array} poses [T*J*3] with median bones, metres; NaN in frames that are not lifted
 * @param {{points: Float32Array, confidences: Float32Array}} completed
 * @param {import('./normalization.js').Camera} camera
 * @param {Float64Array} times [T] increasing seconds
 * @returns {Float64Array} [T*3] metres; filled in where a pose has too few visible joints, NaN in frames without a pose
 */
export function rootPath(poses, completed, camera, times, tables) {
  const path = pathByFrame(poses, completed, camera, tables);
  const known = completeRows(path, 3);
  const frames = Array.from(times.keys());
  const found = frames.filter((frame) => known[frame]);
  if (!found.length) return path;
  const at = Float64Array.from(found, (frame) => times[frame]);
  const ray = [0, 1].map((k) => Float64Array.from(found, (frame) => path[3 * frame + k] / path[3 * frame + 2]));
  const depth = smoothDepth(Float64Array.from(found, (frame) => Math.log(path[3 * frame + 2])), at, tables);
  const { RAY_S } = tables.constants.root_path;
  const smooth = [...ray.map((values) => whittaker(values, 1, at, RAY_S, null, tables)), depth];
  const lifted = completeRows(poses, 3 * tables.joints.length);
  const [x, y, logarithm] = smooth.map((values) => interp(times, at, values)); // also between and beyond the known frames
  frames.filter((frame) => lifted[frame]).forEach((frame) => {
    const distance = Math.exp(logarithm[frame]);
    path.set([x[frame] * distance, y[frame] * distance, distance], 3 * frame);
  });
  return path;
}

/** Smooth the logarithm of the depth; frames that are far off have little weight. */
function smoothDepth(depth, times, tables) {
  const { DEPTH_S, ROUNDS, ODD, MIN_DEPTH_ERROR } = tables.constants.root_path;
  let weights = depth.map(() => 1);
  let smooth = depth;
  for (let round = 0; round < ROUNDS; round += 1) {
    smooth = whittaker(depth, 1, times, DEPTH_S, weights, tables);
    const off = smooth.map((value, index) => Math.abs(depth[index] - value));
    const usual = ODD * Math.max(median(off), MIN_DEPTH_ERROR);
    weights = off.map((value) => 1 / (1 + (value / usual) ** 2));
  }
  return smooth;
}

/** Return the hip [T*3] of each frame independently; NaN if it cannot be estimated. */
function pathByFrame(poses, { points, confidences }, { focal, center }, tables) {
  const { MIN_JOINTS, NEAREST_M } = tables.constants.root_path;
  const joints = tables.joints.length;
  const path = new Float64Array(poses.length / joints).fill(NaN);
  completeRows(poses, 3 * joints).forEach((known, frame) => {
    const used = []; // joints as [X, Y, Z, ray x, ray y, weight]
    for (let index = frame * joints; index < (frame + 1) * joints; index += 1) {
      const ray = [(points[2 * index] - center[0]) / focal, (points[2 * index + 1] - center[1]) / focal];
      if (confidences[index] > 0 && ray.every(Number.isFinite)) {
        used.push([...poses.subarray(3 * index, 3 * index + 3), ...ray, confidences[index]]);
      }
    }
    if (!known || used.length < MIN_JOINTS) return;
    const place = fitted(used, tables.constants.root_path);
    if (place[2] > NEAREST_M) path.set(place, 3 * frame);
  });
  return path;
}

/** Return the translation that fits joints best to their rays; badly fitting joints have little weight. */
function fitted(used, { STEPS, FITS, MIN_ERROR, NEAREST_M, POINT }) {
  const ray = [lowMedian(used.map((one) => one[3])), lowMedian(used.map((one) => one[4]))];
  const middle = [lowMedian(used.map((one) => one[0])), lowMedian(used.map((one) => one[1]))];
  const small = lowMedian(used.map(([, , , u, v]) => Math.hypot(u - ray[0], v - ray[1])));
  const large = lowMedian(used.map(([x, y]) => Math.hypot(x - middle[0], y - middle[1])));
  const depth = Math.max(large, NEAREST_M) / Math.max(small, Math.sqrt(POINT));
  let place = [ray[0] * depth - middle[0], ray[1] * depth - middle[1], depth]; // a few wrong joints hardly affect it
  const all = used.reduce((sum, one) => sum + one[5], 0);
  const size = Math.sqrt(used.reduce((sum, [x, y, z, , , weight]) => sum + weight * (x * x + y * y + z * z), 0) / all);
  for (let step = 0; step < STEPS; step += 1) {
    const depths = used.map(([, , z]) => Math.max(z + place[2], NEAREST_M));
    const errors = used.map(([x, y, , u, v], k) => Math.hypot(x + place[0] - u * depths[k], y + place[1] - v * depths[k]));
    const usual = FITS * Math.max(lowMedian(errors), MIN_ERROR * size);
    place = translation(used, used.map((one, k) => one[5] / ((1 + (errors[k] / usual) ** 2) * depths[k]) ** 2), POINT);
  }
  return place;
}

/** Solve ray * (Z + t_z) = (X, Y) + (t_x, t_y) of all joints for the translation t; NaN if all rays are one point. */
function translation(used, weights, point) {
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  const mean = (of) => used.reduce((sum, one, k) => sum + (weights[k] / all) * of(one), 0);
  const right = ([x, , z, u]) => u * z - x; // t_x - u t_z
  const down = ([, y, z, , v]) => v * z - y;
  const [u, v, x, y] = [mean((one) => one[3]), mean((one) => one[4]), mean(right), mean(down)];
  const spread = mean((one) => (one[3] - u) ** 2 + (one[4] - v) ** 2);
  const along = mean((one) => (one[3] - u) * (right(one) - x) + (one[4] - v) * (down(one) - y));
  const depth = spread > point ? -along / spread : NaN;
  return [x + u * depth, y + v * depth, depth];
}

/** Return the median, the lower one of two. */
function lowMedian(values) {
  return Float64Array.from(values).sort()[(values.length - 1) >> 1];
}
