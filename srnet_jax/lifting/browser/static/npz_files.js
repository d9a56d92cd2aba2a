// Read keypoints from NumPy files, as srnet_jax/keypoints/npz_files.py. Files of Python objects are refused.

import { UserError } from './errors.js';
import { isDeep, withKnownKeys } from './json.js';
import { nearest } from './json_formats.js';
import { countsFrames, inLayout } from './joint_order.js';
import { differences, listOf, median } from './numbers.js';
import { frameRate, imageSize, inOrder, inSeconds, layoutName, MOVES_ON, motion, videoName } from './people.js';
import { jointName } from './points.js';
import { described, letters, listed } from './text.js';

const FREEMOCAP = [543, 553]; // numbers of landmarks of body, hands and face
const [EXAMINED, CROWD] = [200, 20]; // frames or people that are examined; largest number of people in one picture
const MAX_FRAMES = 1e15;
const COCO_JOINTS = 17;
const pointKeys = ({ formats }) => [
  ...formats.pointKeysIn2d, ...formats.pointKeys, 'poses', 'keypoint', ...formats.landmarkKeys, 'arr_0',
];
const isNumeric = (array) => 'fiu'.includes(array.kind);
const isAlike = (shape, other) => shape.length === other.length && shape.every((size, axis) => size === other[axis]);

/**
 * Read the people of an .npz file.
 *
 * @param {Map<string, import('./npy.js').NumPyArray>} given
 * @param {?string} format null to recognise it
 * @param {string} file its name
 * @param {object} context {tables, budget, warn}
 * @returns {{format: string, people: import('./people.js').People}}
 */
export function readArrays(given, format, file, context) {
  const arrays = stacked(withKnownKeys(given, context.tables.formats.spellings), file, context.tables);
  const name = format ?? recognised(arrays, file, context.tables);
  if (name === 'videopose3d' || name === 'detectron2') {
    throw new UserError(`${file}: found Python objects (format ${name}), which a browser does not read, expected plain arrays; `
      + 'lift this file with the Python package');
  }
  return { format: name, people: plain(name === 'reconstruction' ? framesFirst(arrays, file) : arrays, file, context) };
}

function recognised(arrays, file, tables) {
  const keys = { positions_2d: 'videopose3d', segments: 'detectron2', reconstruction: 'reconstruction' };
  const named = [...Object.keys(keys), ...pointKeys(tables)].find((name) => arrays.has(name));
  const deep = named ? undefined : [...arrays.keys()].find(isDeep);
  if (deep) throw new UserError(`${file}: found ${deep}, points in 3D already, expected a detector's 2D keypoints`);
  const key = named ?? onlyPoints(arrays);
  if (key) return keys[key] ?? 'npz';
  throw new UserError(`${file}: found the keys ${listed(arrays)}, expected reconstruction or keypoints; `
    + nearest(arrays.keys(), tables.formats.arrays, tables.formats));
}

/** Join arrays of one frame, or of one person, whose names differ only in a number, to `keypoints`: frame_0, frame_1. */
function stacked(arrays, file, tables) {
  const groups = new Map();
  for (const [name, array] of arrays) {
    const { shape } = array;
    const fits = [2, 3].includes(shape.length) && [2, 3].includes(shape.at(-1)) && isNumeric(array) && /[0-9]$/.test(name);
    if (fits) listOf(groups, name.replace(/[0-9]+$/, '')).push(name);
  }
  const [stem, names] = [...groups].reduce((best, one) => (one[1].length > best[1].length ? one : best), ['', []]);
  const isKnown = pointKeys(tables).some((name) => arrays.has(name) && !/[0-9]$/.test(name));
  if (isKnown || names.length < 2 || !tables.formats.stems.includes(letters(stem))) return arrays;
  if (letters(stem) === 'arr' && !areFrames(names.map((name) => arrays.get(name).shape))) return arrays;
  const numberOf = (name) => BigInt(name.slice(stem.length).slice(-18));
  names.sort((a, b) => (numberOf(a) < numberOf(b) ? -1 : Number(numberOf(a) > numberOf(b))));
  const { shape } = arrays.get(names[0]);
  const other = names.find((name) => !isAlike(arrays.get(name).shape, shape));
  if (other) {
    const shapes = [...new Set(names.slice(0, 2).map((name) => `(${arrays.get(name).shape.join(', ')})`))].join(' and ');
    throw new UserError(`${file}: found ${listed(names)} of shapes such as ${shapes}, expected the same shape`);
  }
  const size = shape.reduce((product, length) => product * length, 1);
  const numbers = new Float64Array(size * names.length);
  names.forEach((name, index) => numbers.set(arrays.get(name).numbers, size * index));
  const frames = Float64Array.from(names, (name) => Number(name.slice(stem.length).slice(-15)));
  const { kind, type } = arrays.get(names[0]);
  return new Map([
    ['frames', { kind: 'i', type: 'int64', shape: [names.length], numbers: frames, text: null }],
    ...[...arrays].filter(([name]) => !names.includes(name)),
    ['keypoints', { kind, type, shape: [names.length, ...shape], numbers, text: null }],
  ]);
}

