// Read the detected people of JSON files, as srnet_jax/keypoints/json_files.py.

import { UserError } from './errors.js';
import { isDeep, isGiven, isList, isMap, textOf, valueOf } from './json.js';
import { oneMoves, PERSON } from './json_people.js';
import { clockSeconds, imageSize } from './people.js';
import { asPoints, isJoints, isNothing, isNumber, isTrue, jointName } from './points.js';
import { described, inAscii, isDecimal, isPrintable, length, letters, listed, oneLine, start, strip } from './text.js';

const VIDEO = ['video', 'video_name', 'video_id', 'clip', 'sequence', 'camera'];
const META = ['metadata', 'meta', 'info', 'video_info', 'video_metadata', 'video', 'header', 'image']; // they may give the size
const CROWD = 20; // people in a picture
const MAX_JOINTS = 1000;

/**
 * Read the detected people of a file.
 *
 * @param {*} content as `loadJson` returns it
 * @param {object} one the format
 * @param {string} file its name, which is the picture's if the file has only one
 * @param {object} rules `tables`
 * @returns {import('./people.js').Detection[]}
 */
export function readJson(content, one, file, rules) {
  const named = namesOfJoints(content, rules);
  const sizes = imageSizes(content, file, rules);
  const lacking = [];
  const made = [];
  framesOf(content, one, file, rules).forEach(([image, frame], number) => {
    const key = isMap(frame) ? one.picture.find((name) => isGiven(frame.get(name))) : undefined;
    let picture = number;
    if (image !== null) {
      picture = image;
    } else if (key !== undefined) {
      picture = pictureOf(frame.get(key), `${file}: entry ${number}`);
      if (rules.formats.frameKeys.includes(key) && isDecimal(picture)) picture = Number(inAscii(picture));
    }
    let size = key !== undefined ? sizes.get(textOf(frame.get(key))) ?? null : null;
    if (size === null && frame !== content && !one.frames.startsWith('flat')) {
      size = givenSize(frame, file, rules, true) ?? givenSize(valueOf(frame, ['image']), file, rules);
    }
    const clip = frame === content ? null : valueOf(frame, VIDEO);
    const clock = frame === content ? null : clockOf(frame, rules);
    const where = `${file}: frame ${oneLine(picture, 100)}`;
    const joints = named.get(textOf(valueOf(frame, ['category_id']))) ?? named.get(null) ?? null;
    if (joints && !joints.length && one.name === 'coco_annotations') return; // something that is no person
    for (const [track, points, scores] of peopleOf(frame, one, where, lacking)) {
      if (isNothing(points) || (isList(points) && points.every(isNothing))) continue;
      const deep = isMap(points) && !isJoints(points) ? [...points.keys()].find(isDeep) : undefined;
      if (deep !== undefined) {
        throw new UserError(`${where}: found ${deep}, points in 3D already, expected a detector's 2D keypoints`);
      }
      const person = asPoints(points, scores, where, rules.points);
      if (one.yFirst) swapAxes(person.values);
      made.push({
        picture,
        track: trackOf(track, where),
        ...person,
        names: namesOf(person, joints),
        clip: ['string', 'number', 'boolean'].includes(typeof clip) ? start(textOf(clip), 100) : '',
        size,
        clock,
      });
    }
  });
  if (lacking.length && !made.length) throw new UserError(lacking[0]);
  return made;
}

function swapAxes(values) {
  for (let at = 0; at < values.length; at += 3) [values[at], values[at + 1]] = [values[at + 1], values[at]];
}

/** Return the names of a person's joints: those of the file, if it names its joints once, or the person's own. */
function namesOf({ values, names }, joints) {
  if (joints === null) return names;
  if (names === null) return joints.length === values.length / 3 ? joints : null;
  const isNumbered = names.every((name) => /^(0|[1-9][0-9]*)$/.test(name) && Number(name) < joints.length);
  return isNumbered ? names.map((name) => joints[Number(name)]) : names;
}

/** Return the time stamp of a frame and its unit in seconds. */
function clockOf(frame, rules) {
  if (!isMap(frame)) return null;
  const units = rules.timeUnits;
  for (const [key, value] of frame) {
    if (!Object.hasOwn(units, letters(key))) continue;
    if (isNumber(value)) return [value, units[letters(key)] ?? NaN];
    const seconds = typeof value === 'string' ? clockSeconds(value) : null;
    if (seconds) return [Number(seconds), 1];
  }
  return null;
}

