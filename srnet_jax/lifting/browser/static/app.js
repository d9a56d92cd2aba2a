/**
 * The page: files are dropped or chosen, read, lifted and shown. Text from files is only ever set as text.
 *
 * @typedef {import('./lift.js').Person} Person
 */

import { complete } from './complete.js';
import { UserError } from './errors.js';
import { lift } from './lift.js';
import { openLive } from './live.js';
import { openNetwork } from './network.js';
import { files as filesOf } from './outputs.js';
import { shownPeople } from './shown.js';
import { element } from './stage.js';
import { readGroups, videosOf } from './videos.js';
import { openPlayer } from './viewer.js';
import { warnIfImplausible } from './which_layout.js';

const LARGEST_BYTES = 500e6;
const MOST_LISTED = 1000; // videos
const BUSY_MS = 50; // after which the page may answer
const at = (id) => document.getElementById(id);
const TYPES = { '.json': 'application/json', '.csv': 'text/csv', '.bvh': 'text/plain' };

let tables; // see site.py
let network; // that lifts files
let files = []; // that were read last: {name, bytes}
let videos = []; // what they hold: {name, stem, people}
let player = null;
let job = 0; // number of the newest reading or lifting; older ones stop
let rested = 0; // when the page could answer last

start().catch(fail);

async function start() {
  const answer = await fetch('tables.json');
  tables = await answer.json();
  const { network: own, live } = tables.networks;
  network = await openNetwork('network', own);
  at('layout').append(...Object.keys(tables.layouts).map((name) => element('option', { value: name }, name)));
  at('about').textContent = `Network ${own.name}${live ? `, live ${live.name}` : ''}; run by onnxruntime-web.`;
  at('files').disabled = false;
  listen();
  openLive(() => (live ? openNetwork('live', live) : network), tables);
  say('Ready.');
  document.body.dataset.ready = '1';
}

function listen() {
  at('files').addEventListener('change', ({ target }) => {
    take([...target.files]);
    target.value = ''; // so that choosing the same file again reads it again
  });
  at('again').addEventListener('click', again);
  at('scene').addEventListener('change', show);
  for (const button of document.querySelectorAll('[data-save]')) button.addEventListener('click', () => save(button.dataset.save));
  const over = (state) => (event) => {
    event.preventDefault();
    at('drop').classList.toggle('over', state);
  };
  addEventListener('dragover', over(true));
  addEventListener('dragleave', over(false));
  addEventListener('drop', (event) => {
    over(false)(event);
    const items = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.());
    const folder = items.find((entry) => entry?.isDirectory);
    if (folder) fail(new UserError(`${folder.name}: found a folder, expected files; launch.predict reads folders`));
    else if (event.dataTransfer.files.length) take([...event.dataTransfer.files]);
  });
}

/** Read chosen files, and lift what they hold. */
async function take(chosen) {
  if (!chosen.length) return;
  const own = (job += 1);
  try {
    const size = chosen.reduce((sum, file) => sum + file.size, 0);
    if (size > LARGEST_BYTES) {
      const found = `found ${Math.round(size / 1e6)} MB, expected at most ${LARGEST_BYTES / 1e6} MB`;
      throw new UserError(`${chosen[0].name}: ${found}; launch.predict reads larger files`);
    }
    say('Reading');
    const bytes = await Promise.all(chosen.map(async (file) => new Uint8Array(await file.arrayBuffer())));
    if (own !== job) return;
    files = chosen.map(({ name }, index) => ({ name, bytes: bytes[index] }));
    for (const id of ['layout', 'fps', 'width', 'height']) at(id).value = '';
  } catch (error) {
    if (own === job) fail(error);
    return;
  }
  await run(own, chosenOptions());
}

/** Lift the same files with the options as they are now; if one is wrong, what is shown stays. */
function again() {
  try {
    const options = chosenOptions();
    return run((job += 1), options);
  } catch (error) {
    return fail(error, at('status').textContent);
  }
}

/** Read and lift the files, and show the people. */
async function run(own, options) {
  const began = performance.now();
  const [warnings, failures, found] = [[], [], []];
  const warn = (line) => warnings.push(line);
  clear();
  try {
    for (const group of await readGroups(files, tables, options)) {
      for (const line of group.warnings) warn(line);
      try {
        if (group.refused) throw new UserError(group.refused);
        const people = await lifted(own, group.tracks, warn);
        for (const video of videosOf(group.files, people)) found.push(video);
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        failures.push(error.message);
      }
    }
    if (own !== job) return;
    videos = found;
    at('error').textContent = failures.join('\n');
    say(found.length ? summary(found.flatMap(({ people }) => people), performance.now() - began) : '');
    ask([...found.flatMap(({ people }) => people.map(({ track }) => track.known)), ...failures.map(() => ({}))]);
    const names = found.slice(0, MOST_LISTED).map(({ name }, index) => element('option', { value: String(index) }, name));
    const others = found.length - names.length;
    if (others) warn(`Video: the first ${names.length} of ${found.length} are listed, ${others} are not`);
    fill(at('scene'), names);
    at('scene-field').hidden = found.length < 2;
    if (found.length) show();
    document.body.dataset.lifted = String(own);
  } catch (error) {
    if (own === job && !(error instanceof Stopped)) fail(error);
  } finally {
    if (own === job) list(warnings);
  }
}

