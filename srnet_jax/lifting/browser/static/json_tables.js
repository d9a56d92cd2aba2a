// Convert between JSON and tables, as srnet_jax/keypoints/json_tables.py.

import { split } from './csv_columns.js';
import { countsFrames } from './joint_order.js';
import { isList, isMap, parse, withKnownKeys } from './json.js';
import { isJoints, isNumber, jointName } from './points.js';
import { isDecimal, strip } from './text.js';

const WORDS = { None: 'null', True: 'true', False: 'false', nan: 'NaN' }; // of Python
const AXES = ['x', 'y', 'confidence', 'score', 'visibility', 'c', 'conf', 'likelihood'];

const isCell = (value) => value === null || isNumber(value) || typeof value === 'string';

/** Return a file's content with a list of frames in place of columns or of each joint's frames; other content as it is. */
export function byFrame(content, rules) {
  if (!isMap(content)) return content;
  const lines = splitLines(content, rules);
  if (lines) return lines;
  const values = [...content.values()];
  const isAlike = values.length > 1 && values.every((one) => isMap(one) && hasSameKeys(one, values[0]));
  if (isAlike && areColumns(values[0].keys(), rules) && [...values[0].values()].every(isCell)) { // lines by index
    const isNumbered = (one) => rules.formats.frameKeys.some((key) => one.has(key));
    return [...content].map(([key, one]) => (isNumbered(one) ? one : new Map([['frame', key], ...one])));
  }
  const frames = transposed(content, rules);
  if (frames) {
    const rest = [...content].filter(([, value]) => !isList(value) && !isMap(value));
    return rest.length ? new Map([...rest, ['frames', frames]]) : frames;
  }
  for (const key of rules.formats.pointKeys) {
    const own = isMap(content.get(key)) ? transposed(content.get(key), rules) : null;
    if (own) return new Map([...content, [key, own]]);
    if (areFrames(content.get(key)) && !content.has('frames') && !content.has('skeleton')) { // by number
      return new Map([...[...content].filter(([name]) => name !== key), ['frames', content.get(key)]]);
    }
  }
  return content;
}

/** Return whether a value is an object of frames, with their numbers as keys, and not the joints of one person. */
const areFrames = (value) => isMap(value) && value.size > 0 && [...value.keys()].every(isDecimal) && !isJoints(value);

const hasSameKeys = (one, other) => one.size === other.size && [...one.keys()].every((key) => other.has(key));

/** Return the lines of a table that pandas split from its columns' names or described by a schema; null for others. */
function splitLines(content, { formats }) {
  const [names, lines] = [content.get('columns'), content.get('data')];
  if (!isList(lines) || !lines.length) return null;
  const keys = [...content.keys()];
  if (keys.length === 2 && content.has('schema')) return lines;
  if (!isList(names) || !keys.every((key) => ['columns', 'index', 'data'].includes(key))) return null;
  if (!names.every((name) => typeof name === 'string') || !lines.every(isList)) return null;
  return lines.map((one) => withKnownKeys(new Map(names.slice(0, one.length).map((name, index) => [name, one[index]])),
    formats.spellings));
}

/** Return whether names are those of a table's columns. */
function areColumns(names, rules) {
  const found = [...names].map((name) => split(name, rules)).filter(({ part, axis }) => axis === 'x' && part);
  return found.length >= rules.points.minNames;
}

/** Return the lines of a table that is given as an object of columns; null for other objects. */
function transposed(columns, rules) {
  const given = [...columns].filter(([, value]) => isList(value) || isMap(value)).map(([key, value]) => [key, cellsOf(value)]);
  if (given.some(([, cells]) => cells === null) || new Set(given.map(([, cells]) => cells.length)).size !== 1) return null;
  const joints = given.filter(([key]) => jointName(key, rules.points) !== null);
  const areJoints = joints.length >= rules.points.minNames && joints.every(([, cells]) => cells.every(isJoint));
  const isFlat = areColumns(given.map(([key]) => key), rules) && given.every(([, cells]) => cells.every(isCell));
  const points = rules.formats.pointKeys.filter((key) => columns.has(key)).map((key) => columns.get(key));
  const isNumbered = [...columns.values()].every(isMap) && points.length > 0 && !points.some(isJoints);
  const count = given[0][1].length;
  if (!count || !(areJoints || isFlat || (isNumbered && columns.size > 1))) return null;
  return Array.from({ length: count }, (_, row) => new Map(given.map(([key, cells]) => [key, cells[row]])));
}