/** Return the image size, the frames per second and the name of the data set that a file's object gives. */
export function fileInfo(content, file, rules) {
  if (!isMap(content)) return { size: null, fps: null, dataSet: null };
  const places = [content, ...META.map((key) => content.get(key)).filter(isMap)];
  let size = null;
  for (const place of content.has('images') ? [] : places) size ??= givenSize(place, file, rules);
  const fps = places.map((place) => place.get('fps')).find(isGiven) ?? null;
  const meta = content.get('meta_info');
  return { size, fps, dataSet: isMap(meta) ? meta.get('dataset_name') ?? null : null };
}

/**
 * Return the image size that an object gives; null without one, or if it is the size of something at x and y.
 * A height alone is refused, except in a frame, where it may be the person's.
 */
function givenSize(item, file, rules, isFrame = false) {
  if (!isMap(item) || rules.formats.boxKeys.some((key) => item.has(key))) return null;
  const size = item.get('image_size');
  if (isList(size) && size.length === 2) return imageSize(...size, file, rules.tracks.farthest);
  const sides = [item.get('width'), item.get('height')];
  if (!(isFrame ? sides.every(isGiven) : sides.some(isGiven))) return null;
  return imageSize(...sides, file, rules.tracks.farthest);
}

/**
 * Return the joint names that a file gives once for all people, if they are a body's.
 *
 * @returns {Map<?string, string[]>} {id of a category of COCO annotations: names}, or {null: names} of all people
 */
function namesOfJoints(content, rules) {
  if (!isMap(content)) return new Map();
  const categories = content.get('categories');
  if (isList(categories)) {
    const bodies = new Map(categories.filter((one) => isMap(one) && isTrue(one.get('keypoints') ?? null))
      .map((one) => [textOf(one.get('id')), bodyNames(one.get('keypoints'), rules) ?? []]));
    const first = [...bodies.values()].find((names) => names.length);
    return first ? bodies.set(null, first) : new Map();
  }
  const meta = content.get('meta_info');
  if (isMap(meta)) {
    const isKnown = Object.hasOwn(rules.formats.dataSets, textOf(meta.get('dataset_name')));
    const own = isKnown ? null : bodyNames(meta.get('keypoint_id2name'), rules);
    return new Map(own ? [[null, own]] : []);
  }
  const places = [content, ...META.map((key) => content.get(key)).filter(isMap)];
  const found = places.flatMap((place) => [...place.values()]).map((value) => bodyNames(value, rules)).find(Boolean);
  return new Map(found ? [[null, found]] : []);
}

/** Return joint names, given as a list, as {number: name} or as {name: number}; null if they are not a body's. */
function bodyNames(given, rules) {
  let names = given;
  if (isMap(given)) {
    const values = [...given.values()];
    names = values.every((value, index) => value === index) ? [...given.keys()] : values;
  }
  if (!isList(names) || !names.every((name) => typeof name === 'string')) return null;
  return names.filter((name) => jointName(name, rules.points) !== null).length >= rules.points.minNames ? names : null;
}

/** Return each frame, or each person of a flat list, with the picture's name if the frame does not contain it. */
function framesOf(content, one, file, rules) {
  const options = one.frames.split('|');
  const numbers = isMap(content) ? content.get('frames') : null; // of the frames, beside their joints
  const isWhole = (number) => isNumber(number) && Number.isInteger(number) && number >= 0 && number < 1e15;
  if (isList(numbers) && numbers.length && one.points.some((name) => name && content.has(name)) && numbers.every(isWhole)) {
    const frames = framesOf(new Map([...content].filter(([name]) => name !== 'frames')), one, file, rules);
    if (frames.length !== numbers.length) {
      throw new UserError(`${file}: found ${numbers.length} frame numbers for ${frames.length} frames, expected equal numbers`);
    }
    return frames.map(([, frame], index) => [numbers[index], frame]);
  }
  const key = isMap(content) ? options.find((option) => content.has(option)) : undefined;
  const inPicture = [[file, content]];
  const each = (items) => items.map((item) => [null, item]);
  const people = one.people.split('|').filter(Boolean);
  if (one.frames === '') return inPicture;
  if (one.frames.startsWith('flat')) return flatPeople(content, one, file, rules);
  if (key === undefined && one.points.at(-1) === '' && isJoints(content)) return inPicture; // one person in one picture
  if (key !== undefined || isList(content)) {
    const found = key === undefined ? content : content.get(key);
    if (key !== undefined && one.points.includes(key)) {
      const scores = listOfScores(content, one);
      if (isJoints(found) || (one.people.split('|').includes(key) && !areFrames(found, rules))) return inPicture;
      if (isList(found) && isList(scores) && scores.length === found.length) {
        return found.map((item, index) => [null, new Map([[key, item], [one.scores[0], scores[index]]])]);
      }
      return each(listOfItems(found, key, file));
    }
    if (isMap(found)) return [...found].map(([name, frame]) => [pictureOf(name, file), frame]);
    const items = listOfItems(found, key ?? 'the list', file);
    const entry = items.find(isTrue);
    const known = [...people, ...one.picture];
    if (one.alone && isMap(entry) && !known.some((name) => entry.has(name)) && one.points.some((name) => entry.has(name))) {
      const own = items.filter(isMap).map((item) => valueOf(item, one.points));
      if (own.length < items.length || !oneMoves(own, rules)) { // the people of one picture
        return [[file, one.people ? new Map([[one.people.split('|')[0], items]]) : items]];
      }
    }
    return each(items);
  }
  if (!isMap(content)) throw new UserError(`${file}: found ${described(content)}, expected the format ${one.name}`);
  const inside = people.find((name) => content.has(name));
  if (inside !== undefined) {
    const found = content.get(inside);
    const own = (isList(found) ? found : []).filter((item) => !isNothing(item))
      .map((item) => (isJoints(item) ? item : valueOf(item, one.points)));
    const isMoving = own.every(isJoints) && oneMoves(own, rules);
    return isMoving ? found.map((item) => [null, new Map([[inside, [item]]])]) : inPicture;
  }
  return options.includes('{}') ? [...content].map(([name, frame]) => [pictureOf(name, file), frame]) : [[null, content]];
}

