// Find out which video and which frame a picture belongs to, as srnet_jax/keypoints/pictures.py.

import { UserError } from './errors.js';
import { differences, listOf, median, range, roundHalfEven } from './numbers.js';
import { oneLine } from './text.js';

// Roboflow appends .rf. and a code to each name
const EXTENSION = /([._](jpe?g|png))?\.rf\.[0-9a-z]{6,}(\.(jpe?g|png|json|txt))?$|\.(jpe?g|png|bmp|tiff?|webp|json|txt)$/i;
const FARTHEST_MEDIAN = 5; // frames between pictures of one video, unless they are evenly spaced
const FEW = 10; // pictures, of which the mean step is used
const COUNTED = 10000; // as in `pictures.py`
const SAME_STEP = 0.9; // fraction of about equal steps from which on numbers are evenly spaced
const TIME = /^[0-9]{1,9}\.[0-9]{1,9}$/;
// a prefix, an optional date, the time of day, and its milliseconds or microseconds
const CLOCK = new RegExp(
  '^(|.*[^0-9])(?:([0-9]{4})([-_.]?)([0-9]{2})\\3([0-9]{2})[-_ T.]?)?([0-9]{2})([-_.:]?)([0-9]{2})\\7([0-9]{2})[-_.,]'
  + '([0-9]{3}|[0-9]{6})$');
const SHORTEST = 0.0015; // seconds between frames
const PAUSE = 10; // usual steps: if a new second usually begins after more, the numbers are not times of day
const MAX_FRAMES = 1e9;

/**
 * Find the video and the frame of each picture.
 *
 * @param {(string|number)[]} pictures names or numbers, in any order
 * @returns {Map<string|number, {clip: string, frame: number, still: boolean}>} independent pictures are still
 */
export function places(pictures) {
  const different = [...new Set(pictures)];
  const numbers = different.filter((picture) => typeof picture === 'number');
  const found = new Map();
  numbered('', numbers, numbers.map(String)).forEach((place, index) => found.set(numbers[index], place));
  const names = different.filter((picture) => typeof picture === 'string');
  if (names.length > 1 && names.every((name) => TIME.test(name))) {
    timed(names, names.map(Number)).forEach((place, index) => found.set(names[index], place));
    return found;
  }
  const groups = new Map();
  for (const name of names) {
    const stem = name.replace(EXTENSION, '');
    const plain = stem.replaceAll('\\', '/');
    const cut = plain.lastIndexOf('/');
    const folder = cut >= 0 && /[0-9]/.test(plain.slice(cut + 1)) ? plain.slice(0, cut) : ''; // folders of pictures are videos
    const words = stem.split(/[0-9]+/);
    const key = JSON.stringify([folder, words]);
    if (!groups.has(key)) groups.set(key, { words, alike: [] });
    groups.get(key).alike.push(name);
  }
  const taken = new Set();
  for (const { words, alike } of groups.values()) {
    const times = clockTimes(alike);
    const own = times ? timed(alike, times) : named(words, alike);
    const clips = new Set(own.map((place) => place.clip));
    let number = 1;
    while ([...clips].some((clip) => taken.has(withNumber(clip, number)))) number += 1;
    clips.forEach((clip) => taken.add(withNumber(clip, number)));
    own.forEach((place, index) => found.set(alike[index], { ...place, clip: withNumber(place.clip, number) }));
  }
  return found;
}

const withNumber = (clip, number) => (number === 1 ? clip : `${clip}_${number}`.replace(/^_+/, ''));

/** Return the seconds of pictures whose names end with a time of day, from the first; null for other names. */
function clockTimes(names) {
  const found = names.map((name) => CLOCK.exec(name.replace(EXTENSION, '')));
  if (found.length < 2 || found.some((one) => !one || one[1] !== found[0][1])) return null;
  const times = found.map(([, , year, , month, day, hours, , minutes, seconds, last]) => {
    const days = daysOf(year, month, day);
    if (days === null || hours > 23 || minutes > 59 || seconds > 59) return null;
    const whole = 86400 * days + 3600 * Number(hours) + 60 * Number(minutes) + Number(seconds);
    return { time: whole + Number(last) / 10 ** last.length, last: Number(last) };
  });
  if (times.includes(null)) return null;
  const ordered = [...times].sort((a, b) => a.time - b.time || a.last - b.last);
  if (ordered.every((one, index) => !index || one.last >= ordered[index - 1].last)) return null; // the number of a frame
  const steps = differences(ordered.map(({ time }) => time));
  const pauses = steps.filter((_, index) => Math.floor(ordered[index + 1].time) > Math.floor(ordered[index].time));
  const step = median(steps);
  return step > SHORTEST && median(pauses) <= PAUSE * step ? times.map(({ time }) => time - ordered[0].time) : null;
}

/** Return the number of a day; 0 without a date, null if there is no such day. */
function daysOf(year, month, day) {
  if (year === undefined) return 0;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const exists = Number(year) > 0 && date.getUTCMonth() + 1 === Number(month) && date.getUTCDate() === Number(day);
  return exists ? date.getTime() / 86400000 : null;
}

