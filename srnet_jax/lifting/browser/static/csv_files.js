// Read keypoints from tables (CSV, TSV, text) with many different headers, as srnet_jax/keypoints/csv_files.py.

import { clipOf, clockOf, columnsOf, jointColumn, numbered, personOf, pictureOf, split, withSeconds } from './csv_columns.js';
import { peopleApart } from './csv_people.js';
import { UserError } from './errors.js';
import { nearest } from './json_formats.js';
import { differences, listOf, median, range } from './numbers.js';
import { isDepth } from './points.js';
import { decoded, letters, listed, shown, strip, toNumber, words } from './text.js';

const [DOTS, DOTS_AND_COMMA] = [/^[-+]?[0-9]{1,3}(\.[0-9]{3})+(,[0-9]+)?$/, /^[-+]?[0-9]{1,3}(\.[0-9]{3})+,[0-9]+$/];
const [COMMAS, COMMAS_AND_DOT] = [/^[-+]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?$/, /^[-+]?[0-9]{1,3}(,[0-9]{3})+\.[0-9]+$/];
const FEW_THOUSANDS = /^[-+]?[1-9][0-9]?,[0-9]{3}$/; // pixels
const DECIMAL = /^([-+]?[0-9]*),([0-9]+(e[-+]?[0-9]+)?)$/i; // matches 1,5 for 1.5
const MOST_IDS = 1000; // of people in a table without a header
const FEW_ROWS = 3; // in so short a table, each line may be another person
const LONGEST_CELL = 131072;

/**
 * Read a table.
 *
 * @param {Uint8Array} bytes
 * @param {string} file its name
 * @param {object} tables
 * @param {import('./people.js').Budget} budget
 * @returns {{names: string[], rows: {where: string, cells: string[]}[], isDeepLabCut: boolean}}
 */
