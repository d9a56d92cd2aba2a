/** The live part of the page: a camera or a video file, MediaPipe, and the causal network frame by frame. */

import { complete } from './complete.js';
import { openDetector } from './detector.js';
import { UserError } from './errors.js';
import { Stage } from './stage.js';
import { LiveLifter } from './stream.js';

const LONGEST_S = 1; // without an image: then the next one counts as the first
const [REACH_M, FLOOR_M] = [1.1, 0.95]; // of the drawing, from the hip
const at = (id) => document.getElementById(id);

/**
 * Make the buttons of the live part work.
 *
 * @param {() => Promise<import('./lift.js').Network>} open loads a causal network, or one of single frames, at the first start
 * @param {object} tables
 */
export function openLive(open, tables) {
  let network;
  let running = null;
  const stop = () => {
    running?.stop();
    running = null;
    at('stop').hidden = true;
    at('rate').textContent = '';
  };
  const start = async (source) => {
    stop();
    enable(false);
    at('live-error').textContent = '';
    at('rate').textContent = 'Starting';
    try {
      network ??= await open();
      const detector = await openDetector(tables.formats.every.mediapipe.minConfidence);
      running = await run(source, detector, network, tables, stop);
      at('stop').hidden = false;
    } catch (error) {
      stop();
      at('live-error').textContent = error instanceof UserError ? error.message : `not started: ${error.message ?? error}`;
      if (error instanceof UserError) at('how').open = true;
    }
    enable(true);
  };
  const enable = (state) => {
    for (const id of ['webcam', 'video-file']) at(id).disabled = !state;
  };
  at('webcam').addEventListener('click', () => start(openCamera));
  at('video-file').addEventListener('change', (event) => {
    const [file] = event.target.files;
    if (file) start(async () => ({ src: URL.createObjectURL(file) }));
    event.target.value = '';
  });
  at('stop').addEventListener('click', stop);
  enable(true);
}

async function openCamera() {
  if (!navigator.mediaDevices) throw new Error('the browser gives no camera to this address, expected https or localhost');
  return { stream: await navigator.mediaDevices.getUserMedia({ video: { frameRate: { ideal: 30 } }, audio: false }) };
}

/** Lift what a video shows until it ends; return how to stop it. */
async function run(source, detector, network, tables, ended) {
  const video = at('video');
  let src = null; // of a file, or
  let stream = null; // of a camera
  const release = () => {
    detector.close();
    video.pause();
    video.removeAttribute('src');
    video.srcObject = null;
    stream?.getTracks().forEach((track) => track.stop());
    if (src) URL.revokeObjectURL(src);
  };
  try {
    ({ src = null, stream = null } = await source());
    if (stream) video.srcObject = stream;
    else video.src = src;
    await video.play();
  } catch (error) {
    release();
    throw error;
  }
  at('live-views').hidden = false;
  at('stage').replaceChildren();
  const stage = new Stage(at('stage'), { joints: tables.joints, bones3d: tables.bones3d });
  const size = [video.videoWidth, video.videoHeight];
  const extent = { size, box: [0, 0, ...size], reach: REACH_M, floor: FLOOR_M };
  const drawn = { name: '', bones2d: tables.bones2d[detector.layout], names2d: tables.layouts[detector.layout].joints };
  const lifter = new LiveLifter(network, tables, { imageSize: size });
  const meter = new Meter();
  let stopped = false;
  let waiting;
  let last = null; // seconds of the newest image
  const look = async (now, { mediaTime }) => {
    try {
      await lookAt(now, stream ? now / 1000 : mediaTime);
    } catch (error) {
      if (stopped) return;
      ended();
      at('live-error').textContent = `stopped: ${error.message ?? error}`;
    }
  };
  const lookAt = async (now, seconds) => {
    if (stopped) return;
    if (last !== null && seconds - last > LONGEST_S) lifter.reset();
    const dt = last === null || seconds <= last ? undefined : seconds - last;
    last = seconds;
    const track = detector.find(video, now);
    const began = performance.now();
    const person = track && complete(track, tables);
    const pose = await lifter.push(person, dt);
    if (stopped) return;
    meter.add(now, performance.now() - began);
    at('rate').textContent = `${meter.text()}${person?.lifted[0] ? '' : ', nobody found'}`;
    const shown = {
      ...drawn,
      keypoints: track?.keypoints,
      pose: pose.every(Number.isFinite) ? pose : null,
      dashed: person ? person.confidences.map((value) => Number(value === 0)) : [],
    };
    stage.show({ ...extent, people: [shown], frame: meter.count });
    waiting = video.requestVideoFrameCallback(look);
  };
  waiting = video.requestVideoFrameCallback(look);
  const finish = () => ended();
  video.addEventListener('ended', finish, { once: true });
  return {
    stop() {
      stopped = true;
      video.removeEventListener('ended', finish);
      video.cancelVideoFrameCallback(waiting);
      stage.close();
      release();
    },
  };
}

/** Measure images a second, and the milliseconds that lifting one takes. */
class Meter {
  constructor() {
    Object.assign(this, { times: [], costs: [], count: 0 });
  }

  add(now, milliseconds) {
    this.count += 1;
    this.times = [...this.times, now].slice(-30);
    this.costs = [...this.costs, milliseconds].slice(-30);
  }

  text() {
    const span = (this.times.at(-1) - this.times[0]) / 1000;
    const rate = span > 0 ? `${((this.times.length - 1) / span).toFixed(0)} images a second, ` : '';
    return `${rate}${(this.costs.reduce((a, b) => a + b, 0) / this.costs.length).toFixed(1)} ms to lift one`;
  }
}
