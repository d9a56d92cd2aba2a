// The filters of lifted poses: `pose/filters.py`. Smoothing, constant bones, hinges that bend the right way, and a given size.

import { boneLengths, constantBones, RunningLengths, sizeFactor } from './bones.js';
import { withoutWrongBends } from './hinges.js';
import { OneEuro, smoothed } from './smoothing.js';

/**
 * Apply the filters to a track.
 * @param {Float32Array} poses [T*17*3] metres, relative to the hip; NaN in frames that are not lifted, which stay as they are
 * @param {ArrayLike<number>|null} confidences [T*17], 0 to 1; null for 1
 * @param {Float64Array} times [T] increasing seconds
 * @param {object} settings as `tables.filters`, which are the usual ones
 * @returns {Float32Array} [T*17*3]
 */
export function filtered(poses, confidences, times, settings, tables) {
  const given = Float64Array.from(poses);
  const made = settings.smooth ? smoothed(given, 3 * tables.joints.length, times, settings.cutoff_hz, tables) : given;
  const lengths = boneLengths(given, settings.alike, tables);
  return Float32Array.from(lengths ? shaped(made, confidences, lengths, settings, tables) : made);
}

/** Apply all filters except smoothing to poses [T*17*3] whose bones have the median lengths [17]. */
function shaped(poses, confidences, lengths, settings, tables) {
  let made = poses;
  if (settings.constant_bones) made = constantBones(made, lengths, confidences, tables);
  if (settings.knees || settings.elbows) made = withoutWrongBends(made, settings, tables);
  const factor = sized(settings) ? sizeFactor(lengths, settings, tables) : 1;
  return made.map((value) => value * factor);
}

const sized = (settings) => settings.stature_m !== null || settings.leg_m !== null;

/** The filters frame by frame, with the One Euro filter and the median bone lengths of the frames so far. */
export class LiveFilter {
  /** @param {object} settings as `tables.filters` */
  constructor(settings, tables) {
    this.settings = settings;
    this.tables = tables;
    this.reset();
  }

  /** Forget the person; the next frame counts as the first. */
  reset() {
    this.euro = new OneEuro(this.settings, this.tables);
    this.lengths = new RunningLengths(this.settings.alike, this.tables);
  }

  /**
   * Filter the next frame.
   * @param {Float32Array} pose [17*3] metres; NaN if the frame is not lifted, which is returned unchanged
   * @param {ArrayLike<number>|null} confidences [17]; null for 1
   * @param {number} dt seconds since the previous frame
   * @returns {Float32Array} [17*3]
   */
  push(pose, confidences, dt) {
    const given = Float64Array.from(pose);
    const made = this.settings.smooth ? this.euro.push(given, dt) : given;
    if (!made.every(Number.isFinite)) return Float32Array.from(made);
    const shape = this.settings.constant_bones || sized(this.settings);
    const lengths = shape ? this.lengths.push(given) : [];
    return Float32Array.from(shaped(made, confidences, lengths, this.settings, this.tables));
  }
}
