// Text as Python sees it: blanks, numbers, printable letters; and quotes of files for messages.

// No pattern here may try two ways to match the same letters: that takes quadratic time in long texts.
const BLANK = /[\s\x1c-\x1f\x85]/u;
const BLANKS = /[\s\x1c-\x1f\x85]+/u;
const NUMBER = /^[-+]?([0-9]+(_[0-9]+)*(\.([0-9]+(_[0-9]+)*)?)?|\.[0-9]+(_[0-9]+)*)(e[-+]?[0-9]+(_[0-9]+)*)?$/i;
const WORD = /^([-+]?)(?:inf|infinity)$/i;
/** @type {?Map<string, string>} */
let digits = null;

/** Remove blanks from both ends. */
export function strip(text) {
  let [first, end] = [0, text.length];
  while (first < end && BLANK.test(text[first])) first += 1;
  while (end > first && BLANK.test(text[end - 1])) end -= 1;
  return text.slice(first, end);
}

/** Split at blanks. */
export const words = (text) => text.split(BLANKS).filter(Boolean);

/** Return the number of letters, as opposed to UTF-16 units. */
export const length = (text) => (text.length < 30 ? text.length : [...text].length);

/** Return the first letters. */
export const start = (text, most) => (text.length <= most ? text : [...text.slice(0, 2 * most)].slice(0, most).join(''));

/** Return whether all letters can be printed on one line. */
export const isPrintable = (text) => !/(?! )[\p{C}\p{Z}]/u.test(text);

/** Return whether a text is a number of decimal digits. */
export const isDecimal = (text) => /^\p{Nd}+$/u.test(text);

/** Return only the letters a to z of a column name or key, in lower case. */
export const letters = (name) => name.toLowerCase().replace(/[^a-z]+/g, '');

/** Convert text to a number; null if it is none. */
export function toNumber(cell) {
  let text = strip(cell);
  if (/^[-+]?[0-9]+(\.[0-9]+)?$/.test(text)) return Number(text);
  if (/\p{Nd}/u.test(text)) text = inAscii(text);
  if (NUMBER.test(text)) return Number(text.replaceAll('_', ''));
  if (/^[-+]?nan$/i.test(text)) return NaN;
  const word = WORD.exec(text);
  return word ? (word[1] === '-' ? -Infinity : Infinity) : null;
}

/** Convert the decimal digits of all scripts to those of ASCII. */
export function inAscii(text) {
  if (digits === null) {
    digits = new Map();
    for (let code = 0x660; code < 0x20000; code += 1) {
      const letter = String.fromCodePoint(code);
      if (/\p{Nd}/u.test(letter)) digits.set(letter, String(digits.size % 10));
    }
  }
  return [...text].map((letter) => digits.get(letter) ?? letter).join('');
}

/** Decode a text file: UTF-8, with or without a byte order mark, or UTF-16 with one. */
export function decoded(bytes, fatal = false) {
  const mark = (bytes[0] << 8) | bytes[1];
  if (bytes.length > 1 && (mark === 0xfffe || mark === 0xfeff)) {
    return new TextDecoder(mark === 0xfffe ? 'utf-16le' : 'utf-16be').decode(bytes);
  }
  const marked = bytes.length > 2 && mark === 0xefbb && bytes[2] === 0xbf;
  return new TextDecoder('utf-8', { fatal, ignoreBOM: true }).decode(marked ? bytes.subarray(3) : bytes);
}

/** Make text from a file safe for a message: printable, on one line and short. */
export function oneLine(value, most = 300) {
  const text = start(String(value), most + 1);
  const line = isPrintable(text) ? text : [...text].map((letter) => (isPrintable(letter) ? letter : escaped(letter))).join('');
  return length(line) <= most ? line : `${start(line, most - 3)}...`;
}

/** Quote text for a message. */
export function shown(text) {
  const short = strip(text);
  const cut = length(short) <= 60 ? short : `${start(short, 57)}...`;
  const mark = cut.includes("'") && !cut.includes('"') ? '"' : "'";
  const inner = [...cut].map((letter) =>
    (letter === '\\' || letter === mark ? `\\${letter}` : /[ -~]/.test(letter) ? letter : escaped(letter)));
  return mark + inner.join('') + mark;
}

function escaped(letter) {
  const named = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }[letter];
  const code = letter.codePointAt(0);
  const hex = (count) => code.toString(16).padStart(count, '0');
  return named ?? (code < 256 ? `\\x${hex(2)}` : code < 65536 ? `\\u${hex(4)}` : `\\U${hex(8)}`);
}

/** Describe a value of a file for a message: its type and size, or a short text or number itself. */
export function described(value) {
  if (typeof value === 'string') return shown(value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value instanceof Map) return `an object of ${value.size}`;
  if (value === null || value === undefined) return 'nothing';
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'object' && value.shape) return `${value.type} of shape (${value.shape.join(', ')})`;
  return typeof value === 'number' ? general(value) : 'a number of many digits';
}

/** List at most 12 names of a file for a message. */
export function listed(names) {
  const found = [...(names instanceof Map ? names.keys() : names)];
  const more = found.length > 12 ? ', ...' : '';
  return found.slice(0, 12).map(described).join(', ') + more || 'nothing';
}

/** Write a number with at most this many significant digits, as Python's :g does. */
export function general(value, most = 6) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  if (value === 0) return '0';
  const [mantissa, power] = value.toExponential(most - 1).split('e');
  const trimmed = (text) => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);
  if (power >= -4 && power < most) return trimmed(value.toFixed(most - 1 - power));
  return `${trimmed(mantissa)}e${power[0]}${power.slice(1).padStart(2, '0')}`;
}
