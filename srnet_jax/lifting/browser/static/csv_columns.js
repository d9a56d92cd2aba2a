// Find the columns of a keypoint table that give frame, person, video and time, as srnet_jax/keypoints/csv_columns.py.

import { UserError } from './errors.js';
import { differences, distinct, listOf, median, range, roundHalfEven } from './numbers.js';
import { clockSeconds, unitOf } from './people.js';
import { general, isDecimal, isPrintable, length, letters, oneLine, shown, start, toNumber } from './text.js';

const MAX_FRAMES = 1e9;
const COARSE = 0.5; // of the time between two frames; time stamps rounded more coarsely do not show missing frames

/**
 * @typedef {object} Columns
 * @property {string[]} names of all columns
 * @property {?number} frame index of the column of the frame number or image name
 * @property {?number} track index of the column of the track id
 * @property {?number} video index of the column of the video's name
 * @property {?number} time index of the column of time stamps
 * @property {?Map<string, number>} instants {video and cell of the time: frame number}, without a column for the frame
 * @property {object} rules `tables.csv`
 * @property {object} units `tables.timeUnits`
 */

/** Find the columns by their names and their values; a row is {where, cells}. */
export function columnsOf(names, rows, { csv: rules, timeUnits: units }) {
  const first = firstPlaces(names);
  const found = (words) => first.get(words.find((word) => first.has(word))) ?? null;
  const frame = found([...rules.frame, ...rules.image, ...rules.row]);
  const videos = [...rules.video, ...rules.image].filter((name) => first.has(name) && first.get(name) !== frame);
  let video = videos.length ? first.get(videos[0]) : null;
  if (video !== null && frame !== null) { // if each frame has a name of its own, it is the picture's and not a video's
    const kinds = (key) => new Set(rows.map(key)).size;
    const [count, frames] = [kinds(({ cells }) => cells[video]), kinds(({ cells }) => cells[frame])];
    if (count === frames && count === kinds(({ cells }) => JSON.stringify([cells[video], cells[frame]]))) video = null;
  }
  const time = [...first].find(([name, column]) => Object.hasOwn(units, name) && allNumbers(rows, column));
  return { names, frame, track: found(rules.track), video, time: time ? time[1] : null, instants: null, rules, units };
}

/** Return the first place of each name; the last columns come first. */
function firstPlaces(names) {
  const first = new Map();
  for (let index = names.length - 1; index >= 0; index -= 1) first.set(letters(names[index]), index);
  return first;
}

/** Return the column of the joint in a table with one line per joint; null in other tables. */
export function jointColumn(at, rows, jointKeys) {
  const first = firstPlaces(at.names);
  const when = at.frame ?? at.time;
  const pictures = new Set(rows.map(({ cells }) => JSON.stringify([clipOf(at, cells), when === null ? '' : cells[when]]))).size;
  for (const name of jointKeys) {
    const column = first.get(name);
    if (column === undefined || column === at.frame) continue;
    const kinds = new Set(rows.map(({ cells }) => cells[column])).size;
    const once = column !== at.track || kinds * pictures === rows.length; // every picture has each id
    if (once && kinds > 1 && (kinds < rows.length || pictures === 1)) return column;
  }
  return null;
}

/** Return the track id of a line; null without one. */
export const personOf = (at, cells) => (at.track === null ? null : start(cells[at.track], 60) || null);

/** Return the video's name in a line; '' if the table has no such column. */
export const clipOf = (at, cells) => (at.video === null ? '' : start(cells[at.video], 100));

/** Return the frame number or image name of a line; `number` if it has none. */
export function pictureOf(at, cells, number, where) {
  if (at.frame === null) return at.time === null ? number : at.instants.get(instant(at, cells));
  const cell = cells[at.frame];
  const value = toNumber(cell);
  if (value !== null) {
    if (!(value >= 0 && value < 1e15) || !Number.isInteger(value)) {
      throw new UserError(`${where}: found frame ${shown(cell)}, expected a whole number, 0 or more`);
    }
    return at.rules.image.includes(letters(at.names[at.frame])) ? String(value) : value;
  }
  if (!isPrintable(cell) || length(cell) > 1000) {
    throw new UserError(`${where}: found ${shown(cell)}, expected a frame number or an image name`);
  }
  return cell || number;
}

/** Return the time stamp of a line and its unit in seconds. */
export const clockOf = (at, cells) => (at.time === null ? null : [toNumber(cells[at.time]), unitNamed(at)]);

const unitNamed = (at) => at.units[letters(at.names[at.time])] ?? NaN;
const instant = (at, cells) => JSON.stringify([clipOf(at, cells), cells[at.time]]);

/** Return whether a column has a finite number in each line, and not always the same. */
function allNumbers(rows, column) {
  const cells = new Set(rows.map(({ cells: own }) => own[column]));
  return cells.size > 1 && [...cells].every((cell) => Number.isFinite(toNumber(cell) ?? NaN));
}

