// Match joints that a file names or numbers to the joints of a keypoint layout, as srnet_jax/keypoints/joint_order.py.

import { UserError } from './errors.js';
import { range } from './numbers.js';
import { jointName, jointNames } from './points.js';
import { listed } from './text.js';

const FEW_ROWS = 3; // so few numbers may count up by chance
const keyOf = (names) => JSON.stringify(names);

/**
 * Find the layout that has the most of the named joints.
 *
 * @param {string[]} names joint names of a file
 * @param {string} where begins messages
 * @param {object} tables
 * @returns {{layout: string, indices: number[]}} for each joint of the layout the index in `names`, -1 if it is missing
 */
export function inLayout(names, where, tables) {
  const joints = jointNames(names, tables.points);
  const known = new Set(joints.filter(Boolean));
  const shared = (layout) => tables.layouts[layout].joints.filter((joint) => known.has(joint)).length;
  const size = (layout) => tables.layouts[layout].joints.length;
  const layout = Object.keys(tables.layouts).reduce((best, one) => {
    const more = shared(one) - shared(best);
    return more > 0 || (more === 0 && size(one) < size(best)) ? one : best;
  });
  if (shared(layout) < tables.points.minNames) {
    throw new UserError(`${where}: found joints named ${listed(names)}, expected names such as nose, left_shoulder, RKnee`);
  }
  return { layout, indices: tables.layouts[layout].joints.map((joint) => joints.indexOf(joint)) };
}

/** Return whether the first of `width` columns, of which the others may be joints, counts frames. */
export function countsFrames(first, width, { formats }) {
  return first.length > FEW_ROWS && first.every((value, index) => value >= 0 && Number.isInteger(value) && (!index || value - first[index - 1] === 1))
    && [2, 3, 4].some((size) => formats.numbers.includes((width - 1) / size));
}

/**
 * Give all detected people the same joints in the same order, in place.
 *
 * @param {import('./people.js').Detection[]} people changed in place
 * @param {string} file
 * @param {object} tables
 * @returns {?string[]} the joint names; null if someone's joints have no names, or only numbers
 */
export function namedAlike(people, file, tables) {
  const rules = tables.points;
  const orders = new Map(people.map((person) => [keyOf(person.names), person.names]));
  const names = [...new Set([...orders.values()].flatMap((own) => own ?? []))];
  if (people.some((person) => person.names === null) || !names.length || names.length > rules.maxJoints) return null;
  const isNamed = names.filter((name) => jointName(name, rules) !== null).length >= rules.minNames;
  const numbers = isNamed ? null : numbersOf(names, file, tables);
  const rows = numbers ?? new Map(names.map((name, index) => [name, index]));
  const count = numbers ? countOf(numbers, tables) : names.length;
  for (const person of people) {
    const values = new Float64Array(3 * count).fill(NaN);
    person.names.forEach((name, joint) => {
      if (rows.has(name)) values.set(person.values.subarray(3 * joint, 3 * joint + 3), 3 * rows.get(name));
    });
    person.values = values;
  }
  return numbers ? null : names;
}

/** Return the index of each joint whose name contains its number; null for other names. */
function numbersOf(names, file, tables) {
  const stems = new Map();
  const stemOf = (name) => name.replace(/[0-9]+/g, '');
  for (const name of names.filter((one) => /[0-9]/.test(one))) stems.set(stemOf(name), (stems.get(stemOf(name)) ?? 0) + 1);
  if (!stems.size) return null;
  const [stem, most] = [...stems].reduce((best, one) => (one[1] > best[1] ? one : best));
  if (most < names.length && most < tables.points.minNames) return null;
  const alike = names.filter((name) => stemOf(name) === stem && /[0-9]/.test(name));
  const numbers = new Map(alike.map((name) => [name, Number(name.match(/[0-9]+/g).at(-1).slice(-18))]));
  const [low, high] = range(numbers.values());
  const found = `${file}: found joints numbered ${low} to ${high}`;
  if (high > tables.points.maxJoints || new Set(numbers.values()).size < numbers.size) {
    throw new UserError(`${found}, expected each number once, and at most ${tables.points.maxJoints}`);
  }
  const fitting = [0, 1].filter((start) => tables.formats.numbers.includes(high + 1 - start));
  if (low > 1 && fitting.length !== 1) throw new UserError(`${found}, expected them to start at 0 or 1`);
  if (low === 1 && fitting.length === 1 && fitting[0] === 0) {
    throw new UserError(`${found}, expected 0 to ${high}, or 1 to a layout's number of joints`);
  }
  const start = low < 2 ? low : fitting[0];
  return new Map([...numbers].map(([name, number]) => [name, number - start]));
}

/** Return the number of joints: that of the smallest layout that has all these indices, if some are missing. */
function countOf(numbers, tables) {
  const count = range(numbers.values())[1] + 1;
  if (numbers.size === count) return count;
  const larger = tables.formats.numbers.filter((number) => number >= count);
  return larger.length ? range(larger)[0] : count;
}
