// Convert the joints of one person from any form in which detectors write them in JSON, as srnet_jax/keypoints/points.py.

import { UserError } from './errors.js';
import { isList, isMap } from './json.js';
import { range } from './numbers.js';
import { described, letters, oneLine, strip, start } from './text.js';

const TEXT = /^[ \t\r\n]*([-+]?[0-9]{1,100}(\.[0-9]{0,100})?(e[-+]?[0-9]{1,2})?|nan)[ \t\r\n]*$/i; // a number as text
const DEEP = 2; // range of third coordinates above which they are not fractions of the image size
const NO_CONFIDENCE = Infinity; // in place of a confidence; JSON contains no infinity

/** Return whether a value is null or empty. */
export const isNothing = (value) =>
  value === null || value === undefined || value === '' || (isList(value) && !value.length) || (isMap(value) && !value.size);

/** Return whether a value is true for Python. */
export const isTrue = (value) => !isNothing(value) && value !== 0 && value !== false;

/** Return whether a value is a finite number. */
export const isNumber = (value) => typeof value === 'number' && value > -1e300 && value < 1e300;

/**
 * Convert a person's joints to numbers.
 *
 * @param {*} value the joints, as JSON
 * @param {*} scores a separate list of confidences, or null
 * @param {string} where begins messages
 * @param {object} rules `tables.points`
 * @returns {{values: Float64Array, names: ?string[], hasDepth: boolean}} [J*3] x, y, confidence; missing joints not marked yet
 */
export function asPoints(value, scores, where, rules) {
  let names = null;
  let rows;
  if (isMap(value) && isList(value.get('x'))) {
    rows = columns(value, where, rules);
  } else if (isMap(value) && ofJoints(value).length) {
    const joints = ofJoints(value);
    names = joints.map(([name]) => name);
    rows = joints.map(([name, point]) => row(point, `${where}: ${oneLine(name, 60)}`, rules));
  } else if (isList(value) && value.length && value.every((point) => point === null || isList(point) || isMap(point))) {
    rows = value.map((point) => row(point, where, rules));
    names = ownNames(value, rules);
  } else if (isList(value) && value.length) {
    rows = flat(value, scores, where, rules);
  } else {
    throw new UserError(`${where}: found ${described(value)}, expected x, y and confidence of each joint`);
  }
  const widths = [...new Set(rows.filter((own) => own.length).map((own) => own.length))].sort((a, b) => a - b);
  let width = widths[0] ?? 2;
  if (widths.length > 1 || width < 2 || width > 4) {
    throw new UserError(`${where}: found joints of ${widths.join(' and ')} numbers, expected x, y, confidence`);
  }
  if (rows.length > rules.maxJoints) {
    throw new UserError(`${where}: found ${rows.length} joints, expected at most ${rules.maxJoints}`);
  }
  if (width > 2 && rows.length > 1 && rows.every((own, joint) => own[0] === joint)) { // the joints' numbers
    rows = rows.map((own) => own.slice(1));
    width -= 1;
  }
  const last = rows.map((own) => (own.length ? own[width - 1] : NaN));
  const hasConfidences = width > 2 && last.some((sure) => sure !== NO_CONFIDENCE);
  const ofPeople = hasConfidences && isList(scores) && scores.length !== rows.length; // scores of people, not joints
  const isSeparate = scores !== null && scores !== undefined;
  let sure = rows.map(() => 1);
  if (isSeparate && !ofPeople) {
    const isFlag = last.every((third) => third === 0 || third === 1 || third === 2); // COCO's visibility
    const isFar = !isFlag && last.some((third) => third < 0 || third > 1);
    if (hasConfidences && (isFar || !rows.some((own) => Math.abs(own[0]) > DEEP || Math.abs(own[1]) > DEEP))) {
      throw new UserError(`${where}: found points in 3D, expected a detector's 2D keypoints`);
    }
    const single = (score) => (isList(score) && score.length === 1 ? score[0] : score);
    const plain = (score) => (typeof score === 'boolean' ? Number(score) : score);
    sure = isList(scores) ? scores.map((score) => number(plain(single(score)), where)) : [];
    if (sure.length !== rows.length) {
      throw new UserError(`${where}: found ${sure.length} confidences, expected one for each of ${rows.length} joints`);
    }
  } else if (hasConfidences) {
    sure = last.map((confidence) => (confidence === NO_CONFIDENCE ? 1 : confidence));
  }
  const values = new Float64Array(3 * rows.length);
  rows.forEach((own, joint) => values.set([own[0] ?? NaN, own[1] ?? NaN, sure[joint]], 3 * joint));
  const hasDepth = width === 4 && !hasConfidences && !isSeparate && isDepth(rows.map((own) => own[2] ?? NaN));
  return { values, names, hasDepth };
}