/** Convert columns of times such as 00:00:01.2 to seconds; warn of a column of times that are not known and not used. */
export function withSeconds(names, rows, file, { timeUnits }, warn) {
  let [own, made] = [names, rows];
  names.forEach((name, column) => {
    if (!Object.hasOwn(timeUnits, letters(name))) return;
    const cells = new Set(rows.map(({ cells: row }) => row[column]).filter(Boolean));
    const strange = [...cells].filter((cell) => toNumber(cell) === null).sort();
    if (cells.size && [...cells].every(clockSeconds)) {
      const replaced = (row, value) => row.map((cell, index) => (index === column ? value : cell));
      own = replaced(own, 'seconds');
      made = made.map(({ where, cells: row }) => ({ where, cells: replaced(row, clockSeconds(row[column]) ?? '') }));
    } else if (strange.length) {
      warn(`${file}: column ${shown(name)} not used: found ${shown(strange[0])}, expected seconds or hours:minutes:seconds`);
    }
  });
  return { names: own, rows: made };
}

/** Number the frames of a table by their times, if it has no column for the frame; if they cannot be used, warn. */
export function numbered(at, rows, file, joint, warn) {
  if (at.frame !== null || at.time === null) {
    if (at.frame === null && at.track !== null && joint === null) {
      warn(`${file}: found no column for the frame, counting the lines of each person`);
    }
    return at;
  }
  const wrong = unusable(at, rows, joint);
  if (!wrong) return { ...at, instants: instantsOf(rows, at) };
  const column = `${file}: column ${shown(at.names[at.time])}`;
  const message = `${column} not used: ${wrong}, expected increasing times or a column for the frame`;
  if (joint !== null) throw new UserError(message); // each frame has many lines, which cannot be counted
  warn(`${message}; counting the lines${at.track === null ? '' : ' of each person'}`);
  return { ...at, time: null };
}

/** Return why times cannot number the frames; '' if they can. */
function unusable(at, rows, joint) {
  const clips = new Map();
  const parts = new Map();
  const before = new Map();
  for (const { where, cells } of rows) {
    const clip = clipOf(at, cells);
    const time = toNumber(cells[at.time]);
    const place = where.slice(where.lastIndexOf(': ') + 2);
    const times = listOf(clips, clip);
    parts.set(clip, (parts.get(clip) ?? 0) + Number(times.length > 0 && time < times.at(-1)));
    const one = JSON.stringify([clip, personOf(at, cells) ?? '', joint === null ? '' : cells[joint]]);
    const [last, part] = before.get(one) ?? [-Infinity, parts.get(clip)];
    if (last === time) return `${place} repeats ${oneLine(cells[at.time], 30)}`;
    if (part < parts.get(clip)) return `${place} has ${oneLine(cells[at.time], 30)} after ${general(times.at(-1))}`;
    before.set(one, [time, parts.get(clip)]);
    times.push(time);
  }
  if (Number.isFinite(unitNamed(at))) return '';
  const known = [...clips.values()].every((times) => new Set(times).size < 2 || unitOf(times));
  return known ? '' : 'its unit is not known';
}

/** Number the frames of each video by their times, so that frames without people leave gaps in the numbers. */
function instantsOf(rows, at) {
  const clips = new Map();
  for (const { cells } of rows) listOf(clips, clipOf(at, cells)).push(cells[at.time]);
  const found = new Map();
  for (const [clip, own] of clips) {
    const cells = [...new Set(own)];
    const times = distinct(cells.map(toNumber));
    let numbers = [...times.keys()];
    if (times.length > 1) {
      const usual = median(differences(times));
      const steps = differences(times).map((step) => step / usual);
      const decimals = range(cells.map((cell) => (cell.includes('.') ? length(cell.slice(cell.indexOf('.') + 1)) : 0)))[1];
      if (10 ** -decimals < COARSE * usual && steps.reduce((sum, step) => sum + step, 0) < MAX_FRAMES) {
        numbers = [0];
        for (const step of steps) numbers.push(numbers.at(-1) + Math.max(roundHalfEven(step), 1));
      }
    }
    const places = new Map(times.map((time, index) => [time, numbers[index]]));
    for (const cell of cells) found.set(JSON.stringify([clip, cell]), places.get(toNumber(cell)));
  }
  return found;
}

/** Split a column name into joint and axis: `nose_x`, `nose.X`, `x_nose`, `kp_x_0`, `x0`, `noseX`. */
export function split(name, { points, csv }) {
  const isAxis = (word) => ['x', 'y', 'z'].includes(word.toLowerCase()) || points.confidences.includes(word.toLowerCase());
  const found = name.split(/[\s\x1c-\x1f\x85_.:/()[\]'",-]+/u).filter(Boolean);
  while (found.length > 1 && csv.units.includes(found.at(-1).toLowerCase())) found.pop();
  const places = found.length > 2 && isDecimal(found.at(-1)) ? [-1, 0, -2] : [-1, 0];
  for (const place of places) {
    const word = found.at(place);
    if (word !== undefined && isAxis(word)) {
      found.splice(place, 1);
      const joint = found.filter((part) => !points.noise.includes(part.toLowerCase()));
      return { part: (joint.length ? joint : found).join('_'), axis: word.toLowerCase() };
    }
  }
  const numberedName = /^([a-z]+)([0-9]+)$/i.exec(name);
  if (numberedName && isAxis(numberedName[1])) return { part: numberedName[2], axis: numberedName[1].toLowerCase() };
  const cased = /^(.*[a-z])([XYZC])$/i.exec(name);
  if (cased && cased[2] === cased[2].toUpperCase()) return { part: cased[1], axis: cased[2].toLowerCase() };
  return { part: name, axis: null };
}
