/**
 * Find one person's 2D keypoints in images with MediaPipe, if its files are beside the page in `mediapipe/`:
 * `vision_bundle.js` (of the npm package @mediapipe/tasks-vision, there .mjs), its folder `wasm`, and `pose_landmarker.task`.
 */

import { UserError } from './errors.js';

const own = (name) => new URL(`mediapipe/${name}`, import.meta.url).href;
const FILES = ['vision_bundle.js', 'wasm/vision_wasm_internal.js', 'wasm/vision_wasm_internal.wasm', 'pose_landmarker.task'];

/**
 * Load MediaPipe and its model.
 *
 * @param {number} minConfidence below which a joint is missing
 * @returns {Promise<{layout: string, find: Function, close: () => void}>} `find(video, milliseconds)` returns a track of one
 *   frame (see `read.js`) of the person in a video's image; null if it shows nobody
 * @throws {UserError} if a file is missing or not understood
 */
export async function openDetector(minConfidence) {
  for (const name of FILES) {
    const answer = await fetch(own(name), { method: 'HEAD', cache: 'no-store' });
    if (!answer.ok) throw new UserError(`mediapipe/${name}: not beside this page (the server answered ${answer.status})`);
  }
  const { PoseLandmarker } = await import(own(FILES[0]));
  const files = { wasmLoaderPath: own(FILES[1]), wasmBinaryPath: own(FILES[2]) };
  const options = { baseOptions: { modelAssetPath: own(FILES[3]), delegate: 'CPU' }, runningMode: 'VIDEO', numPoses: 1 };
  let landmarker;
  try {
    landmarker = await PoseLandmarker.createFromOptions(files, options);
  } catch (error) {
    const [reason] = String(error?.message ?? error).split('\n');
    throw new UserError(`mediapipe: not loaded (${reason.slice(0, 200)}), expected a pose landmarker model`);
  }
  const layout = 'mediapipe_33';
  return {
    layout,
    find(video, milliseconds) {
      const [person] = landmarker.detectForVideo(video, milliseconds).landmarks;
      if (!person) return null;
      const { videoWidth: width, videoHeight: height } = video;
      const seen = person.map(({ visibility = 1 }) => visibility >= minConfidence);
      return {
        layout,
        frames: 1,
        joints: person.length,
        fps: null,
        imageSize: [width, height],
        keypoints: Float32Array.from(person.flatMap(({ x, y }, joint) => (seen[joint] ? [x * width, y * height] : [NaN, NaN]))),
        confidences: Float32Array.from(person, ({ visibility = 1 }, joint) => (seen[joint] ? visibility : 0)),
      };
    },
    close: () => landmarker.close(),
  };
}
