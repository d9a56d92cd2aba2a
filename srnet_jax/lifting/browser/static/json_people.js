// Split JSON files that have the frames of each person separately, as srnet_jax/keypoints/json_files.py.

import { UserError } from './errors.js';
import { isList, isMap, textOf, valueOf } from './json.js';
import { MOVES_ON, motion } from './people.js';
import { asPoints, isJoints, isNothing, isTrue } from './points.js';
import { described, letters } from './text.js';

export const PERSON = ['', 'person', 'personid', 'player', 'subject', 'track', 'trackid', 'id', 'individual', 'actor', 'p'];
const IDS = ['track_id', 'person_id', 'id', 'name'];
const [FEW, EXAMINED] = [3, 200]; // people who may be alike in a picture, examined entries of a list

/**
 * Split a file that has the frames of each person separately.
 *
 * @returns {[?string, *][]} the id and the frames of each person; for other files, null and the whole content
 */
export function byPerson(content, file, rules) {
  if (!isMap(content)) return [[null, content]];
  const people = valueOf(content, ['people', 'persons', 'tracks']);
  if (isList(people) && people.length && people.every((one) => isMap(one) && one.has('frames'))) {
    return people.map((one, index) => {
      const own = valueOf(one, IDS);
      if (typeof own === 'number' && !(Math.abs(own) <= Number.MAX_SAFE_INTEGER)) {
        throw new UserError(`${file}: found the id ${described(own)} of a person, expected at most 15 digits`);
      }
      return [textOf(isTrue(own) ? own : index + 1), one];
    });
  }
  for (const named of [people, content].filter(isMap)) {
    const words = new Set([...named.keys()].map((key) => (/[0-9]/.test(key) ? letters(key) : key)));
    const isNamed = !(words.size === 1 && words.has(''));
    if (named.size && [...words].every((word) => PERSON.includes(word))
        && [...named.values()].every((one) => isOnePerson(one, isNamed, rules))) {
      return [...named].map(([key, one]) => [key.replace(/^[^0-9]+/, ''), one]);
    }
  }
  return [[null, content]];
}

/** Return whether a value is one person's frames, and not one frame's people; `isNamed` says that its key names a person. */
function isOnePerson(value, isNamed, rules) {
  if (isMap(value) && (isList(value.get('frames')) || isMap(value.get('frames')))) return true;
  const items = (isMap(value) ? [...value.values()] : isList(value) ? value : []).filter((item) => !isNothing(item));
  if (!items.length || isJoints(value)) return false;
  const { frameKeys } = rules.formats;
  if (items.every((item) => isMap(item) && frameKeys.some((key) => item.has(key)))) {
    const frames = new Set(items.map((item) => textOf(valueOf(item, frameKeys))));
    return isNamed || (frames.size === items.length && items.length > 1);
  }
  return items.every(isJoints) && (isNamed || oneMoves(items, rules));
}

/** Return whether a list of joints belongs to one moving person, and not to several people in one picture. */
export function oneMoves(items, rules) {
  let points;
  try {
    const examined = items.slice(0, EXAMINED).filter((item) => !isNothing(item));
    points = examined.map((item) => asPoints(item, null, '', rules.points).values);
  } catch (error) {
    if (error instanceof UserError) return false; // reported when it is read
    throw error;
  }
  const isEven = new Set(points.map((one) => one.length)).size === 1;
  return points.length > FEW && isEven && motion(points.map((one) => [one])) < MOVES_ON;
}
