// Read NumPy's .npy and .npz files: numbers and text. Python objects, which are stored as pickles, are not read.

import { UserError } from './errors.js';
import { isPrintable, shown } from './text.js';

const MAGIC = '\x93NUMPY';
const LONGEST_HEADER = 10000;
const MOST_AXES = 32;
const SIZES = { f: [2, 4, 8], i: [1, 2, 4, 8], u: [1, 2, 4, 8] };
const NAMES = { f: 'float', i: 'int', u: 'uint', b: 'bool', c: 'complex', U: 'text', S: 'bytes', O: 'objects' };

/**
 * @typedef {object} NumPyArray
 * @property {number[]} shape
 * @property {string} kind f, i, u (numbers), b (bool), U (text), O (objects), or another letter of NumPy
 * @property {string} type as NumPy names it, for messages
 * @property {?Float64Array} numbers in C order, of the kinds f, i and u
 * @property {?string} text of the first entry of the kind U
 * @property {?string[]} texts of all entries of the kind U
 */

/**
 * Read an .npy file.
 *
 * @param {Uint8Array} bytes
 * @param {string} where begins messages
 * @param {boolean} isExact whether there may be no bytes after the data
 * @returns {NumPyArray}
 */
export function readNpy(bytes, where, isExact = false) {
  const fail = (text) => {
    throw new UserError(`${where}: damaged, cut short or another kind of file, expected an .npy array (${text})`);
  };
  if (bytes.length < 10 || latin(bytes.subarray(0, 6)) !== MAGIC) fail('no NumPy file');
  const [version, minor] = [bytes[6], bytes[7]];
  if (![1, 2, 3].includes(version) || minor !== 0 || (isExact && version === 3)) fail(`version ${version}.${minor}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = version === 1 ? 10 : 12;
  if (bytes.length < start) fail('no header');
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > LONGEST_HEADER || start + length > bytes.length) fail('a header that is too long');
  const header = headerOf(latin(bytes.subarray(start, start + length)));
  if (!header) fail('an unknown header');
  const { shape, order, kind, width, isFortran } = header;
  const count = shape.reduce((product, size) => product * size, 1);
  const data = bytes.subarray(start + length);
  const type = `${NAMES[kind] ?? kind}${'fiuc'.includes(kind) ? 8 * width : ''}`;
  if (kind === 'O') return { shape, kind, type, numbers: null, text: null };
  const size = count * (kind === 'U' ? 4 * width : width);
  if (isExact ? data.length !== size : data.length < size) fail(`${data.length} bytes of data for shape (${shape.join(', ')})`);
  if (SIZES[kind]) {
    if (!SIZES[kind].includes(width)) throw new UserError(`${where}: found ${type}, expected numbers of at most 64 bits`);
  }
  const text = kind === 'U' && count ? textOf(data.subarray(0, 4 * width), order, fail) : null;
  const decoded = () => decode(data, kind, width, order, count);
  return {
    shape,
    kind,
    type,
    text,
    get texts() {
      const each = (_, index) => textOf(data.subarray(4 * width * index, 4 * width * (index + 1)), order, fail);
      return kind === 'U' ? Array.from({ length: count }, each) : null;
    },
    get numbers() { // when they are needed: they may take more memory than the file
      if (!SIZES[kind]) return null;
      return isFortran ? inCOrder(decoded(), shape) : decoded();
    },
  };
}

const latin = (bytes) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');

/** Parse the header, a Python dict such as {'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }; null if it is none. */
function headerOf(text) {
  const inside = /^[ \t]*\{(.*)\}[ \t\n]*$/s.exec(text);
  if (!inside) return null;
  const found = {};
  const value = /((['"])[^'"\\]*\4|True|False|\([0-9, \t]*\))/.source;
  const field = new RegExp(`[ \\t]*(['"])(descr|fortran_order|shape)\\1[ \\t]*:[ \\t]*${value}[ \\t]*(?:,|$)`, 'y');
  const rest = inside[1];
  let at = 0;
  while (at < rest.length && /[^ \t]/.test(rest.slice(at))) {
    field.lastIndex = at;
    const one = field.exec(rest);
    if (!one || Object.hasOwn(found, one[2])) return null;
    [, , , found[one[2]]] = one;
    at = field.lastIndex;
  }
  const type = /^['"]([<>|=]?)([a-zA-Z?])([0-9]*)(\[.*\])?['"]$/.exec(found.descr ?? '');
  const shape = /^\(( *[0-9]+ *(, *[0-9]+ *)*,? *)?\)$/.exec(found.shape ?? '');
  if (!type || !shape || !['True', 'False'].includes(found.fortran_order)) return null;
  const numbers = (shape[1] ?? '').split(',').filter((word) => word.trim()).map(Number);
  if ((numbers.length === 1 && !shape[1].includes(',')) || numbers.length > MOST_AXES) return null;
  const kind = type[2] === '?' ? 'b' : type[2];
  const width = type[2] === '?' ? 1 : Number(type[3] || (SIZES[kind] ? 4 : 0));
  return { shape: numbers, order: type[1], kind, width, isFortran: found.fortran_order === 'True' };
}

/** Convert the bytes of numbers to numbers. */
function decode(bytes, kind, width, order, count) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = order !== '>';
  const bits = 8 * width;
  const get = {
    f: {
      16: (at) => half(view.getUint16(at, little)), 32: (at) => view.getFloat32(at, little),
      64: (at) => view.getFloat64(at, little),
    },
    i: {
      8: (at) => view.getInt8(at), 16: (at) => view.getInt16(at, little), 32: (at) => view.getInt32(at, little),
      64: (at) => Number(view.getBigInt64(at, little)),
    },
    u: {
      8: (at) => view.getUint8(at), 16: (at) => view.getUint16(at, little), 32: (at) => view.getUint32(at, little),
      64: (at) => Number(view.getBigUint64(at, little)),
    },
  }[kind][bits];
  const made = new Float64Array(count);
  for (let index = 0; index < count; index += 1) made[index] = get(index * width);
  return made;
}

/** Convert the bits of a number of 16 bits. */
function half(bits) {
  const [sign, power, rest] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (power === 31) return rest ? NaN : sign * Infinity;
  return sign * (power ? 2 ** (power - 15) * (1 + rest / 1024) : 2 ** -14 * (rest / 1024));
}

/** Reorder numbers whose first axis varies fastest. */
function inCOrder(numbers, shape) {
  const made = new Float64Array(numbers.length);
  const place = shape.map(() => 0);
  for (let index = 0; index < made.length; index += 1) {
    let at = 0;
    for (let axis = shape.length - 1; axis >= 0; axis -= 1) at = at * shape[axis] + place[axis];
    made[index] = numbers[at];
    for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
      place[axis] += 1;
      if (place[axis] < shape[axis]) break;
      place[axis] = 0;
    }
  }
  return made;
}

function textOf(bytes, order, fail) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const codes = [];
  for (let at = 0; at < bytes.length; at += 4) codes.push(view.getUint32(at, order !== '>'));
  if (codes.some((code) => code > 0x10ffff || (code & ~0x7ff) === 0xd800)) fail('text that is not Unicode');
  while (codes.at(-1) === 0) codes.pop();
  return codes.map((code) => String.fromCodePoint(code)).join('');
}

/**
 * Read an .npz file.
 *
 * @param {Uint8Array} bytes
 * @param {string} file its name
 * @param {import('./people.js').Budget} budget
 * @returns {Promise<Map<string, NumPyArray>>}
 */
export async function readNpz(bytes, file, budget) {
  const arrays = new Map();
  for (const entry of entriesOf(bytes, file, budget)) {
    if (!entry.name.endsWith('.npy')) {
      throw new UserError(`${file}: found ${shown(entry.name)}, expected only .npy entries, as in a NumPy .npz archive`);
    }
    const name = entry.name.slice(0, -'.npy'.length);
    if (arrays.has(name)) throw new UserError(`${file}: found two entries of one name, expected different names`);
    arrays.set(name, readNpy(await contentOf(entry, file), `${file}: ${isPrintable(name) ? name : shown(name)}`, true));
  }
  return arrays;
}

/** List the entries of a zip archive. */
function entriesOf(bytes, file, budget) {
  const fail = (text) => {
    throw new UserError(
      `${file}: damaged, cut short or another kind of file, expected a NumPy .npz archive (${text})`);
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length - 22;
  while (end >= 0 && end > bytes.length - 65558 && view.getUint32(end, true) !== 0x06054b50) end -= 1;
  if (end < 0 || view.getUint32(end, true) !== 0x06054b50) fail('no zip archive');
  const count = view.getUint16(end + 10, true);
  const [length, declared] = [12, 16].map((offset) => view.getUint32(end + offset, true));
  if (count === 0xffff || declared === 0xffffffff) fail('more than 4 GB');
  const start = end - length;
  const shift = start - declared; // bytes before the archive
  if (start < 0 || shift < 0) fail('no list of its entries');
  const entries = [];
  for (let at = start; at < end;) {
    if (at + 46 > end || view.getUint32(at, true) !== 0x02014b50) fail('a damaged list of its entries');
    const [flags, method] = [view.getUint16(at + 8, true), view.getUint16(at + 10, true)];
    const [crc, packed, size] = [16, 20, 24].map((offset) => view.getUint32(at + offset, true));
    const [nameLength, extra, comment] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    const local = view.getUint32(at + 42, true) + shift;
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength)).replace(/\0.*$/s, '');
    if (size === 0xffffffff || packed === 0xffffffff) fail('an entry of more than 4 GB');
    if (flags & 1) fail('an encrypted entry');
    if (method !== 0 && method !== 8) fail('an entry compressed in a way that NumPy does not use');
    if (local + 30 > start || view.getUint32(local, true) !== 0x04034b50) fail('a damaged entry');
    const data = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    const ownName = bytes.subarray(local + 30, local + 30 + view.getUint16(local + 26, true));
    if (new TextDecoder().decode(ownName).replace(/\0.*$/s, '') !== name) fail('an entry with two names');
    if (data + packed > start) fail('an entry that is cut short');
    budget.charge(size);
    entries.push({ name, method, crc, size, data: bytes.subarray(data, data + packed) });
    at += 46 + nameLength + extra + comment;
  }
  return entries;
}

/** Unpack an entry of a zip archive, and check its size and checksum. */
async function contentOf({ name, method, crc, size, data }, file) {
  const found = method === 0 ? data : await inflated(data, size);
  if (!found || found.length !== size || checksum(found) !== crc) {
    throw new UserError(`${file}: ${shown(name)}: damaged or cut short, expected the data of a NumPy .npz archive`);
  }
  return found;
}

/** Unpack data of a known size; null if it is damaged or larger. */
async function inflated(data, size) {
  const made = new Uint8Array(size);
  let at = 0;
  try {
    const reader = new Blob([data]).stream().pipeThrough(new DecompressionStream('deflate-raw')).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return at === size ? made : null;
      if (at + value.length > size) {
        await reader.cancel();
        return null;
      }
      made.set(value, at);
      at += value.length;
    }
  } catch {
    return null;
  }
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit += 1) remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1;
  return remainder;
});

/** Return the CRC-32 of bytes. */
function checksum(bytes) {
  let remainder = 0xffffffff;
  for (const byte of bytes) remainder = (remainder >>> 8) ^ TABLE[(remainder ^ byte) & 255];
  return (remainder ^ 0xffffffff) >>> 0;
}