/** Return whether third coordinates vary like pixels or millimetres; MediaPipe's, fractions of the image size, do not. */
export function isDepth(z) {
  const finite = z.filter(Number.isFinite);
  const [low, high] = range(finite);
  return finite.length > 1 && high - low > DEEP;
}

/** Return whether a value is the joints of one person, and not of several people or frames. */
export function isJoints(value) {
  const items = isMap(value) ? ofJoints(value).map(([, point]) => point) : isList(value) ? value : [];
  const first = items.find(isTrue) ?? null;
  if (isMap(first)) {
    const keys = new Set([...first.keys()].map((key) => key.toLowerCase()));
    const isLong = [...first.values()].some((item) => isList(item) && item.length > 4); // a person's joints beside a box
    return ((keys.has('x') && keys.has('y')) || first.has('position')) && !isLong;
  }
  if (isMap(value) && isList(value.get('x'))) return true;
  if (isList(first)) return first.length <= 4 && !isList(first[0]) && !isMap(first[0]);
  const isText = typeof first === 'string' && TEXT.test(first);
  return isList(value) && (isText || ['number', 'bigint', 'boolean'].includes(typeof first));
}

/** Return whether coordinates, as a file has them, mean that a joint is missing. */
export const isMissing = (x, y) => !Number.isFinite(x) || !Number.isFinite(y) || (x === y && x <= 0) || x === -1 || y === -1;

/** Mark missing joints of joints [..., 3] as NaN with a confidence of 0, and clip confidences to 0 to 1. */
export function markMissing(values, minConfidence) {
  const made = Float64Array.from(values);
  for (let at = 0; at < made.length; at += 3) {
    const [x, y, sure] = [made[at], made[at + 1], made[at + 2]];
    const isUnseen = isMissing(x, y) || !(Math.fround(sure) > 0) || sure < minConfidence;
    made.set(isUnseen ? [NaN, NaN, 0] : [x, y, Math.min(sure, 1)], at);
  }
  return made;
}