/** Return the places of pictures whose names are times: frames of one video, or independent pictures if times coincide. */
function timed(names, times) {
  const order = [...times.keys()].sort((a, b) => times[a] - times[b]);
  const step = median(differences(order.map((row) => times[row]))) || 1;
  const frames = times.map(() => 0);
  let frame = roundHalfEven(times[order[0]] / step);
  if (range(times)[1] / step < MAX_FRAMES) { // step by step, because rounded times may drift
    order.forEach((row, index) => {
      const passed = index ? times[row] - times[order[index - 1]] : 0;
      frame += Math.max(roundHalfEven(passed / step), Number(passed > 0));
      frames[row] = frame;
    });
  }
  const isStill = new Set(frames).size < names.length;
  return names.map((name, index) => (isStill ? still(name) : { clip: '', frame: frames[index], still: false }));
}

const still = (name) => ({ clip: name, frame: 0, still: true });
const toInteger = (digits) => Number(digits.slice(-18));

/** Return the places of pictures whose names differ only in numbers. */
function named(words, names) {
  const stems = names.map((name) => name.replace(EXTENSION, ''));
  const digits = stems.map((stem) => stem.match(/[0-9]+/g) ?? []);
  const columns = [...Array(words.length - 1).keys()];
  const kinds = (column) => new Set(digits.map((row) => row[column])).size;
  const changing = columns.filter((column) => kinds(column) > 1);
  if (!changing.length) {
    const isOnlyNumber = words.length === 2 && words[1] === '' && digits[0][0].length < 10;
    if (isOnlyNumber && !/[\p{L}\p{N}_]$/u.test(words[0].replace(/[_\-. ]+$/, ''))) {
      return [{ clip: clipOf(words[0]), frame: Number(digits[0][0]), still: false }];
    }
    return [still(stems[0])];
  }
  const whole = changing.filter((column) => kinds(column) === names.length);
  let [column, apart] = [changing.at(-1), []];
  if (whole.length) {
    column = whole.map((one) => [...evenness(digits, one), one]).sort(compared).at(-1).at(-1);
    apart = changing.filter((other) => !whole.includes(other) && tellsVideos(words[other], digits, other, column));
  } else { // several videos in one file, distinguished by the other numbers
    apart = changing.filter((other) => other !== column);
  }
  const parts = new Map();
  digits.forEach((row, index) => listOf(parts, JSON.stringify(apart.map((other) => row[other]))).push(index));
  const made = [];
  for (const indices of parts.values()) {
    const first = stems[indices[0]];
    const place = [...first.matchAll(/[0-9]+/g)][column];
    const clip = clipOf(first.slice(0, place.index) + first.slice(place.index + place[0].length));
    const own = numbered(clip, indices.map((index) => toInteger(digits[index][column])), indices.map((index) => stems[index]));
    own.forEach((one, index) => { made[indices[index]] = one; });
  }
  return made;
}

/** Compare lists of numbers from their first entries on. */
function compared(a, b) {
  const index = a.findIndex((value, place) => value !== b[place]);
  return index < 0 ? 0 : a[index] - b[index];
}

/** Rate how much a column of numbers looks like frame numbers: steps of one, even steps, small steps; larger is better. */
function evenness(digits, column) {
  const { usual, even } = steps(digits.map((row) => toInteger(row[column])));
  return [Number(usual === 1), Number(even >= SAME_STEP), -usual];
}

/** Return whether a number after a word distinguishes videos: it is constant over runs of frames, and never recurs. */
function tellsVideos(word, digits, other, column) {
  const ordered = [...digits].sort((a, b) => toInteger(a[column]) - toInteger(b[column])).map((row) => row[other]);
  const runs = ordered.filter((value, index) => index === 0 || value !== ordered[index - 1]).length;
  const kinds = new Set(ordered).size;
  return /\p{L}/u.test(word) && runs === kinds && kinds <= ordered.length / 2;
}

const clipOf = (name) => name.replace(/[/\\]/g, '_').replace(/^[_\-. ]+|[_\-. ]+$/g, '');

/** Return the median step between numbers, and the fraction of steps that are within 10 % of it. */
function steps(numbers) {
  const found = differences([...numbers].sort((a, b) => a - b));
  if (!found.length) return { usual: 1, even: 1 };
  const usual = median(found);
  return { usual, even: found.filter((step) => Math.abs(step - usual) <= 0.1 * usual).length / found.length };
}

/** Return the frames of a video, or independent pictures if the numbers are not frame numbers. */
function numbered(clip, numbers, names) {
  const { usual: middle, even } = steps(numbers);
  const [first, last] = range(numbers);
  const isFew = numbers.length > 1 && numbers.length < FEW && first > COUNTED; // one far number counts, among ids
  const usual = isFew ? (last - first) / (numbers.length - 1) : middle;
  if (usual > FARTHEST_MEDIAN && (even < SAME_STEP || numbers.length < 3)) return names.map(still);
  const large = numbers.findIndex((number) => number > Number.MAX_SAFE_INTEGER);
  if (large >= 0) throw new UserError(`picture ${oneLine(names[large], 100)}: found a number of more than 15 digits`);
  const isTime = numbers.length > 0 && first > MAX_FRAMES; // of time stamps
  const frame = (number) => (isTime ? roundHalfEven((number - first) / (usual || 1)) : number);
  return numbers.map((number) => ({ clip, frame: frame(number), still: false }));
}