/** Return the people of a flat list, with their pictures' names. */
function flatPeople(content, one, file, rules) {
  const inside = one.frames.slice('flat:'.length);
  const found = inside && isMap(content) ? content.get(inside) ?? null : content;
  const given = isMap(content) ? content.get('images') : null;
  const images = new Map((isList(given) ? given : [])
    .filter((image) => isMap(image) && ['number', 'string', 'boolean'].includes(typeof image.get('id'))
      && typeof image.get('file_name') === 'string')
    .map((image) => [image.get('id'), image]));
  const names = imageNames(images, rules);
  const what = inside || 'the list';
  return listOfItems(found, what, file).map((person, number) => {
    if (!isMap(person)) {
      throw new UserError(`${file}: ${what}: found ${described(person)} as entry ${number}, expected an object`);
    }
    const image = valueOf(person, one.picture);
    if (image === null) {
      throw new UserError(`${file}: entry ${number}: found ${listed(person)}, expected ${one.picture.join(' or ')}`);
    }
    return [names.get(image) ?? null, person];
  });
}

/**
 * Return {id: file name} of the images of COCO annotations.
 *
 * File names that repeat are a video's. The frame number, if the images have one, is appended to them; else ids are used.
 */
function imageNames(images, { formats }) {
  const names = new Map([...images].map(([id, image]) => [id, image.get('file_name')]));
  if (new Set(names.values()).size === names.size) return names;
  const frames = [...images].map(([id, image]) => [id, image.get('file_name'), valueOf(image, formats.frameKeys)]);
  const isWhole = ([, , frame]) => isNumber(frame) && Number.isInteger(frame) && frame >= 0 && frame < 1e15;
  return new Map(frames.every(isWhole) ? frames.map(([id, name, frame]) => [id, `${name}/${frame}`]) : []);
}

/** Return whether a list, whose key may mean people or joints, has one entry for each frame, and not for each person. */
function areFrames(found, rules) {
  if (!isList(found) || !found.filter(isTrue).every(isJoints)) return isList(found);
  return found.length > CROWD || oneMoves(found, rules);
}

/** Return {id: [width, height]} of the images of COCO annotations. */
function imageSizes(content, file, rules) {
  const images = isMap(content) ? content.get('images') : null;
  return new Map((isList(images) ? images : [])
    .filter((image) => isMap(image) && (isGiven(image.get('width')) || isGiven(image.get('height'))))
    .map((image) => [
      textOf(image.get('id')), imageSize(image.get('width'), image.get('height'), file, rules.tracks.farthest),
    ]));
}

/** Return track id, joints and confidences of a frame's people; messages about people without joints go to `lacking`. */
function peopleOf(frame, one, where, lacking) {
  const keys = one.frames.startsWith('flat') ? [] : one.people.split('|').filter(Boolean);
  const key = isMap(frame) ? keys.find((name) => frame.has(name)) : undefined;
  let found = frame;
  if (key !== undefined) {
    found = frame.get(key);
  } else if (isMap(frame) && keys.length && !one.people.endsWith('|')) {
    throw new UserError(`${where}: found ${listed(frame)}, expected ${keys.join(' or ')}`);
  } else if (frame !== null && !isList(frame) && !isMap(frame)) {
    throw new UserError(`${where}: found ${described(frame)}, expected ${one.points.at(-1) ? 'people' : 'joints'}`);
  }
  if (isNothing(found)) return [];
  if (isList(found) && found.length === 1 && isList(found[0]) && found[0].length && !isJoints(found[0])) {
    [found] = found; // a batch of one picture
  }
  let people = [[null, found]];
  if (isMap(found) && [...found.keys()].every(isId) && !isJoints(found)) { // with track ids as keys
    people = [...found].map(([id, person]) => [isDecimal(id) ? id : id.replace(/[^0-9]+/g, ''), person]);
  } else if (isList(found) && !(one.points.at(-1) === '' && isJoints(found))) {
    people = found.map((person) => [null, person]);
  } else if (!isList(found) && !isMap(found)) {
    throw new UserError(`${where}: found ${described(found)}, expected a list of people`);
  }
  return people.filter(([, person]) => !isNothing(person)).flatMap(([track, person]) => {
    if (isMap(person) && one.points.at(-1) && !one.points.some((name) => person.has(name))) { // only a box
      lacking.push(`${where}: found a person with ${listed(person)}, expected ${one.points.join(' or ')}`);
      return [];
    }
    return ofPerson(person, isTrue(track) ? track : valueOf(person, one.track), one, where);
  });
}