/** Return the cells of a column: a list, an object with the numbers of lines as keys, or an object of x and y of a joint. */
function cellsOf(value) {
  if (isList(value)) return value;
  const axes = AXES.map((axis) => value.get(axis)).filter(isList);
  if (isList(value.get('x')) && isList(value.get('y')) && new Set(axes.map((axis) => axis.length)).size === 1) {
    return axes[0].map((_, row) => axes.slice(0, 3).map((axis) => axis[row]));
  }
  return [...value.keys()].every((key, index) => key === String(index)) ? [...value.values()] : null;
}

/** Return whether a value is one joint: x, y and more numbers, or an object with x and y, or nothing. */
function isJoint(cell) {
  if (isMap(cell)) {
    const keys = [...cell.keys()].map((key) => key.toLowerCase());
    return keys.includes('x') && keys.includes('y');
  }
  return cell === null || (isList(cell) && [0, 2, 3, 4].includes(cell.length) && cell.every(isCell));
}

/**
 * Return the columns and lines of a list of flat objects, as pandas writes a table; null for other files.
 *
 * A list of lines of numbers is a table without column names if each line begins with the number of its frame.
 */
export function asTable(content, file, rules, budget) {
  if (!isList(content) || !content.length) return null;
  const names = isMap(content[0]) ? [...content[0].keys()] : [];
  const isTimed = names.some((name) => rules.formats.frameKeys.includes(name));
  if (names.length && !isTimed && names.length <= 2 * rules.points.minNames) return null; // the joints of one person
  if (!names.length && !beginWithFrames(content, rules)) return null;
  const rows = [];
  for (const [number, item] of content.entries()) {
    if (names.length && (!isMap(item) || item.size !== names.length
        || ![...item.keys()].every((key, index) => key === names[index]))) return null;
    const cells = names.length ? [...item.values()] : item;
    if (!cells.every(isCell)) return null;
    budget.charge(100 * cells.length);
    rows.push({ where: `${file}: entry ${number}`, cells: cells.map((value) => (value === null ? '' : strip(String(value)))) });
  }
  return { names, rows };
}

/** Return whether each line of numbers begins with the number of its frame, and not with a joint. */
function beginWithFrames(rows, rules) {
  const isLine = (row) => isList(row) && row.length && isNumber(row[0]) && row.length === rows[0].length;
  return rows.every(isLine) && countsFrames(rows.map((row) => row[0]), rows[0].length, rules);
}

/** Return the lines of a table whose cells contain joints as JSON or as Python's text; null for other tables. */
export function withObjects(names, rows, rules) {
  const { formats } = rules;
  const known = [...withKnownKeys(new Map(names.map((name) => [name, null])), formats.spellings).keys()];
  const places = [...new Map(names.map((name, column) => [name, column])).values()];
  const isPoints = (name) => formats.pointKeys.includes(name);
  if (!known.some(isPoints) || areColumns(names, rules)) return null;
  const found = rows.map(({ cells }) => new Map(known.map((name, index) => [name, valueOf(cells[places[index]], formats)])));
  const hasPoints = found.some((one) => known.some((name) => isPoints(name) && (isList(one.get(name)) || isMap(one.get(name)))));
  return hasPoints ? found : null;
}

/** Return the value of a cell: a list or an object, a number, nothing or text. */
function valueOf(cell, { spellings }) {
  if (!cell) return null;
  const texts = [cell];
  if (/^[[{]/.test(cell)) { // JSON, or Python's text
    texts.push(cell.replaceAll("'", '"').replace(/\b(None|True|False|nan)\b/g, (word) => WORDS[word]));
  }
  for (const text of texts) {
    try {
      const value = parse(text, spellings);
      return typeof value === 'boolean' ? cell : value;
    } catch {
      // the next form
    }
  }
  return cell;
}