/** Translate a joint name of a file to the layouts' vocabulary; null if it is not a known joint. */
export function jointName(text, rules) {
  const name = start(strip(text), 100).replace(/(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g, '_').toLowerCase()
    .replace(/^([lr])(?=(shoulder|elbow|wrist|hip|knee|ankle|foot|eye|ear|heel|big|small)_?(toe)?$)/, '$1_');
  const words = name.split(/[^a-z]+/).filter(Boolean);
  const sided = words.map((word) => ['left', 'right'].find((full) => word === full || word === full[0])).find(Boolean) ?? '';
  let rest = words.filter((word) => !['left', 'right', 'l', 'r', ...rules.noise].includes(word)).join('_');
  if (!sided && rest === 'hip') rest = 'pelvis';
  else if (Object.hasOwn(rules.synonyms, rest)) rest = rules.synonyms[rest];
  if (!/[0-9]/.test(text) && Object.hasOwn(rules.segments, rest)) rest = rules.segments[rest]; // hand_3 is a finger's
  const found = sided ? `${sided}_${rest}` : rest;
  return rules.vocabulary.includes(found) ? found : null;
}

/**
 * Translate all joint names of a file to the layouts' vocabulary.
 *
 * If a file has both a thorax and a neck, the neck is the base of the skull; a foot in addition to an ankle is no known joint,
 * nor is a hand in addition to a wrist, or a leg in addition to a knee.
 */
export function jointNames(names, rules) {
  const found = names.map((name) => jointName(name, rules));
  names.forEach((name, index) => {
    const joint = found[index];
    if (joint === null || found.filter((other) => other === joint).length < 2) return;
    const word = letters(name);
    if (joint === 'thorax') {
      if (word.includes('neck')) found[index] = found.includes('skull_base') ? null : 'skull_base';
    } else if (/foot|hand|leg|forearm/.test(word)) {
      found[index] = null;
    }
  });
  return found;
}

/** Return the joints in an object, without other entries such as a frame number. */
const ofJoints = (value) => [...value].filter(([, point]) => point === null || isList(point) || isMap(point));

/** Return the names or numbers of joints that are objects, from the first key with distinct values; null without one. */
function ownNames(points, rules) {
  if (!points.every(isMap)) return null;
  const keys = new Map([...points[0].keys()].map((key) => [letters(key), key]));
  for (const key of rules.jointKeys) {
    if (!keys.has(key)) continue;
    const found = points.map((point) => point.get(keys.get(key)));
    if (found.every((name) => typeof name === 'string' || (Number.isInteger(name) && name >= 0))) {
      const names = found.map(String);
      if (new Set(names).size === names.length) return names;
    }
  }
  return null;
}

/** Split a flat list into joints of 3 numbers, or of 4 or 2 if these give a known number of joints, and 3 no confidences. */
function flat(value, scores, where, rules) {
  const numbers = value.map((item) => number(item, where));
  let sizes = [3, 4, 2].filter((size) => rules.numbers.includes(value.length / size));
  if (value.length % 3 === 0 && numbers.every((sure, at) => at % 3 < 2 || !(sure < 0 || sure > DEEP))) sizes = [3];
  const size = isList(scores) && value.length === 2 * scores.length ? 2 : sizes[0] ?? 3;
  if (value.length % size) {
    throw new UserError(`${where}: found ${value.length} numbers, expected x, y and confidence of each joint`);
  }
  return Array.from({ length: numbers.length / size }, (_, joint) => numbers.slice(size * joint, size * (joint + 1)));
}

function columns(value, where, rules) {
  const key = rules.confidences.find((name) => isList(value.get(name)));
  const found = [value.get('x'), isList(value.get('y')) ? value.get('y') : [], ...(key ? [value.get(key)] : [])];
  if (new Set(found.map((column) => column.length)).size > 1) {
    throw new UserError(`${where}: found x, y and confidences of different lengths, expected one for each joint`);
  }
  return found[0].map((_, joint) => found.map((column) => number(column[joint], where)));
}

/** Convert a joint to x, y and further numbers; an object to x, y, z, confidence; a missing joint to nothing. */
function row(point, where, rules) {
  if (point === null || (isList(point) && !point.length)) return [];
  if (isList(point)) return point.map((item) => number(item, where));
  const place = point.get('position');
  const lower = new Map([...point, ...(isMap(place) ? place : [])].map(([key, item]) => [key.toLowerCase(), item]));
  const confidences = rules.confidences.filter((name) => lower.has(name)).map((name) => lower.get(name));
  const sure = confidences.find((item) => item !== null) ?? (confidences.length ? null : NO_CONFIDENCE);
  return [lower.get('x'), lower.get('y'), lower.get('z'), sure].map((item) => number(item, where));
}

/** Convert a JSON value to a number; NaN for null. */
function number(value, where) {
  if (value === null || value === undefined) return NaN;
  if (typeof value === 'bigint') throw new UserError(`${where}: found a number of hundreds of digits, expected pixels`);
  if (typeof value === 'string' && TEXT.test(value)) return Number(/nan/i.test(value) ? NaN : value);
  if (typeof value !== 'number') throw new UserError(`${where}: found ${described(value)}, expected a number`);
  return value;
}
