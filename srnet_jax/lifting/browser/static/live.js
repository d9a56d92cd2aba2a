/** The live part of the page: a camera or a video file, MediaPipe, and the causal network frame by frame. */

import { openDetector } from './detector.js';
import { UserError } from './errors.js';
import { Stage } from './stage.js';
import { LiveLifter } from './stream.js';

const LONGEST_S = 1; // without an image: then the next one counts as the first
const REACH_M = 1.1;
const at = (id) => document.getElementById(id);

/**
 * Make the buttons of the live part work.
 *
 * @param {import('./lift.js').Network} network of a causal network, or one of single frames
 * @param {object} tables
 */
export function openLive(network, tables) {
  let running = null;
  const stop = () => {
    running?.stop();
    running = null;
    at('stop').hidden = true;
    at('rate').textContent = '';
  };
  const start = async (source) => {
    stop();
    at('live-error').textContent = '';
    at('rate').textContent = 'Starting';
    try {
      running = await run(await source(), network, tables, stop);
      at('stop').hidden = false;
    } catch (error) {
      stop();
      at('live-error').textContent = error instanceof UserError ? error.message : `not started: ${error.message ?? error}`;
      if (error instanceof UserError) at('how').open = true;
    }
  };
  at('webcam').addEventListener('click', () => start(openCamera));
  at('video-file').addEventListener('change', (event) => {
    const [file] = event.target.files;
    if (file) start(async () => ({ src: URL.createObjectURL(file) }));
    event.target.value = '';
  });
  at('stop').addEventListener('click', stop);
  at('webcam').disabled = false;
  at('video-file').disabled = false;
}

async function openCamera() {
  if (!navigator.mediaDevices) throw new Error('the browser gives no camera to this address, expected https or localhost');
  return { stream: await navigator.mediaDevices.getUserMedia({ video: { frameRate: { ideal: 30 } }, audio: false }) };
}

/** Lift what a video shows until it ends; return how to stop it. */
async function run({ src = null, stream = null }, network, tables, ended) {
  const video = at('video');
  const release = () => {
    video.pause();
    video.removeAttribute('src');
    video.srcObject = null;
    stream?.getTracks().forEach((track) => track.stop());
    if (src) URL.revokeObjectURL(src);
  };
  let detector, stage;
  try {
    detector = await openDetector();
    if (stream) video.srcObject = stream;
    else video.src = src;
    await video.play();
  } catch (error) {
    detector?.close();
    release();
    throw error;
  }
  at('stage').replaceChildren();
  at('live-views').hidden = false;
  stage = new Stage(at('stage'), { joints: tables.joints, bones3d: tables.bones3d });
  const size = [video.videoWidth, video.videoHeight];
  const clock = new Clock(new LiveLifter(network, tables, { layout: detector.layout, imageSize: size, filters: tables.filters }), tables);
  const names = { names2d: tables.layouts[detector.layout].joints, bones2d: tables.bones2d[detector.layout] };
  const meter = new Meter();
  let stopped = false, waiting;
  const stop = () => {
    stopped = true;
    video.cancelVideoFrameCallback(waiting);
    detector.close();
    stage.close();
    release();
  };
  const look = async (now, { mediaTime }) => {
    if (stopped) return;
    const found = detector.find(video, now);
    const began = performance.now();
    const lifted = await clock.push(found, stream ? now / 1000 : mediaTime);
    if (stopped) return;
    meter.add(now, performance.now() - began, lifted.frames);
    at('rate').textContent = meter.text(found);
    const pose = lifted.pose && Number.isFinite(lifted.pose[0]) ? lifted.pose : null;
    const dashed = new Uint8Array(tables.joints.length);
    stage.show({ people: [{ name: '', pose, dashed, keypoints: found?.keypoints ?? null, ...names }], size, box: [0, 0, ...size], reach: REACH_M, floor: REACH_M * 0.85, frame: meter.count });
    waiting = video.requestVideoFrameCallback(look);
  };
  waiting = video.requestVideoFrameCallback(look);
  video.addEventListener('ended', () => { if (!stopped) ended(); }, { once: true });
  return { stop };
}

/** Give a lifter keypoints at the rate of its network, interpolated between those of the images. */
class Clock {
  constructor(lifter, rate) {
    Object.assign(this, { lifter, rate, last: null, pose: null });
  }

  /**
   * @param {{keypoints: Float64Array, confidences: Float64Array}|null} found in the newest image
   * @param {number} seconds of it
   * @returns {Promise<{pose: Float32Array|null, frames: number}>} the newest pose, and how many frames were lifted for it
   */
  async push(found, seconds) {
    const before = this.last;
    if (before && (seconds < before.seconds || seconds - before.seconds > LONGEST_S)) {
      this.lifter.reset();
      this.last = null;
      return this.push(found, seconds);
    }
    const steps = before ? Math.floor((seconds - before.seconds) * this.rate + 0.5) : 1;
    if (!steps) return { pose: this.pose, frames: 0 };
    for (let step = 1; step <= steps; step += 1) {
      const { keypoints, confidences } = between(before?.found, found, step / steps) ?? {};
      this.pose = await this.lifter.push(keypoints ?? null, confidences ?? null);
    }
    this.last = { found, seconds: before ? before.seconds + steps / this.rate : seconds };
    return { pose: this.pose, frames: steps };
  }
}

/** Return keypoints between two images; those of the newer one if the older one shows nobody. */
function between(older, newer, share) {
  if (!older || !newer) return newer;
  const mix = (key) => newer[key].map((value, index) => older[key][index] + share * (value - older[key][index]));
  return { keypoints: mix('keypoints'), confidences: mix('confidences') };
}

/** Measure images a second, and milliseconds that lifting one frame takes. */
class Meter {
  constructor() {
    Object.assign(this, { times: [], costs: [], count: 0 });
  }

  add(now, milliseconds, frames) {
    this.count += 1;
    this.times = [...this.times, now].slice(-30);
    if (frames) this.costs = [...this.costs, milliseconds / frames].slice(-30);
  }

  text(found) {
    const span = (this.times.at(-1) - this.times[0]) / 1000;
    const rate = span > 0 ? `${((this.times.length - 1) / span).toFixed(0)} images a second` : '';
    const cost = this.costs.length ? `${(this.costs.reduce((a, b) => a + b, 0) / this.costs.length).toFixed(1)} ms to lift a frame` : '';
    return [rate, cost, found ? '' : 'nobody found'].filter(Boolean).join(', ');
  }
}