/** Return whether arrays without own names may be a frame each, rather than keypoints and other arrays of a whole video. */
function areFrames(shapes) {
  const isFrame = (shape) => shape.length === 2 || (shape[0] <= CROWD && shapes.length > 2);
  return shapes.every((shape) => isFrame(shape) && isAlike(shape.slice(-2), shapes[0].slice(-2)));
}

/** Return the name of the only array that may be keypoints; undefined if there are none or several. */
function onlyPoints(arrays) {
  const found = [...arrays.keys()].filter((name) => {
    const { shape } = arrays.get(name);
    const fits = (shape.length === 3 || shape.length === 4) && (shape.at(-1) === 2 || shape.at(-1) === 3);
    return fits && !name.includes('/');
  });
  return found.length === 1 ? found[0] : undefined;
}

/**
 * Read the people of an .npy file.
 *
 * Its array is [T, J, 2 to 4], [T, 2 or 3, J], [2 or 3, T, J], [J, T, 2 or 3], [J, 2 or 3] or [T, J*2 to J*4] for one person,
 * [P, T, J, 2 or 3] for several, or has five axes of which others are 1. The first of two axes' columns may number the frames.
 */
export function readArray(found, file, context) {
  let array = found;
  let frames = new Map();
  if (isNumeric(array)) {
    if (array.shape.length === 2) {
      const [rows, width] = array.shape;
      const first = taken(array, [0]).numbers;
      if (countsFrames([...first], width, context.tables)) {
        frames = new Map([['frames', { kind: 'i', type: 'int64', shape: [rows], numbers: first, text: null }]]);
        array = taken(array, Array.from({ length: width - 1 }, (_, index) => index + 1));
      }
    }
    const joints = Object.values(context.tables.layouts).map((layout) => layout.joints.length);
    if (array.shape.length === 5) array = withoutBatches(array, file, context);
    const [first, second, third] = array.shape;
    const axes = array.shape.length;
    if (axes === 2 && (second === 2 || second === 3) && joints.includes(first)) { // one picture
      array = { ...array, shape: [1, first, second] };
    } else if (axes === 2 && [3, 4, 2].some((size) => joints.includes(second / size))) {
      const size = [3, 4, 2].find((one) => joints.includes(second / one));
      array = { ...array, shape: [first, second / size, size] };
    } else if (axes === 3 && joints.includes(third)) {
      if (second === 2 || second === 3) array = swapped(array, 1); // [T, 2 or 3, J]
      else if (first === 2 || first === 3) array = swapped(swapped(array, 0), 1); // [2 or 3, T, J]
    } else if (axes === 3 && (third === 2 || third === 3) && joints.includes(first)
        && !context.tables.formats.numbers.includes(second)) {
      array = swapped(array, 0); // [J, T, 2 or 3]
    }
    if (array.shape.length > 2 && array.shape.at(-1) === 4) array = taken(array, [0, 1, 3]); // x, y, depth, confidence
    if (array.shape.length === 4 && FREEMOCAP.includes(array.shape[2]) && array.shape[3] === 3) array = taken(array, [0, 1]);
  }
  return plain(new Map([...frames, ['keypoints', array]]), file, context);
}

/** Remove the axes of length 1 of an array of five axes; MoveNet's, fractions y, x of the image size, become x, y. */
function withoutBatches(array, file, { tables, warn }) {
  const points = { ...array, shape: array.shape.filter((size) => size !== 1) };
  const known = [...array.numbers].filter(Number.isFinite).map(Math.abs);
  const areShares = known.length && median(known) <= tables.tracks.maxNormalised;
  if (areShares && isAlike(array.shape.slice(1), [1, 1, COCO_JOINTS, 3])) {
    warn(`${file}: found MoveNet's output, using it as y, x, confidence of each joint`);
    return taken(points, [1, 0, 2]);
  }
  return points;
}

/** Swap an axis of an array with the next one. */
function swapped(array, axis) {
  const { shape, kind, type, numbers } = array;
  const [before, after] = [shape.slice(0, axis), shape.slice(axis + 2)].map((part) => part.reduce((a, b) => a * b, 1));
  const [rows, columns] = [shape[axis], shape[axis + 1]];
  const made = new Float64Array(numbers.length);
  for (let outer = 0; outer < before; outer += 1) {
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        const from = ((outer * rows + row) * columns + column) * after;
        made.set(numbers.subarray(from, from + after), ((outer * columns + column) * rows + row) * after);
      }
    }
  }
  return { kind, type, shape: [...shape.slice(0, axis), columns, rows, ...shape.slice(axis + 2)], numbers: made, text: null };
}

