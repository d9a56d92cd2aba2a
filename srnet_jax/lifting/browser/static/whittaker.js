// The Whittaker smoother: `pose/whittaker.py`.

import { median } from './numbers.js';
import { differences } from './series.js';

/**
 * Smooth rows of `width` numbers by a penalty on their third derivative; a parabola is unchanged.
 * @param {Float64Array} values [T*width] finite
 * @param {Float64Array} times [T] increasing seconds
 * @param {number} seconds strength of the smoothing
 * @param {ArrayLike<number>|null} weights [T] positive; null for 1
 * @returns {Float64Array} [T*width]
 */
export function whittaker(values, width, times, seconds, weights, tables) {
  const { ORDER, MIN_STEP, MAX_FRAMES, LONGEST_GAP_S } = tables.constants.whittaker;
  const frames = times.length;
  const made = Float64Array.from(values);
  if (frames <= ORDER || seconds <= 0) return made;
  const step = median(differences(times));
  const steps = differences(times).map((own) => Math.max(own, MIN_STEP * step)); // nearly equal times would lose digits
  const places = new Float64Array(frames); // in frames
  steps.forEach((own, index) => { places[index + 1] = places[index] + own / step; });
  const strength = Math.min(seconds / step, MAX_FRAMES) ** (2 * ORDER);
  const factorial = Array.from({ length: ORDER }, (_, k) => k + 1).reduce((all, k) => all * k, 1);
  const band = Array.from({ length: ORDER + 1 }, () => new Float64Array(frames)); // band[d][i] is the matrix at (i, i - d)
  for (let i = 0; i < frames; i += 1) band[0][i] = weights ? weights[i] : 1;
  for (let first = 0; first < frames - ORDER; first += 1) {
    if (Math.max(...steps.subarray(first, first + ORDER)) > Math.max(LONGEST_GAP_S, step)) continue;
    const own = places.subarray(first, first + ORDER + 1);
    const row = own.map((place, k) => own.reduce((share, other, l) => (l === k ? share : share / (place - other)), factorial));
    const penalty = (strength * (own[ORDER] - own[0])) / ORDER;
    for (let a = 0; a <= ORDER; a += 1) {
      for (let b = 0; b <= a; b += 1) band[a - b][first + a] += penalty * row[a] * row[b];
    }
  }
  for (let i = 0; i < made.length; i += 1) made[i] *= weights ? weights[Math.floor(i / width)] : 1;
  return solved(band, made, width);
}

/** Solve a symmetric positive definite system, given the diagonal and those below it, by Cholesky's decomposition; in place. */
function solved(band, values, width) {
  const frames = band[0].length;
  const below = band.length - 1;
  for (let i = 0; i < frames; i += 1) {
    for (let j = Math.max(i - below, 0); j <= i; j += 1) {
      let sum = band[i - j][i];
      for (let k = Math.max(i - below, 0); k < j; k += 1) sum -= band[i - k][i] * band[j - k][j];
      band[i - j][i] = j < i ? sum / band[0][j] : Math.sqrt(sum);
    }
  }
  for (let column = 0; column < width; column += 1) {
    for (let i = 0; i < frames; i += 1) {
      for (let k = Math.max(i - below, 0); k < i; k += 1) {
        values[i * width + column] -= band[i - k][i] * values[k * width + column];
      }
      values[i * width + column] /= band[0][i];
    }
    for (let i = frames - 1; i >= 0; i -= 1) {
      for (let k = i + 1; k <= Math.min(i + below, frames - 1); k += 1) {
        values[i * width + column] -= band[k - i][k] * values[k * width + column];
      }
      values[i * width + column] /= band[0][i];
    }
  }
  return values;
}
