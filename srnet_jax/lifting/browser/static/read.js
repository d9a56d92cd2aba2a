// Read files of 2D keypoints in any known format, as srnet_jax/keypoints/keypoint_files.py.

import { checkJoints } from './complete.js';
import { peopleOf, readTable } from './csv_files.js';
import { UserError } from './errors.js';
import { loadJson } from './json.js';
import { fileInfo, readJson } from './json_files.js';
import { isKnown, nearest, recognise } from './json_formats.js';
import { asTable, byFrame, withObjects } from './json_tables.js';
import { inLayout, namedAlike } from './joint_order.js';
import { byPerson } from './json_people.js';
import { readNpy, readNpz } from './npy.js';
import { readArray, readArrays } from './npz_files.js';
import { median, range } from './numbers.js';
import { Budget, frameRate, gather } from './people.js';
import { isMissing, isNothing } from './points.js';
import { decoded, general } from './text.js';
import { follow, withImageSizes, withOwnNames } from './tracks.js';
import { guessLayout, withBody25b } from './which_layout.js';

const RATIO = 64; // memory limit over the size of the files; .npz files may be compressed
const NPZ_RATIO = 32;
const NEGATIVE = 0.2; // largest fraction of negative coordinates; a few joints may be left of the image or above it
const [NO_CONFIDENCE, NO_SCORE, PERCENT, BYTE] = [0.05, 10, 100, 255]; // some detectors' scores are a little below 0 or above 1
const FARTHEST_SHARE = 10; // largest normalised coordinate
const MAX_BYTES = 2e9;
const NO_INFO = { size: null, fps: null, dataSet: null };

/**
 * @typedef {object} Track one person's keypoints through a video
 * @property {string} name different for each track of a file
 * @property {string} clip name of the video if the file has several, else ''
 * @property {number} frames T
 * @property {number} joints J
 * @property {Float32Array} keypoints [T*J*2] pixels; NaN where a joint is missing
 * @property {Float32Array} confidences [T*J]; 0 where a joint is missing
 * @property {string} layout name of the joints' layout
 * @property {?number} fps frames per second; null if not known
 * @property {number[]} imageSize width and height, pixels
 * @property {number} firstFrame number of the video's frame in row 0
 * @property {number} every number of video frames from one row to the next
 * @property {?Float64Array} times [T] seconds, if they are known to be uneven
 * @property {Uint8Array} detected [T]; 0 if the frame does not show the person
 * @property {{layout: boolean, fps: boolean, imageSize: boolean}} known what the file, or a given image size, determines
 */

/**
 * @typedef {object} Options what a user knows about the files
 * @property {?string} layout
 * @property {?number} fps frames per second
 * @property {?number[]} imageSize width and height of the pictures, pixels
 * @property {?number} minConfidence below which a joint is missing; null for the format's own
 * @property {?string} format null to recognise it from the content
 * @property {string} folder name of the people of several files
 * @property {(message: string) => void} warn
 */

/**
 * Read the people of a keypoint file, or of JSON files of one picture each.
 *
 * @param {{name: string, bytes: Uint8Array}[]} files
 * @param {object} tables from `reading_tables.py`
 * @param {Partial<Options>} options
 * @returns {Promise<Track[]>} at least one; those with the most frames first
 * @throws {UserError} if a file is damaged or not as expected, or shows no person
 */
export async function readFiles(files, tables, options = {}) {
  const given = {
    layout: null, fps: null, imageSize: null, minConfidence: null, format: null, folder: 'pictures', warn: () => {}, ...options,
  };
  const { format } = given;
  if (format !== null && !Object.hasOwn(tables.formats.every, format)) {
    const names = Object.keys(tables.formats.every).join(', ');
    throw new UserError(`keypoint format '${format}': not known, expected one of ${names}`);
  }
  if (format === 'yolo_txt') {
    throw new UserError('YOLO labels: not read in a browser, expected JSON, CSV or NumPy; lift them with the Python package');
  }
  const bytes = files.reduce((sum, file) => sum + file.bytes.length, 0);
  if (!files.length || bytes > MAX_BYTES) {
    throw new UserError(`found ${files.length} files of ${bytes} bytes, expected one file`);
  }
  const budget = new Budget(RATIO * bytes);
  const name = files.length === 1 ? files[0].name : given.folder;
  const context = { tables, budget, warn: given.warn };
  const everyone = files.length === 1 ? await readFile(files[0], format, context) : readPictures(files, name, format, context);
  const people = everyone.map((one) => ({ ...one, people: withoutDepth(one.people, name, context) }));
  const tracks = tracksOf(people, name, given, context);
  return describedTracks(tracks, name, given, tables);
}

