// JSON as Python's json module reads it: objects become Maps, which keep the order of their keys, and NaN and infinity null.

import { UserError } from './errors.js';
import { decoded, length } from './text.js';

const DEEPEST = 500;
const LONGEST_KEY = 40;
const LONGEST_INTEGER = 4300; // digits
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
const BLANK = /[ \t\n\r]*/y;
const ESCAPES = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };
const WORDS = new Map([
  ['true', true], ['false', false], ['null', null], ['NaN', null], ['Infinity', null], ['-Infinity', null],
]);
const LINES = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/u;

class SyntaxFault extends Error {}

/**
 * Load a JSON file, or a file with one JSON object on each line, as a list.
 *
 * @param {Uint8Array} bytes
 * @param {string} name of the file
 * @param {object} spellings `tables.formats.spellings`
 * @returns {*} null, boolean, number, bigint (an integer beyond all numbers), string, array or Map
 * @throws {UserError} if the file is not JSON
 */
export function loadJson(bytes, name, spellings) {
  try {
    const text = decoded(bytes, true);
    try {
      const content = parse(text, spellings);
      const isTexts = Array.isArray(content) && content.length > 0
        && content.every((item) => typeof item === 'string' && /^[[{]/.test(item));
      return isTexts ? content.map((item) => parse(item, spellings)) : content; // some libraries return JSON texts
    } catch (error) {
      const lines = text.split(LINES).filter((line) => line.trim());
      if (!(error instanceof SyntaxFault) || lines.length < 2 || !lines.every((line) => /^[[{]/.test(line.trimStart()))) {
        throw error;
      }
      return lines.map((line) => parse(line, spellings));
    }
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${name}: damaged, cut short or another kind of file, expected a JSON file (${error.message})`);
  }
}

const plainKey = (key) => key.toLowerCase().replace(/[^a-z0-9]/g, '');

/** Return whether a key names points in 3D: keypoints_3d, joints3D, pose_world_landmarks. */
export const isDeep = (key) => {
  const plain = plainKey(key).slice(0, LONGEST_KEY);
  return plain.endsWith('3d') || plain.includes('worldlandmark');
};

/** Return an object with its keys as the formats know them, unless it has several keys of the same meaning. */
export function withKnownKeys(item, spellings) {
  const keys = [...item.keys()].map((key) => {
    const plain = length(key) < LONGEST_KEY ? plainKey(key) : key;
    return Object.hasOwn(spellings, plain) ? spellings[plain] : key;
  });
  const count = (key) => keys.filter((other) => other === key).length;
  return new Map([...item].map(([own, value], index) => [count(keys[index]) === 1 ? keys[index] : own, value]));
}

/** Parse a JSON text. */
export function parse(text, spellings) {
  let at = 0;
  const fail = (expected) => {
    throw new SyntaxFault(`expected ${expected} at character ${at + 1}`);
  };
  const matched = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at += found[0].length;
    return found;
  };
  const skip = () => {
    if (text.charCodeAt(at) <= 32) matched(BLANK);
  };
  const string = () => {
    at += 1;
    let made = '';
    for (;;) {
      made += matched(PLAIN)[0];
      const mark = text[at];
      at += 1;
      if (mark === '"') return made;
      if (mark !== '\\') fail('a closing quote');
      const letter = text[at];
      at += 1;
      if (letter === 'u') {
        const code = text.slice(at, at + 4);
        if (!/^[0-9a-f]{4}$/i.test(code)) fail('four hexadecimal digits');
        made += String.fromCharCode(parseInt(code, 16));
        at += 4;
      } else {
        made += Object.hasOwn(ESCAPES, letter ?? '') ? ESCAPES[letter] : fail('an escape');
      }
    }
  };
  const number = () => {
    const found = matched(NUMBER);
    if (!found) fail('a value');
    const value = Number(found[0]);
    const isInteger = found[1] === undefined && found[2] === undefined;
    if (isInteger && found[0].replace('-', '').length > LONGEST_INTEGER) throw new Error('a number of thousands of digits');
    return isInteger && !Number.isFinite(value) ? BigInt(found[0]) : value;
  };
  const value = (depth) => {
    if (depth > DEEPEST) throw new Error('objects within objects');
    skip();
    const letter = text[at];
    if (letter === '"') return string();
    if (letter === '{' || letter === '[') return container(letter === '{', depth);
    for (const [word, meaning] of WORDS) {
      if (letter === word[0] && text.startsWith(word, at)) {
        at += word.length;
        return meaning;
      }
    }
    return number();
  };
  const container = (isObject, depth) => {
    const [made, end] = isObject ? [new Map(), '}'] : [[], ']'];
    at += 1;
    skip();
    if (text[at] === end) {
      at += 1;
      return made;
    }
    for (;;) {
      if (isObject) {
        skip();
        if (text[at] !== '"') fail('a key');
        const key = string();
        skip();
        if (text[at] !== ':') fail('a colon');
        at += 1;
        made.set(key, value(depth + 1));
      } else {
        made.push(value(depth + 1));
      }
      skip();
      const mark = text[at];
      at += 1;
      if (mark === end) return isObject ? withKnownKeys(made, spellings) : made;
      if (mark !== ',') fail('a comma');
    }
  };
  const made = value(0);
  skip();
  if (at < text.length) fail('the end');
  return made;
}

export const isMap = (value) => value instanceof Map;
export const isList = Array.isArray;
export const isGiven = (value) => value !== null && value !== undefined;

/** Return an object's first value under one of the keys that is not null; else null. */
export function valueOf(item, keys) {
  const key = isMap(item) ? keys.find((one) => isGiven(item.get(one))) : undefined;
  return key === undefined ? null : item.get(key);
}

/** Return text that is equal for equal values, as Python writes them. */
export function textOf(value) {
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (isMap(value)) return `{${[...value].map(([key, item]) => `${key}: ${textOf(item)}`).join(', ')}}`;
  if (isList(value)) return `[${value.map(textOf).join(', ')}]`;
  return isGiven(value) ? String(value) : 'None';
}
