// Recognise the format of a JSON file of keypoints, as srnet_jax/keypoints/formats.py describes them.

import { UserError } from './errors.js';
import { isDeep, isMap } from './json.js';
import { isTrue } from './points.js';
import { described, isDecimal, listed } from './text.js';

const FEW_ROWS = 6;
const isContainer = (value) => Array.isArray(value) || isMap(value);
const has = (keys, ...others) => others.some((key) => keys.has(key));

/**
 * Whether a file, whose first keys are known, is in a format; by the format's name.
 *
 * `both` are the keys of the first entry and of what is inside it, `all` those of the file too.
 */
const MATCHES = {
  openpose: ({ root }) => root.has('people'),
  alphapose: ({ entry, first }) => entry.has('image_id')
    && (typeof first.get('image_id') === 'string' || has(entry, 'idx', 'box')),
  mmpose: ({ root, entry, inner }) => root.has('instance_info') || has(entry, 'instances', 'keypoint_scores')
    || (inner.has('keypoint_scores') && (root.has('predictions') || entry.has('predictions'))),
  coco: ({ entry }) => entry.has('image_id'),
  coco_annotations: ({ root }) => root.has('images') && root.has('annotations'),
  motionbert: ({ root }) => root.has('annotations'),
  openpifpaf: ({ root, entry }) => has(entry, 'predictions') || root.has('predictions')
    || (entry.has('keypoints') && entry.has('category_id')),
  yolo: ({ root, both }) => both.has('box') && both.has('keypoints') && (!hasNames(root) || has(both, 'name', 'class')),
  kinetics: ({ root, entry, inner }) => (root.has('data') && (inner.has('skeleton') || root.has('label')))
    || (entry.has('skeleton') && inner.has('pose')),
  mediapipe: ({ root, all, entry, both }, { landmarkKeys, peopleKeys, pointKeys }) => has(all, ...landmarkKeys)
    || (both.has('x') && !has(root, ...peopleKeys, ...pointKeys) && !has(entry, ...peopleKeys, ...pointKeys)),
  alphapose_frames: ({ root, entry, inner }) => root.has('bodies')
    || (hasNames(root) && (has(entry, 'bodies', 'people') || inner.has('keypoints'))),
  vitpose: ({ root }) => root.has('keypoints') && root.has('skeleton'),
  json: ({ all, first }, { peopleKeys, pointKeys }) => has(all, 'frames', ...peopleKeys, ...pointKeys) || isNumbers(first)
    || hasRows(first) || hasPeople(first),
};

/** Return whether an object has track ids as keys, and joints as rows of 2 to 4 numbers as values. */
function hasPeople(value) {
  const people = isMap(value) && [...value.keys()].every(isDecimal) ? [...value.values()].filter(isTrue) : [];
  const isPerson = (own) => Array.isArray(own) && own.length >= FEW_ROWS && Array.isArray(own[0]) && own[0].length > 1
    && own[0].length < 5;
  return people.length > 0 && people.every(isPerson);
}

/** Return whether an object's keys look like frame numbers or image names. */
const hasNames = (root) => [...root].some((key) => /[\p{Nd}\p{No}.]/u.test(key));

/** Return whether an object has several entries of 2 to 4 numbers each, as joints by their names. */
function hasRows(value) {
  const rows = isMap(value) ? [...value.values()].filter((row) => Array.isArray(row) && row.length > 1 && row.length < 5) : [];
  return rows.length >= FEW_ROWS && rows.every(isNumbers);
}

/** Collect the first keys and values of a file's content, by which its format is recognised. */
function peekAt(content, rules) {
  const first = firstOf(content, rules);
  let inner = firstOf(first, rules);
  while (Array.isArray(inner) && isContainer(firstOf(inner, rules))) inner = firstOf(inner, rules); // several people
  const [root, entry, within] = [keysOf(content), keysOf(first), keysOf(inner)];
  return {
    root, entry, inner: within, first, both: new Set([...entry, ...within]), all: new Set([...root, ...entry, ...within]),
  };
}

/** Return the first nonempty object or list in a value; in an object, keys that formats use come first. */
function firstOf(value, rules) {
  const items = isMap(value)
    ? [...rules.inside, ...value.keys()].filter((key) => value.has(key)).map((key) => value.get(key))
    : Array.isArray(value) ? value : [];
  return items.find((item) => isContainer(item) && isTrue(item)) ?? null;
}

const keysOf = (value) => new Set(isMap(value) ? value.keys() : []);

function isNumbers(value) {
  let inner = value;
  while (Array.isArray(inner) && inner.length) inner = inner.find((item) => isContainer(item) && isTrue(item)) ?? inner[0];
  return ['number', 'bigint', 'boolean'].includes(typeof inner);
}

/**
 * Recognise the format of a file's content.
 *
 * @param {*} content as `loadJson` returns it
 * @param {string} file its name
 * @param {object} rules `tables.formats`
 * @returns {object} an entry of `rules.every`
 */
export function recognise(content, file, rules) {
  const peek = peekAt(content, rules);
  const one = rules.json.find((name) => MATCHES[name](peek, rules));
  if (one) return rules.every[one];
  const deep = [...peek.all].sort().find(isDeep);
  if (deep) throw new UserError(`${file}: found ${deep}, points in 3D already, expected a detector's 2D keypoints`);
  let found = described(content);
  if (isMap(content)) found = `an object with ${listed(content)}`;
  else if (isMap(peek.first)) found = `a list of objects with ${listed(peek.first)}`;
  throw new UserError(`${file}: found ${found}, expected a keypoint format; ${nearest(peek.all, rules.json, rules)}`);
}

/** Return whether a file's content is in a known format. */
export const isKnown = (content, rules) => rules.json.some((name) => MATCHES[name](peekAt(content, rules), rules));

/** Return the end of a message: the two formats that share the most words with a file. */
export function nearest(found, names, rules) {
  const words = new Set([...found]);
  const shared = (name) => rules.every[name].words.filter((word) => words.has(word)).length;
  const [first, second] = [...names].sort((a, b) => shared(b) - shared(a));
  return `the nearest are ${first} and ${second}`;
}