/** Return the people of each video or picture of a file, and their format. */
async function readFile({ name: file, bytes }, format, context) {
  const { tables, budget, warn } = context;
  const { every } = tables.formats;
  if (!bytes.length) throw new UserError(`${file}: empty file, expected keypoints of a video`);
  const suffix = (/[^.]\.[^.]*$/.exec(file)?.[0].slice(1) ?? '').toLowerCase();
  const head = decoded(bytes.subarray(0, 4096)).replace(/^[ \t\n\r\v\f]+/, '');
  const isNumPy = bytes[0] === 0x93 && head.slice(1).startsWith('NUMPY');
  if (format === null && Object.hasOwn(tables.formats.notRead, suffix) && !isNumPy && !/^[[{]/.test(head)) {
    const [found, expected] = tables.formats.notRead[suffix];
    throw new UserError(`${file}: found ${found}, which is not read, expected ${expected}`);
  }
  if (format === 'npy' || (format === null && isNumPy)) {
    const people = readArray(readNpy(bytes, file), file, context);
    return [{ people: withLayout(people, every.npy, null, tables), format: every.npy }];
  }
  if (tables.formats.arrays.includes(format) || (format === null && (head.startsWith('PK') || suffix === '.npz'))) {
    const found = readArrays(await readNpz(bytes, file, new Budget(NPZ_RATIO * bytes.length)), format, file, context);
    const one = every[found.format];
    return [{ people: withLayout(found.people, one, null, tables), format: one }];
  }
  const isJson = tables.formats.json.includes(format);
  if (isJson || (format === null && (/^[[{]/.test(head) || suffix === '.json'))) {
    return ofContent(loadJson(bytes, file, tables.formats.spellings), format, file, context);
  }
  if (format === null && !['.csv', '.tsv', '.txt'].includes(suffix) && !/[,;\t]/.test(head.split('\n')[0])) {
    throw new UserError(`${file}: found neither a NumPy file, nor JSON, nor a table, expected a keypoint format; `
      + nearest([suffix.replaceAll('.', '')], Object.keys(every), tables.formats));
  }
  const { names, rows, isDeepLabCut } = readTable(bytes, file, tables, budget);
  if (format === 'deeplabcut' && !isDeepLabCut) {
    throw new UserError(`${file}: found a table, expected DeepLabCut's three header lines, which begin with 'scorer'`);
  }
  const objects = withObjects(names, rows, tables);
  if (objects) return ofContent(objects, null, file, context);
  return ofSeen(peopleOf(names, rows, file, tables, warn), isDeepLabCut ? every.deeplabcut : every.csv, file, context);
}

/** Return the people of each video or picture of a JSON file's content, and their format. */
function ofContent(given, format, file, context) {
  const { tables, budget, warn } = context;
  const { every } = tables.formats;
  const content = byFrame(given, tables);
  if (Array.isArray(content) ? !content.length : content instanceof Map && !content.size) return [];
  const lines = format === null ? asTable(content, file, tables, budget) : null;
  if (lines) return ofSeen(peopleOf(lines.names, lines.rows, file, tables, warn), every.csv, file, context);
  return byPerson(content, file, tables).flatMap(([person, own]) => {
    const one = format === null ? recognise(own, file, tables.formats) : every[format];
    const seen = readJson(own, one, file, tables).map((each) => (person === null ? each : { ...each, track: person }));
    return ofSeen(seen, one, file, context, fileInfo(content, file, tables));
  });
}

/** Return the people of files with one picture each, as OpenPose writes them. */
function readPictures(files, folder, format, context) {
  const { tables, budget, warn } = context;
  const { every } = tables.formats;
  const other = files.find((file) => !file.name.toLowerCase().endsWith('.json'));
  if (other) {
    throw new UserError(`${other.name}: found ${files.length} files, expected one, or .json files of one picture each`);
  }
  let one = format === null ? null : every[format];
  const found = [];
  const unread = [];
  const ordered = files.filter((file) => file.bytes.length && !file.name.startsWith('.'))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const middle = ordered[Math.floor(ordered.length / 2)];
  const isListed = Boolean(middle) && Array.isArray(loadJson(middle.bytes, middle.name, tables.formats.spellings)); // most are
  for (const { name, bytes } of ordered) {
    const content = loadJson(bytes, name, tables.formats.spellings);
    const isEmpty = isNothing(content) && content !== null && content !== '';
    if (isEmpty || (content instanceof Map && content.size === 1 && content.get('people')?.length === 0)) continue;
    const isStray = Array.isArray(content) !== isListed && !/[0-9]/.test(name); // beside pictures, such as settings.json
    if (format === null && (isStray || (content instanceof Map && !isKnown(content, tables.formats)))) {
      unread.push({ name, content });
      continue;
    }
    one ??= recognise(content, name, tables.formats);
    const people = readJson(content, one, name, tables);
    if (!one.folder || new Set(people.map((person) => person.picture)).size > 1) {
      throw new UserError(`${name}: found several frames of the format ${one.name}, expected one file, or one picture each`);
    }
    const picture = name.replace(/_keypoints\.json$/, '').replace(/\.predictions\.json$/, '').replace(/\.json$/, '');
    people.forEach((person) => found.push({ ...person, picture }));
    budget.charge(people.reduce((sum, person) => sum + 16 * person.values.length, 0));
  }
  if (unread.length && !found.length) recognise(unread[0].content, unread[0].name, tables.formats); // throws
  if (unread.length) warn(`found ${unread.length} of ${files.length} files without keypoints, such as ${unread[0].name}`);
  return one ? ofSeen(found, one, folder, context) : [];
}

/** Return the people of each video or picture, in the layout that the names or the number of joints determine. */
function ofSeen(pictures, one, file, { tables, budget, warn }, { size, fps, dataSet } = NO_INFO) {
  if (pictures.some((person) => person.hasDepth)) {
    warn(`${file}: found a third coordinate of joints, using x and y as pixels; are these points in 3D?`);
  }
  const named = namedAlike(pictures, file, tables);
  return gather(pictures, file, budget, warn, tables.tracks).map((own) => {
    const people = { ...own, imageSize: own.imageSize ?? size, fps: frameRate(fps, file) };
    if (!named) return { people: withLayout(people, one, dataSet, tables), format: one }; // in the order of a detector
    const { layout, indices } = inLayout(named, file, tables);
    const values = people.values.map((joints) => Float64Array.from(indices.flatMap((index) =>
      (index < 0 ? [NaN, NaN, 0] : [...joints.subarray(3 * index, 3 * index + 3)]))));
    return { people: { ...people, layout, values }, format: one };
  });
}

/** Set the layout of people by their number of joints, and remove additional joints after those of the layout. */
function withLayout(people, one, dataSet, tables) {
  if (!people.values.length) return people;
  let { layouts } = one;
  if (typeof dataSet === 'string' && Object.keys(layouts).length) {
    layouts = Object.hasOwn(tables.formats.dataSets, dataSet) ? tables.formats.dataSets[dataSet] : {};
  }
  const joints = people.values[0].length / 3;
  const alike = Object.keys(tables.layouts).filter((name) => tables.layouts[name].joints.length === joints);
  const usual = alike.length === 1 && ['npy', 'npz', 'csv', 'json'].includes(one.name) ? alike[0] : null;
  const [layout, kept] = layouts[joints] ?? [people.layout ?? usual, joints];
  return { ...people, layout, values: people.values.map((values) => values.subarray(0, 3 * kept)) };
}

/** Track everyone in a file. */
function tracksOf(everyone, file, given, { tables, budget, warn }) {
  const scale = scaleOfConfidences(everyone.map(({ people }) => people), file, warn);
  const found = everyone.flatMap(({ people, format }) => {
    const scaled = scale === 1 ? people : {
      ...people, values: people.values.map((values) => values.map((value, at) => (at % 3 === 2 ? value * scale : value))),
    };
    const least = given.minConfidence ?? format.minConfidence;
    return follow(inPixels(scaled, given.imageSize ?? people.imageSize, tables.tracks), budget, least, tables.tracks, warn);
  });
  if (!found.length) throw new UserError(`${file}: found no person in any frame`);
  const sizes = everyone.map(({ people }) => people.imageSize)
    .filter((size) => size && given.imageSize && String(size) !== String(given.imageSize));
  if (sizes.length) {
    const [[width, height]] = sizes.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    warn(`${file}: found images of ${width} x ${height} pixels, using ${given.imageSize.join(' x ')} (width, height)`);
  }
  const shown = new Map(found.map((track) => [track, track.detected.reduce((sum, value) => sum + value, 0)]));
  found.sort((a, b) => shown.get(b) - shown.get(a));
  return withOwnNames(withBody25b(found, tables));
}

/** Return tracks with their layout, frame rate and image size, as given or else as in the file. */
function describedTracks(tracks, file, given, tables) {
  if (given.fps !== null && !(given.fps >= 0.1 && given.fps <= 10000)) {
    throw new UserError(`fps: found ${given.fps}, expected 0.1 to 10,000 frames per second`);
  }
  const found = tracks.map((track) => {
    const layout = given.layout ?? track.layout ?? guessLayout(track, file, tables);
    try {
      checkJoints(track.joints, layout, tables);
    } catch (error) {
      throw error instanceof UserError ? new UserError(`${file}: ${error.message}`) : error;
    }
    const known = { layout: track.layout !== null, fps: Boolean(track.fps || track.times), imageSize: track.imageSize !== null };
    return { ...track, layout, known, ...(given.fps === null ? {} : { fps: given.fps / track.every, times: null }) };
  });
  for (const { fps } of found) {
    if (fps !== null && !(fps >= 0.1 && fps <= 10000)) {
      throw new UserError(`${file}: found ${fps} frames per second, expected 0.1 to 10,000`);
    }
  }
  return withImageSizes(found, file, tables.tracks, given.warn);
}

/** Replace third numbers that are the depth of MediaPipe's landmarks, beside positions in the image, by confidences. */
function withoutDepth(people, file, { tables, warn }) {
  const thirds = people.values.flatMap((values) => [...values.filter((_, at) => at % 3 === 2)]);
  if (people.layout !== 'mediapipe_33' || !thirds.some((third) => third < -NO_CONFIDENCE)) return people;
  const sizes = people.values.flatMap((values) => [...values.filter((value, at) => at % 3 < 2 && Number.isFinite(value))])
    .map(Math.abs);
  if (median(sizes) > tables.tracks.maxNormalised) {
    let [negative, count, most] = [0, 0, 0];
    for (const values of people.values) {
      for (let at = 0; at < values.length; at += 3) {
        const [x, y, third] = values.subarray(at, at + 3);
        if (![x, y, third].every(Number.isFinite)) continue;
        count += 1;
        negative += Number(x < 0 || y < 0);
        most = Math.max(most, Math.abs(third));
      }
    }
    if (negative / count > NEGATIVE || most > range(sizes)[1]) return people; // points in 3D, around a centre
  }
  warn(`${file}: found third numbers below 0, using them as the depth of MediaPipe's landmarks`);
  const sure = (value, at) => (at % 3 < 2 || Number.isNaN(value) ? value : 1);
  return { ...people, values: people.values.map((values) => values.map(sure)) };
}

/** Return the factor that scales a file's confidences to 0 to 1: 0.01 if they are in percent, 1/255 if in bytes, else 1. */
function scaleOfConfidences(everyone, file, warn) {
  const thirds = everyone.map((people) => people.values.flatMap((values) =>
    [...values.filter((value, at) => at % 3 === 2 && Number.isFinite(value))]));
  const every = thirds.flat();
  const [low, high] = range(every);
  const isBytes = PERCENT < high && high <= BYTE && low >= 0 && every.every(Number.isInteger);
  thirds.forEach((third, index) => {
    const negative = third.filter((value) => value < -NO_CONFIDENCE).length / third.length;
    if (third.length && (negative > NO_CONFIDENCE || (median(third) > PERCENT && !isBytes))) {
      const [least, most] = range(third).map((value) => general(value, 3));
      throw new UserError(`${everyone[index].where}: found ${least} to ${most} as third number of a joint, expected a `
        + 'confidence; are these points in 3D?');
    }
  });
  const positive = every.filter((value) => value > 0);
  if (!positive.length || median(positive) <= NO_SCORE || (high > PERCENT && !isBytes)) return 1;
  warn(`${file}: found third numbers of ${general(low, 3)} to ${general(high, 3)}, using them as confidences `
    + (isBytes ? 'of 0 to 255' : 'in percent'));
  return 1 / (isBytes ? BYTE : PERCENT);
}

/** Convert coordinates from fractions of the image size to pixels if they are fractions. */
function inPixels(people, imageSize, { maxNormalised }) {
  const numbers = people.values.flatMap((values) => {
    const own = [];
    for (let at = 0; at < values.length; at += 3) {
      const [x, y] = [values[at], values[at + 1]];
      if (!isMissing(x, y)) own.push(x, y);
    }
    return own;
  });
  const sizes = numbers.map(Math.abs);
  if (!numbers.length || median(sizes) > maxNormalised) return { ...people, imageSize };
  if (numbers.filter((value) => value < 0).length / numbers.length > NEGATIVE) {
    throw new UserError(`${people.where}: found coordinates around 0 to +-1, as of points in 3D or relative to the image's `
      + 'centre, expected pixels, or fractions of the image size from the upper left corner');
  }
  if (imageSize === null) {
    throw new UserError(`${people.where}: found keypoints around 0 to 1, which seem normalised, expected pixels, or the `
      + 'image\'s size (width and height)');
  }
  const most = range(sizes)[1];
  if (most > FARTHEST_SHARE) {
    throw new UserError(`${people.where}: found a coordinate of ${general(most)}, expected fractions of the image's width and `
      + 'height, 0 to 1');
  }
  const scale = [...imageSize, 1];
  const values = people.values.map((own) => own.map((value, at) => {
    const joint = at - (at % 3);
    return at % 3 < 2 && isMissing(own[joint], own[joint + 1]) ? NaN : value * scale[at % 3];
  }));
  return { ...people, imageSize, values };
}
