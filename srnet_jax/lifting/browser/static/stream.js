// Lift one person live, frame by frame: `lifting/streaming.py`.

import { UserError } from './errors.js';
import { LiveFilter } from './filters.js';
import { fromHip, run } from './lift.js';
import { normalized, pinhole, toMetres } from './normalization.js';
import { interp, interpolated } from './series.js';

/**
 * Lift the keypoints of one person as they arrive, with a causal network or one of single frames.
 *
 * The network sees the last `facts.frames` frames at the rate that it was trained on; those that arrive at another rate are
 * interpolated to it. Before the first frame it sees the first one. After more than LONGEST_GAP_S seconds without the person,
 * the next frame counts as the first.
 */
export class LiveLifter {
  /**
   * @param {import('./lift.js').Network} network
   * @param {object} tables as for `lift`
   * @param {object} options
   * @param {[number, number]} options.imageSize pixels
   * @param {number|null} [options.focalPx] null for the usual one
   * @param {boolean} [options.flip] whether each pose is averaged with the mirrored pose of the mirrored keypoints
   * @param {object|null} [options.filters] as `tables.filters`; null for none
   * @param {number|null} [options.fps] of the frames, if `push` gets no seconds; null for the rate of the network
   * @throws {UserError} if the network needs later frames
   */
  constructor(network, tables, { imageSize, focalPx = null, flip = true, filters = tables.filters, fps = null }) {
    const { facts } = network;
    if (facts.receptive_field > 1 && !facts.causal) {
      const later = (facts.receptive_field - 1) / 2;
      const expected = 'a causal network or one of single frames';
      throw new UserError(`${facts.name}: found a network that needs ${later} later frames, expected ${expected}`);
    }
    this.rate = facts.fps ?? tables.constants.result.USUAL_FPS;
    this.dt = 1 / (fps ?? this.rate);
    this.camera = pinhole(imageSize, focalPx, tables);
    this.filter = filters && new LiveFilter(filters, tables);
    Object.assign(this, { network, tables, flip });
    this.reset();
  }

  /** Forget all frames; the next frame counts as the first. */
  reset() {
    this.filter?.reset();
    this.frames = []; // {time, inputs} of frames with the person; time stands still in frames without
    this.unseen = 0;
  }

  /**
   * Lift the next frame. Wait for the pose before the next call.
   * @param {object|null} person one frame of `complete`; null if the frame does not show the person
   * @param {number} [dt] seconds since the previous call
   * @returns {Promise<Float32Array>} [17*3] metres, camera frame, relative to the hip; NaN if the frame shows too little
   */
  async push(person, dt = this.dt) {
    const { network, tables } = this;
    if (!person?.lifted[0]) {
      this.unseen += dt;
      const unknown = new Float32Array(3 * tables.joints.length).fill(NaN);
      return this.filter ? this.filter.push(unknown, null, dt) : unknown;
    }
    const longest = tables.constants.complete.LONGEST_GAP_S + dt / 2; // half a frame more, because sums are rounded
    if (this.unseen > longest) this.frames = [];
    this.unseen = 0;
    const { facts } = network;
    const inputs = normalized(facts.normalization, person.points, this.camera, tables);
    this.frames.push({ time: (this.frames.at(-1)?.time ?? -dt) + dt, inputs });
    const outputs = await run(this.window(), 1, network, this.flip, tables);
    const newest = outputs.slice(-3 * tables.joints.length);
    const pose = toMetres(facts.normalization, fromHip(newest, tables), person.points, this.camera, tables);
    return this.filter ? this.filter.push(pose, person.confidences, dt) : pose;
  }

  /** Return the inputs of the newest sequence, at the network's rate, and forget the frames before it. */
  window() {
    const count = this.network.facts.frames;
    const newest = this.frames.at(-1).time;
    while (this.frames.length > 2 && this.frames[1].time <= newest - count / this.rate) this.frames.shift();
    const times = this.frames.map(({ time }) => time);
    const width = this.frames[0].inputs.length;
    const inputs = new Float32Array(times.length * width);
    this.frames.forEach((frame, row) => inputs.set(frame.inputs, row * width));
    const places = Float64Array.from({ length: count }, (_, k) => newest - (count - 1 - k) / this.rate);
    return interpolated(inputs, width, interp(places, times, times.map((_, row) => row)));
  }
}
