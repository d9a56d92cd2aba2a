// Smooth tracks of poses: `pose/smoothing.py`. A frame with a NaN is missing and stays as it is.

import { UserError } from './errors.js';
import { median, roundHalfEven } from './numbers.js';
import { completeRows, differences, greatest, interp, runs } from './series.js';

/**
 * Smooth rows of `width` numbers with a Butterworth filter of second order that runs forwards and backwards.
 * @param {Float64Array} values [T*width]
 * @param {Float64Array} times [T] increasing seconds
 * @returns {Float64Array} [T*width]
 */
export function smoothed(values, width, times, cutoffHz, tables) {
  const made = Float64Array.from(values);
  const known = completeRows(made, width);
  for (const [begin, end] of runs(times.length, (row) => known[row])) {
    let first = begin;
    for (let row = begin + 1; row <= end; row += 1) {
      if (row < end && !(times[row] - times[row - 1] > tables.constants.smoothing.LONGEST_GAP_S)) continue;
      const part = made.subarray(first * width, row * width);
      if (row - first > 2) smoothRun(part, width, times.subarray(first, row), cutoffHz, tables);
      first = row;
    }
  }
  return made;
}

/** Smooth rows without gaps, in place; uneven times are interpolated to their median rate and back. */
function smoothRun(values, width, times, cutoffHz, tables) {
  const { NYQUIST, MAX_UNEVEN, UNEVEN } = tables.constants.smoothing;
  const frames = times.length;
  const step = median(differences(times));
  if (cutoffHz >= NYQUIST / (2 * step)) return;
  const count = roundHalfEven((times[frames - 1] - times[0]) / step) + 1;
  if (count > MAX_UNEVEN * frames) {
    const span = (times[frames - 1] - times[0]).toPrecision(3);
    throw new UserError(`times: found ${frames} frames in ${span} s, most ${step.toPrecision(3)} s apart, expected even times`);
  }
  const even = Float64Array.from({ length: count }, (_, index) => times[0] + index * step);
  const isEven = count === frames && greatest(even.map((time, index) => time - times[index])) < UNEVEN * step;
  for (let column = 0; column < width; column += 1) {
    const given = Float64Array.from(times, (_, row) => values[row * width + column]);
    const between = forwardsAndBackwards(isEven ? given : interp(even, times, given), cutoffHz, step, tables);
    (isEven ? between : interp(times, even, between)).forEach((value, row) => {
      values[row * width + column] = value;
    });
  }
}

/** Filter values at even times without delay; beyond both ends they are reflected about the last value. */
function forwardsAndBackwards(values, cutoffHz, step, tables) {
  const count = values.length;
  const padding = Math.min(roundHalfEven(1 / (cutoffHz * step)) + 9, count - 1); // the 9 are those of `smoothing.py`
  const padded = new Float64Array(count + 2 * padding);
  for (let i = 1; i <= padding; i += 1) {
    padded[padding - i] = 2 * values[0] - values[i];
    padded[padding + count - 1 + i] = 2 * values[count - 1] - values[count - 1 - i];
  }
  padded.set(values, padding);
  const tangent = tables.constants.smoothing.TWO_PASSES * Math.tan(Math.PI * cutoffHz * step);
  const once = lowpass(padded, tangent).reverse();
  return lowpass(once, tangent).reverse().slice(padding, padding + count);
}

/** Run a Butterworth lowpass of second order over values, from the steady state of the first one. */
function lowpass(values, tangent) {
  const scale = 1 / (1 + Math.SQRT2 * tangent + tangent ** 2);
  const b = tangent ** 2 * scale;
  const a1 = 2 * (tangent ** 2 - 1) * scale;
  const a2 = (1 - Math.SQRT2 * tangent + tangent ** 2) * scale;
  let early = (1 - b) * values[0];
  let late = (b - a2) * values[0];
  return values.map((value) => {
    const made = b * value + early;
    early = 2 * b * value - a1 * made + late;
    late = b * value - a2 * made;
    return made;
  });
}

/** The One Euro filter of poses; all coordinates of a joint share one cutoff. Source: Casiez, Roussel and Vogel, CHI 2012. */
export class OneEuro {
  /** @param {{min_cutoff_hz: number, beta: number, d_cutoff_hz: number}} settings */
  constructor(settings, tables) {
    this.settings = settings;
    this.longest = tables.constants.smoothing.LONGEST_GAP_S;
    this.reset();
  }

  /** Forget all frames; the next frame counts as the first. */
  reset() {
    this.last = null;
    this.unseen = 0;
  }

  /**
   * Filter the next frame.
   * @param {Float64Array} pose [J*3]; with a NaN the frame is missing and returned unchanged
   * @param {number} dt seconds since the previous frame
   * @returns {Float64Array} [J*3]
   */
  push(pose, dt) {
    this.unseen += dt;
    if (!pose.every(Number.isFinite)) return pose;
    const elapsed = this.unseen;
    this.unseen = 0;
    if (!this.last || elapsed - dt > this.longest) {
      this.last = Float64Array.from(pose);
      this.velocity = new Float64Array(pose.length);
      return Float64Array.from(pose);
    }
    const { min_cutoff_hz: least, beta, d_cutoff_hz: ofSpeed } = this.settings;
    const share = weight(ofSpeed, elapsed);
    this.velocity = this.velocity.map((value, i) => value + share * ((pose[i] - this.last[i]) / elapsed - value));
    for (let i = 0; i < pose.length; i += 3) {
      const speed = Math.hypot(...this.velocity.subarray(i, i + 3));
      const own = weight(least + beta * speed, elapsed);
      for (let k = i; k < i + 3; k += 1) this.last[k] += own * (pose[k] - this.last[k]);
    }
    return Float64Array.from(this.last);
  }
}

/** Return the weight of the new value in an exponential filter. */
function weight(cutoffHz, dt) {
  const phase = 2 * Math.PI * cutoffHz * dt;
  return phase / (1 + phase);
}