/** Take some entries of the last axis. */
function taken(array, entries) {
  const { numbers } = array;
  const width = array.shape.at(-1);
  const count = numbers.length / width;
  const made = new Float64Array(count * entries.length);
  for (let row = 0; row < count; row += 1) {
    entries.forEach((entry, index) => { made[row * entries.length + index] = numbers[row * width + entry]; });
  }
  return { ...array, shape: [...array.shape.slice(0, -1), entries.length], numbers: made };
}

/** Turn `reconstruction` [P, T, J, 2 or 3] into `keypoints` [T, P, J, 2 or 3], and arrays of the same leading shape too. */
function framesFirst(arrays, file) {
  const points = arrays.get('reconstruction');
  if (!points) throw new UserError(`${file}: found no reconstruction, expected an array (1, frames, joints, 2 or 3)`);
  const made = new Map([...arrays].filter(([name]) => name !== 'reconstruction').map(([name, array]) => {
    const isSwapped = points.shape.length === 4 && isNumeric(array)
      && isAlike(array.shape.slice(0, 3), points.shape.slice(0, 3));
    return [name, isSwapped ? swapped(array, 0) : array];
  }));
  return made.set('keypoints', points.shape.length === 4 && isNumeric(points) ? swapped(points, 0) : points);
}

/** Read `keypoints` [T, J, 2 or 3] of one person or [T, P, J, 2 or 3] of several, and the arrays that describe them. */
function plain(arrays, file, { tables, budget, warn }) {
  const key = pointKeys(tables).find((name) => arrays.has(name)) ?? onlyPoints(arrays);
  if (!key) throw new UserError(`${file}: found the keys ${listed(arrays)}, expected keypoints`);
  let { values, shape } = withConfidences(arrays, key, file, { tables, budget, warn });
  const names = jointNames(arrays, shape.at(-1), file, tables);
  const named = names ? inLayout(names, file, tables) : null;
  if (named) {
    const width = 3 * shape.at(-1);
    const taken = (row, index) => (index < 0 ? [NaN, NaN, 0] : [...values.subarray(row * width + 3 * index, row * width + 3 * index + 3)]);
    values = Float64Array.from(
      Array.from({ length: values.length / width }, (_, row) => named.indices.flatMap((index) => taken(row, index))).flat());
    shape = [...shape.slice(0, -1), named.indices.length];
  }
  if (shape.length === 3 && peopleFirst(values, shape)) {
    const turned = swapped({ shape: [...shape, 3], numbers: values }, 0);
    [values, shape] = [turned.numbers, turned.shape.slice(0, 3)];
  }
  const [frames, joints] = [shape[0], shape.at(-1)];
  const people = shape.length === 3 ? shape[1] : 1;
  const numbered = ['frames', ...tables.formats.frameKeys].find((name) => arrays.has(name));
  const numbers = eachFrame(arrays.get(numbered), 'frames', frames, file, warn);
  const clock = [...arrays.keys()].find((name) => Object.hasOwn(tables.timeUnits, letters(name)));
  const stamps = eachFrame(arrays.get(clock), clock, frames, file, warn);
  const unit = clock === 'times' ? 1 : tables.timeUnits[letters(clock ?? '')] ?? NaN;
  const times = stamps && inSeconds([...stamps], unit, file, warn);
  const rows = [...Array(frames * people).keys()];
  const frameOf = rows.map((row) => (numbers ? numbers[Math.floor(row / people)] : Math.floor(row / people)));
  return {
    where: file,
    name: videoName(file),
    frames: frameOf,
    ids: rows.map((row) => (people > 1 ? String((row % people) + 1) : null)),
    values: rows.map((row) => values.subarray(3 * joints * row, 3 * joints * (row + 1))),
    prefix: '',
    layout: named ? named.layout : layoutName(item(arrays.get('layout')), file),
    imageSize: sizeOf(arrays, file, tables.tracks.farthest),
    fps: frameRate(item(arrays.get('fps')), file),
    still: false,
    times: times && inOrder(rows.map((row) => times[Math.floor(row / people)]), frameOf, file, warn),
  };
}

/** Return the names of joints that an array of text gives; null without one. */
function jointNames(arrays, joints, file, { points }) {
  for (const [name, array] of arrays) {
    if (!isAlike(array.shape, [joints])) continue;
    if (array.kind === 'O' && /name|joint|part|label/i.test(name)) {
      throw new UserError(`${file}: ${name}: found Python objects, which a browser does not read, expected an array of text`);
    }
    const names = array.texts ?? [];
    if (names.filter((one) => jointName(one, points) !== null).length >= points.minNames) return names;
  }
  return null;
}