/** Return track id, joints and confidences of a person, or of several whose joints are in one array. */
function ofPerson(person, track, one, where) {
  let points = pointsOf(person, one, where);
  let scores = listOfScores(person, one);
  if (isMap(points) && isList(points.get('xy'))) { // the attributes of ultralytics' keypoints
    [points, scores] = [points.get('xy'), listOfScores(points, one)];
  }
  if (isMap(person)) [points, scores] = byNumbers(points, scores, person.get('labels'), one);
  if (points !== person && isList(points) && isList(points[0]) && !isJoints(points)) {
    return points.map((own, index) => { // [people, joints, 2 or 3], as detectors written in Python return it
      const sure = isList(scores) ? scores[index] : null;
      return [null, own, isList(sure) ? sure : null]; // a number is the score of the person
    });
  }
  return [[track, points, points === person ? null : scores]];
}

/** Return whether a key is a track id, such as 3 or person_3. */
const isId = (key) => isDecimal(key) || (/^[^0-9]+[0-9]{1,15}$/.test(key) && letters(key) !== '' && PERSON.includes(letters(key)));

/** Put joints at their places if a list gives their numbers, as Transformers does, which leaves out unsure joints. */
function byNumbers(points, scores, numbers, one) {
  const isNumbered = isList(numbers) && isList(points) && numbers.length === points.length && numbers.length > 1
    && isJoints(points) && numbers.every((number) => Number.isInteger(number) && number >= 0 && number < MAX_JOINTS)
    && new Set(numbers).size === numbers.length;
  if (!isNumbered) return [points, scores];
  const most = Math.max(...numbers);
  const count = Object.keys(one.layouts).map(Number).sort((a, b) => a - b).find((joints) => joints > most) ?? most + 1;
  const every = Array.from({ length: count }, (_, number) => numbers.indexOf(number));
  const areScores = isList(scores) && scores.length === points.length;
  return [
    every.map((place) => (place < 0 ? null : points[place])),
    areScores ? every.map((place) => (place < 0 ? 0 : scores[place])) : scores,
  ];
}

/** Return the confidences that an object has beside its joints; null without them. A number is the score of the person. */
function listOfScores(item, one) {
  return isMap(item) ? one.scores.map((key) => item.get(key)).find(isList) ?? null : null;
}

/** Return a person's joints. */
function pointsOf(person, one, where) {
  const key = isMap(person) ? one.points.find((name) => name && person.has(name)) : undefined;
  if (key !== undefined) return person.get(key);
  if (one.points.at(-1) === '') return person;
  throw new UserError(`${where}: found ${described(person)}, expected an object for a person`);
}

function listOfItems(items, what, file) {
  if (!isList(items)) throw new UserError(`${file}: ${what}: found ${described(items)}, expected a list`);
  return items;
}

/** Check and return a picture's name; a whole number becomes its digits. */
function pictureOf(value, where) {
  if (typeof value === 'string' && value && length(value) <= 1000 && isPrintable(value)) return value;
  if (isNumber(value) && Number.isInteger(value) && value >= 0 && value < 1e15) return String(value);
  throw new UserError(`${where}: found ${described(value)}, expected a frame number or an image name`);
}

/** Return a track id as text: a whole number, a short text, or the first entry of a list; null for -1, which means no id. */
function trackOf(value, where) {
  let found = value;
  for (let depth = 0; depth < 3; depth += 1) found = isList(found) ? found[0] ?? null : found;
  if (found === null || (typeof found === 'string' && found && length(found) <= 60)) return found;
  if (!isNumber(found) || !Number.isInteger(found) || Math.abs(found) >= 1e15) {
    throw new UserError(`${where}: found the track id ${described(found)}, expected a whole number`);
  }
  return found >= 0 ? String(found) : null;
}
