// Split tables whose lines contain several people into a line for each person, as srnet_jax/keypoints/csv_people.py.

import { median } from './numbers.js';
import { letters, toNumber } from './text.js';

const BEFORE = /^(\p{L}+[ _-]?([0-9]{1,4})[ _.:/-]+)(.+)$/su; // person1_nose_x, p0.nose_x
const AFTER = /^(.+?)[._]([0-9]{1,4})$/s; // nose_x.1, as pandas numbers columns of the same name

/** Return a table's names and lines with one line for each person, if its columns name several people. */
export function peopleApart(names, rows, tables) {
  const named = different(names);
  const bases = new Set(named.map((name) => AFTER.exec(name)?.[1]));
  const repeated = new Set(names.filter((name) => bases.has(name)));
  const before = (name) => {
    const found = BEFORE.exec(name);
    return found && tables.csv.person.includes(letters(found[1])) ? [found[2], found[3]] : null;
  };
  const after = (name) => {
    const found = AFTER.exec(name);
    if (found && repeated.has(found[1])) return [found[2], found[1]];
    return repeated.has(name) ? ['0', name] : null;
  };
  for (const own of [before, after]) {
    const every = new Map();
    named.forEach((name, column) => {
      const [person, rest] = own(name) ?? [];
      if (person === undefined) return;
      if (!every.has(person)) every.set(person, new Map());
      if (!every.get(person).has(rest)) every.get(person).set(rest, column);
    });
    const people = new Map([...every].filter(([, columns]) => columnsOfX(columns).length >= tables.points.minNames));
    if (people.size > 1 && areAlike([...people.values()], rows, tables)) return apart(names, rows, people);
  }
  return { names, rows };
}

/** Number names that repeat, as pandas does: x, x.1, x.2. */
function different(names) {
  const seen = new Map();
  return names.map((name) => {
    const count = seen.get(name) ?? 0;
    seen.set(name, count + 1);
    return count ? `${name}.${count}` : name;
  });
}

const columnsOfX = (columns) => [...columns].filter(([name]) => name.toLowerCase().split(/[^a-z]+/).includes('x'))
  .map(([, column]) => column);

/** Return whether the coordinates of all people are pixels, or fractions of the image size. */
function areAlike(people, rows, { tracks }) {
  const shares = people.flatMap((columns) => {
    const own = columnsOfX(columns);
    const numbers = rows.flatMap(({ cells }) => own.map((column) => Math.abs(toNumber(cells[column]) ?? NaN)))
      .filter((number) => number > 0 && Number.isFinite(number));
    return numbers.length ? [median(numbers) <= tracks.maxNormalised] : [];
  });
  return new Set(shares).size < 2;
}

function apart(names, rows, people) {
  const used = new Set([...people.values()].flatMap((columns) => [...columns.values()]));
  const common = [...names.keys()].filter((column) => !used.has(column));
  const own = [...new Set([...people.values()].flatMap((columns) => [...columns.keys()]))];
  return {
    names: [...common.map((column) => names[column]), 'person_id', ...own],
    rows: rows.flatMap(({ where, cells }) => [...people].map(([person, columns]) => ({
      where,
      cells: [
        ...common.map((column) => cells[column]),
        person,
        ...own.map((name) => (columns.has(name) ? cells[columns.get(name)] : '')),
      ],
    }))),
  };
}