export function readTable(bytes, file, tables, budget) {
  const every = decoded(bytes).split(/\r\n|\n|\r/)
    .map((line, index) => ({ where: `${file}: line ${index + 1}`, line })).filter(({ line }) => strip(line));
  if (!every.length) throw new UserError(`${file}: empty file, expected a text file`);
  const count = (text, mark) => text.split(mark).length;
  if (every.length > 1 && /^"?sep=.?"?$/i.test(strip(every[0].line))) every.shift(); // for Excel
  let first = 0;
  while (first + 1 < every.length && every[first].line.startsWith('#')) {
    const mark = delimiter(every[first + 1].line);
    const text = every[first].line.replace(/^[# ]+/, '');
    if (strip(text) && count(every[first].line, mark) === count(every[first + 1].line, mark)) {
      every[first].line = text;
    } else {
      first += 1;
    }
  }
  const lines = every.slice(first);
  const comma = delimiter(lines[0].line);
  const rows = withPoints(lines.map(({ where, line }) => ({ where, cells: cellsOf(line, comma, file) })), comma);
  const { names: own, body, isDeepLabCut } = header(rows, file, tables);
  const names = body.length && !own.length ? unnamed(body, file, tables) : own;
  const kept = [];
  for (const { where, cells } of body) {
    const isHeader = body[0] !== rows[0] && !isDeepLabCut && cells.length === rows[0].cells.length;
    if (isHeader && cells.every((cell, index) => cell === rows[0].cells[index])) continue; // as in files that were appended to
    if (cells.length !== names.length) {
      const line = rows[0].where.slice(file.length + 2);
      throw new UserError(`${where}: found ${cells.length} columns, expected ${names.length} as in ${line}`);
    }
    budget.charge(100 * cells.length);
    kept.push({ where, cells });
  }
  return { names, rows: kept, isDeepLabCut };
}

const delimiter = (line) => [';', '\t', ','].find((mark) => line.includes(mark)) ?? ' '; // commas last: 1,5 may be a number

function cellsOf(line, comma, file) {
  return comma === ' ' ? words(line) : quoted(line, comma, file).map(strip);
}

/**
 * Replace decimal commas by points, and remove the marks between thousands: 1,5 and 1.234,5 and 1,234.5.
 *
 * Where commas separate cells, a number such as 1,234 means 1.234 unless all numbers with a comma look like thousands.
 */
function withPoints(rows, comma) {
  const cells = rows.flatMap((row) => row.cells.filter((cell) => cell.includes(',')));
  const numbers = cells.filter((cell) => DECIMAL.test(cell) || COMMAS.test(cell));
  const hasDots = cells.some((cell) => DOTS_AND_COMMA.test(cell));
  const hasCommas = cells.some((cell) => COMMAS_AND_DOT.test(cell))
    || (comma === ',' && numbers.length > 0 && numbers.every((cell) => FEW_THOUSANDS.test(cell)));
  if (!numbers.length && !hasDots) return rows;
  const withPoint = (cell) => {
    if (hasCommas && COMMAS.test(cell)) return cell.replaceAll(',', '');
    return (hasDots && DOTS.test(cell) ? cell.replaceAll('.', '') : cell).replace(DECIMAL, '$1.$2');
  };
  return rows.map((row) => ({ where: row.where, cells: row.cells.map(withPoint) }));
}

/** Split a line at commas outside quotes. */
function quoted(line, comma, file) {
  if (!line.includes('"') && line.length < LONGEST_CELL) return line.split(comma);
  const cells = [];
  let at = 0;
  while (at <= line.length) {
    let cell = '';
    if (line[at] === '"') {
      at += 1;
      for (;;) {
        const end = line.indexOf('"', at);
        if (end < 0) {
          cell += line.slice(at);
          at = line.length;
          break;
        }
        cell += line.slice(at, end);
        at = end + 1;
        if (line[at] !== '"') break;
        cell += '"';
        at += 1;
      }
    }
    const end = line.indexOf(comma, at);
    cell += line.slice(at, end < 0 ? line.length : end);
    if (cell.length > LONGEST_CELL) throw new UserError(`${file}: damaged table (a cell of ${cell.length} letters)`);
    cells.push(cell);
    at = end < 0 ? line.length + 1 : end + 1;
  }
  return cells;
}

const MISSING = ['', 'nan', 'none', 'null', 'na', 'n/a', '<na>', '#n/a', '-', '--', '?', '.', 'missing'];
const isMissing = (cell) => MISSING.includes(cell.toLowerCase());
const IN_BRACKETS = /^[([]([^()[\]]{3,200})[)\]]$/;
const NUMBERS = / *[,;] *| +/; // between numbers

/** Return whether a cell has a number, numbers in brackets, or a word for a missing one. */
const isValue = (cell) => toNumber(cell) !== null || (/^[([{]/.test(cell) && /[0-9]/.test(cell)) || (cell && isMissing(cell));

/** Split a table into column names (none without a header) and rows, and return whether it is DeepLabCut's. */
function header(rows, file, { csv: { frame, image, row }, points }) {
  const isFrame = (name) => [...frame, ...image, ...row].includes(letters(name));
  const first = rows[0].cells;
  if (first[0].toLowerCase() === 'scorer' && rows.length > 2) return deepLabCut(rows, file);
  if (first.every((cell) => !cell || toNumber(cell) !== null) && first.some(Boolean)) {
    const isNumbered = first.length > 2 * points.minNames
      && first.every((cell, index) => cell === String(index - (first[0] ? 0 : 1)) || (index === 0 && !cell));
    return { names: [], body: isNumbered && rows.length > 1 ? rows.slice(1) : rows, isDeepLabCut: false }; // by pandas
  }
  let [names, body] = [first, rows.slice(1)];
  const isAxis = (cell) => ['x', 'y', 'z', ...points.confidences].includes(cell.toLowerCase());
  if (rows.length > 3 && names.length > FEW_ROWS && rows[2].cells.slice(1).every(isAxis)) {
    const filled = [rows[0], ...rows.slice(0, 2).map((row) => ({ where: row.where, cells: filledCells(row.cells) })), rows[2]];
    const isIndex = !rows[3].cells.slice(1).some(Boolean); // the name of the index
    return { ...individuals([...filled, ...rows.slice(isIndex ? 4 : 3)], file), isDeepLabCut: false };
  }
  if (body.length && names.length === body[0].cells.length && names.length > FEW_ROWS && body[0].cells.slice(1).every(isAxis)) {
    return twoLines(names, body, isAxis);
  }
  if (body.length && names.length === body[0].cells.length - 1) {
    if (endsEmpty(isFrame(names[0]), body)) {
      body = body.map(({ where, cells }) => ({ where, cells: cells.at(-1) ? cells : cells.slice(0, -1) }));
    } else { // the header does not name the index column
      names = ['', ...names];
    }
  }
  names = names.map((name, index) => name || `column_${index}`);
  if (names[0] === 'column_0' && !names.some(isFrame)) names[0] = 'frame';
  const second = body.length ? body[0].cells : [];
  const isUnits = second.filter(Boolean).length > 1
    && !second.some(isValue);
  return { names, body: isUnits ? body.slice(1) : body, isDeepLabCut: false };
}

/** Repeat each name of a header's line in the empty cells after it. */
function filledCells(cells) {
  const filled = cells.slice(0, 1);
  for (const cell of cells.slice(1)) filled.push(cell || filled.at(-1));
  return filled;
}

/** Join the joints of a header's first line, which need not be repeated, with the axes of the second. */
function twoLines(parts, body, isAxis) {
  const axes = body[0].cells;
  const first = isAxis(axes[0]) ? 0 : 1;
  const names = [];
  let joint = '';
  parts.forEach((part, index) => {
    joint = part || joint;
    names.push(index < first ? 'frame' : `${joint}_${axes[index]}`);
  });
  const isIndex = body.length > 1 && !body[1].cells.slice(1).some(Boolean); // the name of the index
  return { names, body: body.slice(isIndex ? 2 : 1), isDeepLabCut: false };
}

/** Return whether rows with one more cell than the header end with a comma, rather than begin with a line number. */
function endsEmpty(isNamed, body) {
  if (body.some(({ cells }) => cells.at(-1) !== '')) return false;
  const counts = [0, 1].some((first) => body.every(({ cells }, index) => cells[0] === String(first + index)));
  return !counts || isNamed;
}

function deepLabCut(rows, file) {
  const parts = rows[1].cells;
  const found = parts.findIndex((part, index) => index > 0 && part);
  const index = found < 0 ? 1 : found; // the columns before it name the image
  const cells = rows.map((row) => ({
    where: row.where, cells: [row.cells.slice(0, index).filter(Boolean).join('/'), ...row.cells.slice(index)],
  }));
  const kinds = cells.slice(1, 4).map((row) => row.cells[0].toLowerCase());
  if (kinds[0] === 'bodyparts' && kinds[1] === 'coords') {
    const [names, axes] = [cells[1].cells.slice(1), cells[2].cells.slice(1)];
    const joined = names.slice(0, axes.length).map((part, column) => `${part}_${axes[column]}`);
    return { names: [index > 1 ? 'image' : 'frame', ...joined], body: cells.slice(3), isDeepLabCut: true };
  }
  if (kinds.join() === 'individuals,bodyparts,coords') return individuals(cells, file);
  throw new UserError(`${file}: found DeepLabCut's header with ${listed(kinds)}, expected bodyparts, coords`);
}

/** Convert DeepLabCut's table of several individuals to one with a line for each individual in each frame. */
function individuals(rows, file) {
  const [animals, parts, axes] = rows.slice(1, 4).map((row) => row.cells);
  if (animals.length !== parts.length || parts.length !== axes.length) {
    throw new UserError(`${file}: found header lines of ${animals.length}, ${parts.length} and ${axes.length} columns, `
      + 'expected equal numbers');
  }
  const columns = new Map();
  for (let column = 1; column < animals.length; column += 1) {
    if (!columns.has(animals[column])) columns.set(animals[column], new Map());
    columns.get(animals[column]).set(`${parts[column]}_${axes[column]}`, column);
  }
  const names = [...new Set([...columns.values()].flatMap((own) => [...own.keys()]))];
  if (names.length * columns.size > 4 * animals.length) {
    throw new UserError(`${file}: found individuals with different body parts, expected the same for all`);
  }
  const body = rows.slice(4).flatMap(({ where, cells }) => {
    if (cells.length !== animals.length) {
      throw new UserError(`${where}: found ${cells.length} columns, expected ${animals.length} as in line 2`);
    }
    return [...columns].map(([animal, own]) => ({
      where, cells: [cells[0], animal, ...names.map((name) => (own.has(name) ? cells[own.get(name)] : ''))],
    }));
  });
  return { names: ['frame', 'individual', ...names], body, isDeepLabCut: true };
}

/** Name the columns of a table without a header: an optional frame number, then x, y or x, y, confidence of each joint. */
function unnamed(body, file, { formats }) {
  const width = body[0].cells.length;
  if (width < 3) {
    throw new UserError(`${body[0].where}: found ${shown(body[0].cells.join(','))}, expected frame, x, y, ...`);
  }
  const rows = body.filter(({ cells }) => cells.length === width);
  const values = rows.map(({ where, cells }) => cells.map((cell) => numberOf(cell, where)));
  const isCounted = values.length > 1 && values.every((row, index) => index === 0 || row[0] - values[index - 1][0] === 1);
  const isWhole = values.every((row) => row[0] >= 0 && row[0] === Math.floor(row[0]));
  const before = frameAndPerson(values);
  const starts = [...(isCounted || isWhole ? [1] : []), ...(before ? [2] : []), ...(isCounted ? [] : [0])];
  const options = ['xyc', 'xyzc', 'xy', 'xyz'].flatMap((axes) => starts.map((first) => ({ axes, first, isKnown: true })));
  const others = ['xyc', 'xy'].map((axes) => ({ axes, first: 1, isKnown: false }));
  for (const { axes, first, isKnown } of [...options, ...others]) {
    const count = Math.floor((width - first) / axes.length);
    const most = (width - first) % 2 ? 100 : 1; // an odd number of columns cannot be pairs
    const isSure = values.every((row) => row.every((value, column) =>
      (column - first + 1) % axes.length || column < first || !(value < 0 || value > most)));
    if ((width - first) % axes.length || (isKnown && !formats.numbers.includes(count)) || (axes.endsWith('c') && !isSure)) {
      continue;
    }
    const names = Array.from({ length: width - first }, (_, index) =>
      `joint${Math.floor(index / axes.length)}_${axes[index % axes.length]}`);
    return [...(first === 2 ? before : Array(first).fill('frame')), ...names];
  }
  throw new UserError(`${file}: found ${width - 1} columns of keypoints, expected x, y or x, y, confidence of each joint; `
    + nearest([], formats.tables, formats));
}

/** Return which of the first two columns are frame numbers and few ids of people; null if they are not. */
function frameAndPerson(values) {
  if (!values.every((row) => row.slice(0, 2).every((value) => value >= 0 && Number.isInteger(value)))) return null;
  for (const [frame, person] of [[0, 1], [1, 0]]) {
    const groups = new Map();
    for (const row of values) listOf(groups, row[person]).push(row[frame]);
    if (range(groups.keys())[1] >= MOST_IDS || groups.size > values.length / 2) continue;
    const steps = [...groups.values()].flatMap(differences);
    if (steps.every((step) => step > 0) && median(steps) === 1) return frame ? ['person', 'frame'] : ['frame', 'person'];
  }
  return null;
}

/** Rename the axes u and v, px and py, col and row to x and y, in a table without other axes. */
function withUsualAxes(names, tables) {
  if (names.some((name) => split(name, tables).axis === 'x')) return names;
  for (const pair of tables.csv.otherAxes) {
    const [x, y] = pair.map((word) => new RegExp(`(?<![a-z])${word}(?![a-z])`, 'i'));
    const count = (axis) => names.filter((name) => axis.test(name)).length;
    if (count(x) && count(x) === count(y)) {
      return names.map((name) => (y.test(name) ? name.replace(y, 'y') : name.replace(x, 'x')));
    }
  }
  return names;
}

/** Number axes that repeat without names of joints, such as x, y, x, y, or x, y, x.1, y.1 as pandas writes them. */
function withNumbers(names, { points }) {
  const bare = names.map((name) => name.replace(/[._][0-9]{1,4}$/, ''));
  const first = bare.findIndex((name) => name.toLowerCase() === 'x');
  if (first < 0 || names[first] !== bare[first]) return names; // or the first joint has a number
  const axes = bare.slice(first);
  const size = axes.indexOf(axes[0], 1);
  const isAxis = (name) => ['x', 'y', 'z', ...points.confidences].includes(name.toLowerCase());
  const isEven = size >= 2 && size <= 4 && axes.length % size === 0 && axes.length / size >= points.minNames
    && axes.every((name, index) => isAxis(name) && name === axes[index % size])
    && axes.slice(0, size).some((name) => name.toLowerCase() === 'y');
  if (!isEven) return names;
  return [...names.slice(0, first), ...axes.map((name, index) => `joint${Math.floor(index / size)}_${name}`)];
}

/**
 * Return the lines of the body, in a table with one line per joint that also has lines of hands and faces.
 *
 * All lines are kept if those of the body are not as many joints as a layout's: a face may be the nose, eyes and ears.
 */
function ofBodies(names, rows, tables) {
  const { csv } = tables;
  const wordOf = (cell) => letters(cell).replace(/landmarks$/, '');
  for (const [column, name] of names.entries()) {
    const cells = csv.partsColumns.includes(letters(name)) ? rows.map((row) => row.cells[column]) : [];
    const words = [...new Set(cells.map(wordOf))];
    const areParts = words.every((word) => csv.bodyParts.includes(word) || csv.otherParts.includes(word));
    if (new Set(cells).size > 1 && areParts && words.some((word) => csv.bodyParts.includes(word))) {
      const body = rows.filter((_, row) => csv.bodyParts.includes(wordOf(cells[row])));
      const joint = jointColumn(columnsOf(names, rows, tables), rows, tables.points.jointKeys);
      const count = joint === null ? 0 : new Set(body.map((row) => row.cells[joint])).size;
      return joint === null || tables.formats.numbers.includes(count) ? body : rows;
    }
  }
  return rows;
}

/** Split columns of cells such as (x, y) or [x, y, confidence] into a column for each number. */
function cellsApart(names, rows, { points }) {
  const numbers = (cell) => IN_BRACKETS.exec(cell)?.[1].trim().split(NUMBERS);
  const sizes = names.map((_, column) => {
    const found = rows.map(({ cells }) => cells[column]).filter((cell) => !isMissing(cell));
    const size = found.length ? numbers(found[0])?.length : 0;
    return (size === 2 || size === 3) && found.every((cell) => numbers(cell)?.length === size) ? size : 0;
  });
  if (sizes.filter(Boolean).length < points.minNames) return { names, rows };
  return {
    names: names.flatMap((name, column) => (sizes[column] ? [...'xyc'].slice(0, sizes[column]).map((axis) => `${name}_${axis}`)
      : [name])),
    rows: rows.map(({ where, cells }) => ({
      where, cells: cells.flatMap((cell, column) => (sizes[column] ? numbers(cell) ?? Array(sizes[column]).fill('') : [cell])),
    })),
  };
}

/** Return the detected people of a table, given the names of its columns, if it has any, and its lines. */
export function peopleOf(givenNames, givenRows, file, tables, warn) {
  const every = givenNames.length || !givenRows.length ? givenNames : unnamed(givenRows, file, tables);
  const own = peopleApart(withNumbers(withUsualAxes(every, tables), tables), ofBodies(every, givenRows, tables), tables);
  const timed = withSeconds(own.names, own.rows, file, tables, warn);
  const { names, rows } = cellsApart(timed.names, timed.rows, tables);
  const at = columnsOf(names, rows, tables);
  const people = new Set(rows.map(({ cells }) => personOf(at, cells)));
  const numbersLines = at.track !== null && rows.length > FEW_ROWS && people.size === rows.length;
  const parts = names.map((name) => split(name, tables));
  const axes = parts.map(({ part, axis }) => (axis && !part ? axis : null));
  const joints = new Set(parts.filter(({ part, axis }) => part && axis === 'x').map(({ part }) => part));
  if (axes.includes('x') && axes.includes('y') && joints.size < tables.points.minNames) {
    let joined = numbersLines ? { ...at, track: null } : at;
    const joint = jointColumn(joined, rows, tables.points.jointKeys);
    if (joint !== null) {
      joined = joint === joined.track ? { ...joined, track: null } : joined;
      return long(axes, rows, numbered(joined, rows, file, joint, warn), joint, tables);
    }
  }
  const columns = numbersLines ? { ...at, frame: at.frame ?? at.track, track: null } : at;
  return wide(rows, columns, file, tables, warn);
}

/** Return the detected people of a table with one line per person and frame. */
function wide(rows, columns, file, tables, warn) {
  const { confidences } = tables.points;
  const places = new Map();
  columns.names.forEach((name, column) => {
    const { part, axis } = split(name, tables);
    const { frame, track, video, time } = columns;
    if ([frame, track, video, time].includes(column) || axis === null || !part) return;
    if (!places.has(part)) places.set(part, [-1, -1, -1, -1]);
    const place = places.get(part);
    const isSure = confidences.includes(axis);
    if (isSure && !holds(rows, column)) return;
    const before = isSure && place[2] >= 0 ? confidences.indexOf(split(columns.names[place[2]], tables).axis) : -1;
    if (before < 0 || before > confidences.indexOf(axis)) place[axisOf(axis)] = column;
  });
  const kept = [...places].filter(([, place]) => place[0] >= 0 && place[1] >= 0);
  if (!kept.length) {
    throw new UserError(`${file}: found the columns ${shown(columns.names.join(','))}, expected x and y of each joint, as `
      + `nose_x, nose_y; ${nearest(columns.names.map(letters), tables.formats.tables, tables.formats)}`);
  }
  const at = numbered(columns, rows, file, null, warn);
  const counts = new Map();
  const isSure = kept.some(([, place]) => place[2] >= 0);
  const depths = isSure ? [] : kept.map(([, place]) => place[3]).filter((column) => column >= 0);
  const names = kept.map(([part]) => part);
  return rows.map(({ where, cells }) => {
    const [track, clip] = [personOf(at, cells), clipOf(at, cells)];
    const key = JSON.stringify([clip, track]);
    const number = counts.get(key) ?? 0;
    const picture = pictureOf(at, cells, number, where);
    counts.set(key, number + 1);
    const values = Float64Array.from(kept.flatMap(([, place]) =>
      place.slice(0, 3).map((column) => (column < 0 ? 1 : numberOf(cells[column], where)))));
    const hasDepth = isDepth(depths.map((column) => numberOf(cells[column], where)));
    return { picture, track, values, names, hasDepth, clip, size: null, clock: clockOf(at, cells) };
  });
}

/** Return whether any line has a value in a column. */
const holds = (rows, column) => rows.some(({ cells }) => !isMissing(cells[column]));

/** Return the place of an axis: x, y, confidence, z. */
const axisOf = (axis) => ({ x: 0, y: 1, z: 3 })[axis] ?? 2;

/** Return the detected people of a table with one line per joint. */
function long(axes, rows, at, joint, tables) {
  const place = (axis) => (axes.includes(axis) ? axes.indexOf(axis) : null);
  const sureName = tables.points.confidences.find((name) => axes.includes(name) && holds(rows, axes.indexOf(name)));
  const sure = sureName === undefined ? null : place(sureName);
  const columns = [place('x'), place('y'), sure, sure === null ? place('z') : null];
  const people = new Map();
  const clocks = new Map(); // of the last line of each picture
  for (const { where, cells } of rows) {
    const picture = pictureOf(at, cells, 0, where);
    const [clip, track] = [clipOf(at, cells), personOf(at, cells)];
    const key = JSON.stringify([clip, picture, track]);
    if (!people.has(key)) people.set(key, { clip, picture, track, joints: new Map() });
    const { joints } = people.get(key);
    if (joints.has(cells[joint])) {
      throw new UserError(`${where}: found ${shown(cells[joint])} twice in frame ${picture}, expected each joint once`);
    }
    joints.set(cells[joint], columns.map((column) => (column === null ? 1 : numberOf(cells[column], where))));
    clocks.set(JSON.stringify([clip, picture]), clockOf(at, cells));
  }
  const names = [...new Set([...people.values()].flatMap((person) => [...person.joints.keys()]))];
  const missing = [NaN, NaN, 0, NaN];
  return [...people.values()].map(({ clip, picture, track, joints }) => {
    const values = names.map((name) => joints.get(name) ?? missing);
    return {
      picture,
      track,
      values: Float64Array.from(values.flatMap((value) => value.slice(0, 3))),
      names,
      hasDepth: isDepth(values.map((value) => value[3])),
      clip,
      size: null,
      clock: clocks.get(JSON.stringify([clip, picture])),
    };
  });
}

/** Convert a cell to a number; NaN for an empty cell. */
function numberOf(cell, where) {
  if (isMissing(cell)) return NaN;
  const value = toNumber(cell);
  if (value === null) throw new UserError(`${where}: found ${shown(cell)}, expected a number`);
  return value;
}