/** Return keypoints as x, y, confidence, [..., J, 3], and their shape [..., J]. */
function withConfidences(arrays, key, file, { tables, budget, warn }) {
  const array = arrays.get(key);
  const axes = array.shape.length;
  const width = array.shape.at(-1);
  if (!isNumeric(array) || (axes !== 3 && axes !== 4) || (width !== 2 && width !== 3) || array.shape.includes(0)) {
    const found = array.kind === 'O' ? 'Python objects, which a browser does not read' : described(array);
    throw new UserError(
      `${file}: ${key}: found ${found}, expected keypoints (frames >= 1, people if several, joints, 2 or 3) of numbers`);
  }
  const shape = array.shape.slice(0, -1);
  const count = shape.reduce((product, size) => product * size, 1);
  budget.charge(80 * count);
  const { numbers } = array;
  const values = new Float64Array(3 * count).fill(1);
  for (let at = 0; at < count; at += 1) values.set(numbers.subarray(width * at, width * (at + 1)), 3 * at);
  const others = [...arrays.keys()].filter((name) => name !== key
    && (isAlike(arrays.get(name).shape, shape) || isAlike(arrays.get(name).shape, [...shape, 1])));
  const sure = ['confidences', ...tables.formats.scores, 'arr_1']
    .find((name) => (name === 'confidences' ? arrays.has(name) : others.includes(name)));
  if (sure) {
    const found = arrays.get(sure);
    if (!isNumeric(found) || !(isAlike(found.shape, shape) || isAlike(found.shape, [...shape, 1]))) {
      throw new UserError(`${file}: ${sure}: found ${described(found)}, expected numbers of shape (${shape.join(', ')})`);
    }
    const confidences = found.numbers;
    for (let at = 0; at < count; at += 1) {
      const third = values[3 * at + 2];
      if (width > 2 && !(third >= 0 && third <= 1) && !Number.isNaN(third)) {
        throw new UserError(`${file}: found points in 3D, expected a detector's 2D keypoints`);
      }
      values[3 * at + 2] = confidences[at];
    }
  }
  const unused = others.filter((name) => name !== sure);
  if (unused.length) warn(`${file}: ${listed(unused)} not used, expected confidences under the name confidences`);
  return { values, shape };
}

/** Return the image size from `image_size`, or from `width` and `height`; null without them. */
function sizeOf(arrays, file, farthest) {
  const size = arrays.get('image_size');
  if (size) {
    if (!isAlike(size.shape, [2])) {
      throw new UserError(`${file}: image_size: found ${described(size)}, expected width and height`);
    }
    const [width, height] = size.numbers ?? [size, size];
    return imageSize(width, height, `${file}: image_size`, farthest);
  }
  if (!arrays.has('width') || !arrays.has('height')) return null;
  return imageSize(item(arrays.get('width')), item(arrays.get('height')), file, farthest);
}

/** Return an array [T] of increasing numbers; null if there is none, or, with a warning, if they do not increase. */
function eachFrame(found, name, count, file, warn) {
  if (!found || !isAlike(found.shape, [count]) || !isNumeric(found)) return null;
  const { numbers } = found;
  const isUsable = numbers.every(Number.isFinite) && differences(numbers).every((step) => step > 0)
    && Math.abs(numbers[0]) < MAX_FRAMES && Math.abs(numbers.at(-1)) < MAX_FRAMES
    && (name !== 'frames' || (numbers[0] >= 0 && numbers.every(Number.isInteger)));
  if (!isUsable) warn(`${file}: ${name} not used, expected increasing numbers`);
  return isUsable ? numbers : null;
}

/** Return whether keypoints are [P, T, J, 3], rather than [T, P, J, 3]: a person moves less than people differ. */
function peopleFirst(values, [rows, columns, joints]) {
  const [most, others] = [Math.min(rows, EXAMINED), Math.min(columns, EXAMINED)];
  const size = 3 * joints;
  const pose = (row, column) => values.subarray(size * (row * columns + column), size * (row * columns + column + 1));
  const poses = Array.from({ length: most }, (_, row) => Array.from({ length: others }, (__, column) => pose(row, column)));
  const turned = poses[0].map((_, column) => poses.map((row) => row[column]));
  const across = motion(turned);
  if (rows === 1) return across < MOVES_ON || columns > CROWD;
  const along = motion(poses);
  return Math.max(along, across) < MOVES_ON ? columns > rows : across < along;
}

/** Return the value of an array of one entry; null without an array, and the array itself if it has several. */
function item(array) {
  if (!array) return null;
  if (array.shape.some((size) => size !== 1)) return array;
  return array.numbers ? array.numbers[0] : array.text ?? array;
}
