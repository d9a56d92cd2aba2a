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
import { readFiles } from './read.js';
import { shownPeople } from './shown.js';
import { element } from './stage.js';
import { openPlayer } from './viewer.js';
import { warnIfImplausible } from './which_layout.js';

const LARGEST_BYTES = 500e6;
const at = (id) => document.getElementById(id);
const TYPES = { '.json': 'application/json', '.csv': 'text/csv', '.bvh': 'text/plain' };

let tables; // see site.py
let network; // that lifts files
let files = []; // that were read last: {name, bytes}
let videos = []; // what they hold: {name, people}
let player = null;
let job = 0; // number of the newest lifting; older ones stop

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
  at('files').addEventListener('change', (event) => take([...event.target.files]));
  at('again').addEventListener('click', () => run());
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
  try {
    const size = chosen.reduce((sum, file) => sum + file.size, 0);
    if (size > LARGEST_BYTES) {
      throw new UserError(`${chosen[0].name}: found ${Math.round(size / 1e6)} MB, expected at most ${LARGEST_BYTES / 1e6} MB; launch.predict reads larger files`);
    }
    say('Reading');
    files = await Promise.all(chosen.map(async (file) => ({ name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) })));
    for (const id of ['layout', 'fps', 'width', 'height']) at(id).value = '';
  } catch (error) {
    fail(error);
    return;
  }
  await run();
}

/** Read and lift the files with the options, and show the people. */
async function run() {
  const own = (job += 1);
  const warnings = [];
  const failures = [];
  clear();
  try {
    const options = { ...chosenOptions(), warn: (line) => warnings.push(line) };
    const pausing = { facts: network.facts, run: (...inputs) => afterPause(own, inputs) };
    const progress = (done, all) => say(`Lifting: ${Math.floor((100 * done) / all)} %`);
    const began = performance.now();
    const found = [];
    for (const together of grouped(files)) {
      try {
        const tracks = await readFiles(together, tables, options);
        for (const track of tracks) warnIfImplausible(track, tables, options.warn);
        const completed = tracks.map((track) => complete(track, tables));
        found.push(...ofVideos(together, await lift(completed, tracks, pausing, tables, { ...options, progress })));
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        failures.push(error.message);
      }
    }
    if (own !== job) return;
    videos = found;
    at('error').textContent = failures.join('\n');
    say(found.length ? summary(found.flatMap(({ people }) => people), performance.now() - began) : '');
    ask(found.flatMap(({ people }) => people.map(({ track }) => track.known)));
    at('scene').replaceChildren(...found.map(({ name }, index) => element('option', { value: String(index) }, name)));
    at('scene-field').hidden = found.length < 2;
    if (found.length) show();
    document.body.dataset.lifted = String(own);
  } catch (error) {
    if (own === job && !(error instanceof Stopped)) fail(error);
  } finally {
    if (own === job) list(warnings);
  }
}

/** Run the network, and let the page answer in between. */
async function afterPause(own, inputs) {
  await new Promise((next) => setTimeout(next));
  if (own !== job) throw new Stopped();
  return network.run(...inputs);
}

/** Return which files are read together: .json files of one picture each, as OpenPose writes them; others alone. */
function grouped(all) {
  const pictures = all.length > 1 && all.every(({ name }) => /\d+(_keypoints)?\.json$/i.test(name));
  return pictures ? [all] : all.map((file) => [file]);
}

/** Return the videos of files that were read together, each with its people. */
function ofVideos(together, people) {
  const file = together.length > 1 ? 'pictures' : together[0].name.replace(/\.[^.]*$/, '') || together[0].name;
  const clipOf = (one) => (one.track.frames > 1 ? one.clip : one.name); // people of single pictures share no time
  return [...new Set(people.map(clipOf))].map((clip) => ({
    name: clip ? `${file}: ${clip}` : file, stem: file, people: people.filter((one) => clipOf(one) === clip),
  }));
}

function summary(people, milliseconds) {
  const frames = people.reduce((sum, one) => sum + one.track.frames, 0);
  const errors = people.flatMap((one) => Array.from(one.errors ?? []).filter(Number.isFinite));
  const error = errors.length ? `, expected error of a joint ${Math.round((1000 * errors.reduce((a, b) => a + b, 0)) / errors.length)} mm` : '';
  return `${people.length} ${people.length === 1 ? 'person' : 'people'}, ${frames} frames, lifted in ${(milliseconds / 1000).toFixed(1)} s${error}.`;
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

/** Show the options that the files do not answer. */
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
  at('warnings').replaceChildren(...warnings.map((line) => element('li', {}, line)));
}

/** Say what went wrong: a mistake in a file as it is, anything else also in the console. */
function fail(error) {
  say('');
  at('error').textContent = error instanceof UserError ? error.message : `the page failed: ${error.message ?? error}`;
  if (!(error instanceof UserError)) console.error(error);
}