/** Complete and lift tracks, and let the page answer in between. */
async function lifted(own, tracks, warn) {
  const completed = [];
  for (const track of tracks) {
    await pause(own);
    warnIfImplausible(track, tables, warn);
    completed.push(complete(track, tables));
  }
  const pausing = {
    facts: network.facts,
    async run(...inputs) {
      await pause(own);
      return network.run(...inputs);
    },
  };
  const progress = (done, all) => {
    if (own === job) say(`Lifting: ${Math.floor((100 * done) / all)} %`);
  };
  return lift(completed, tracks, pausing, tables, { warn, progress, pause: () => pause(own) });
}

/** Let the page answer if it was busy for a while, and stop if there is a newer job. */
async function pause(own) {
  if (performance.now() - rested > BUSY_MS) {
    await new Promise((next) => setTimeout(next));
    rested = performance.now();
  }
  if (own !== job) throw new Stopped();
}

function summary(people, milliseconds) {
  const frames = people.reduce((sum, one) => sum + one.track.frames, 0);
  const errors = people.flatMap((one) => Array.from(one.errors ?? []).filter(Number.isFinite));
  const error = errors.length ? `, expected error of a joint ${Math.round((1000 * errors.reduce((a, b) => a + b, 0)) / errors.length)} mm` : '';
  const time = `lifted in ${(milliseconds / 1000).toFixed(1)} s`;
  const source = files.length > 1 ? `${files[0].name} and ${files.length - 1} more` : files[0].name;
  return `${people.length} ${people.length === 1 ? 'person' : 'people'}, ${frames} frames, ${time}${error}. From ${source}`;
}

class Stopped extends Error {}

/** Return what the reader of the page set; null where nothing is set. */
function chosenOptions() {
  const number = (id, name) => {
    const text = at(id).value.trim();
    if (!at(id).validity.valid) throw new UserError(`${name}: found no number from ${at(id).min} to ${at(id).max}`);
    return text === '' ? null : Number(text);
  };
  const [width, height] = [number('width', 'image width'), number('height', 'image height')];
  if ((width === null) !== (height === null)) throw new UserError('image size: found one of width and height, expected both or neither');
  return { layout: at('layout').value || null, fps: number('fps', 'frames a second'), imageSize: width ? [width, height] : null };
}

/** Show the options that the files do not answer; all of them for a file that is refused, of which nothing is known. */
function ask(known) {
  const open = {
    layout: known.some(({ layout }) => !layout) || at('layout').value !== '',
    fps: known.some(({ fps }) => !fps) || at('fps').value !== '',
    size: known.some(({ imageSize }) => !imageSize) || at('width').value !== '',
  };
  for (const [name, shown] of Object.entries(open)) at(`${name}-field`).hidden = !shown;
  at('options').hidden = !Object.values(open).some(Boolean);
}

function show() {
  player?.close();
  const { people } = videos[Number(at('scene').value) || 0];
  at('result').hidden = false;
  player = openPlayer(at('player'), shownPeople(people, tables), { joints: tables.joints, bones3d: tables.bones3d });
}

/** Download a file of each person of the video that is shown. */
function save(suffix) {
  try {
    const { stem, people } = videos[Number(at('scene').value) || 0];
    for (const { name, text } of filesOf(people, stem, suffix, tables, say)) {
      const url = URL.createObjectURL(new Blob([text], { type: TYPES[suffix] }));
      element('a', { href: url, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    }
  } catch (error) {
    fail(error);
  }
}

function say(text) {
  at('status').textContent = text;
}

function clear() {
  player?.close();
  player = null;
  videos = [];
  at('error').textContent = '';
  at('result').hidden = true;
  list([]);
  delete document.body.dataset.lifted;
}

function list(warnings) {
  at('notes').hidden = !warnings.length;
  at('notes').open = true;
  at('notes-title').textContent = `${warnings.length} ${warnings.length === 1 ? 'note' : 'notes'}`;
  fill(at('warnings'), warnings.map((line) => element('li', {}, line)));
}

/** Put elements, of any number, into an empty place. */
function fill(place, items) {
  const made = document.createDocumentFragment();
  for (const item of items) made.append(item);
  place.replaceChildren(made);
}

/** Say what went wrong: a mistake in a file as it is, anything else also in the console. */
function fail(error, status = '') {
  say(status);
  at('error').textContent = error instanceof UserError ? error.message : `the page failed: ${error.message ?? error}`;
  if (!(error instanceof UserError)) console.error(error);
}
