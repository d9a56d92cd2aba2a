// The input of a network from keypoints, and metres from its output: `pose/normalization.py` and `lifting/roll.py`.

/** @typedef {{focal: number, center: [number, number], size: [number, number]}} Camera pixels */

/** Return the camera of an image; a focal length of null is the usual one. */
export function pinhole([width, height], focalPx, tables) {
  const focal = focalPx ?? tables.constants.normalization.USUAL_FOCAL * Math.max(width, height);
  return { focal, center: [width / 2, height / 2], size: [width, height] };
}

/**
 * Normalise keypoints.
 * @param {'basic'|'centered'|'turned'} name
 * @param {ArrayLike<number>} points [T*J*2] pixels
 * @param {Camera} camera
 * @returns {Float32Array} [T*J*2]
 */
export function normalized(name, points, camera, tables) {
  const numbers = tables.constants.normalization;
  const joints = tables.joints.length;
  const made = new Float32Array(points.length);
  const [width, height] = camera.size;
  for (let start = 0; start < points.length; start += 2 * joints) {
    const end = start + 2 * joints;
    if (name === 'basic') {
      for (let i = start; i < end; i += 2) {
        made[i] = (points[i] * 2) / width - 1;
        made[i + 1] = (points[i + 1] * 2) / width - height / width;
      }
      continue;
    }
    const turned = name === 'turned';
    const axes = turned ? turnedAxes(points[start], points[start + 1], camera) : null;
    const frame = new Float64Array(2 * joints);
    for (let i = 0; i < 2 * joints; i += 2) {
      frame.set([points[start + i], points[start + i + 1]], i);
      if (!axes) continue;
      const x = (frame[i] - camera.center[0]) / camera.focal;
      const y = (frame[i + 1] - camera.center[1]) / camera.focal;
      const [right, down, forward] = axes.map((axis) => axis[0] * x + axis[1] * y + axis[2]);
      const depth = Math.max(forward, numbers.MIN_DEPTH);
      frame.set([right / depth, down / depth], i);
    }
    const [rootX, rootY] = frame;
    let sum = 0;
    for (let i = 0; i < 2 * joints; i += 2) {
      frame[i] -= rootX;
      frame[i + 1] -= rootY;
      sum += frame[i] ** 2 + frame[i + 1] ** 2;
    }
    const size = Math.max(Math.sqrt(sum / joints), turned ? numbers.MIN_SIZE_PX / camera.focal : numbers.MIN_SIZE_PX);
    for (let i = 0; i < 2 * joints; i += 1) made[start + i] = frame[i] / size;
    if (turned) made[start + 1] = Math.log(size / numbers.USUAL_SIZE); // the root's own entry, otherwise zero
  }
  return made;
}

/** Turn the poses [T*J*3] of a network in place to the axes of the camera that saw the keypoints [T*J*2]; they are metres. */
export function toMetres(name, poses, points, camera, tables) {
  if (name !== 'turned') return poses;
  const joints = tables.joints.length;
  for (let frame = 0; frame * joints * 3 < poses.length; frame += 1) {
    const [a, b, c] = turnedAxes(points[frame * joints * 2], points[frame * joints * 2 + 1], camera);
    for (let i = frame * joints * 3; i < (frame + 1) * joints * 3; i += 3) {
      const [x, y, z] = [poses[i], poses[i + 1], poses[i + 2]];
      for (let k = 0; k < 3; k += 1) poses[i + k] = a[k] * x + b[k] * y + c[k] * z;
    }
  }
  return poses;
}

/** Return the axes right, down and forward of the camera that looks at the root; its x axis is level with the camera's. */
function turnedAxes(rootX, rootY, { focal, center }) {
  const x = (rootX - center[0]) / focal;
  const y = (rootY - center[1]) / focal;
  const level = Math.sqrt(1 + x * x);
  const whole = Math.sqrt(1 + x * x + y * y);
  const both = level * whole;
  return [
    [1 / level, 0, -x / level],
    [(-x * y) / both, level / whole, -y / both],
    [x / whole, y / whole, 1 / whole],
  ];
}

/** Mirror points [T*J*width] left to right: negate x, and exchange left and right joints. */
export function mirrored(points, width, tables) {
  const joints = tables.joints.length;
  const made = new points.constructor(points.length);
  for (let start = 0; start < points.length; start += joints * width) {
    tables.mirrored.forEach((other, joint) => {
      made[start + joint * width] = -points[start + other * width];
      for (let k = 1; k < width; k += 1) made[start + joint * width + k] = points[start + other * width + k];
    });
  }
  return made;
}

/** Turn keypoints [T*J*2], pixels, about the middle of the image as if the camera whose up is [3] were not rolled. */
export function turnedLevel(points, up, { center }, tables) {
  const [c, s] = roll(up, tables);
  const made = new Float32Array(points.length);
  for (let i = 0; i < points.length; i += 2) {
    const [x, y] = [points[i] - center[0], points[i + 1] - center[1]];
    made[i] = x * c + y * s + center[0];
    made[i + 1] = -x * s + y * c + center[1];
  }
  return made;
}

/** Turn poses [T*J*3], in place, that were lifted from `turnedLevel` keypoints back to the camera's axes. */
export function turnedBack(poses, up, tables) {
  const [c, s] = roll(up, tables);
  for (let i = 0; i < poses.length; i += 3) {
    const [x, y] = [poses[i], poses[i + 1]];
    poses[i] = x * c - y * s;
    poses[i + 1] = x * s + y * c;
  }
  return poses;
}

/** Return cosine and sine of the camera's roll; no roll if up is nearly along the optical axis. */
function roll(up, tables) {
  const length = Math.hypot(up[0], up[1]);
  return length < tables.constants.roll.STEEP * Math.hypot(...up) ? [1, 0] : [-up[1] / length, up[0] / length];
}
