/**
 * The page: files are dropped or chosen, read, lifted and shown. Text from files is only ever set as text.
 *
 * @typedef {import('./lift.js').Person} Person
 */

import { complete } from './complete.js';
import { UserError } from './errors.js';
import { lift } from './lift.js';
import { openLive } from './live.js';
import { placed } from './motion.js';
import { openNetwork } from './network.js';
import { toBvh, toCsv, toJson } from './outputs.js';
import { described, readFiles } from './read.js';
import { shownPeople } from './shown.js';
import { element } from './stage.js';
import { openPlayer } from './viewer.js';

const LARGEST_BYTES = 500e6;
const WRITERS = { json: toJson, csv: toCsv, bvh: toBvh };
const at = (id) => document.getElementById(id);
const TYPES = { json: 'application/json', csv: 'text/csv', bvh: 'text/plain' };

let tables; // see site.py
let networks;
let files = []; // that were read last: {name, bytes}
let people = []; // that are shown
let player = null;
let job = 0; // number of the newest lifting; older ones stop

start().catch(fail);

async function start() {
  const answer = await fetch('tables.json');
  tables = await answer.json();
  const { network, live } = tables.networks;
  networks = { network: await openNetwork('network', network) };
  networks.live = live ? await openNetwork('live', live) : networks.network;
  at('layout').append(...Object.keys(tables.layouts).map((name) => element('option', { value: name }, name)));
  at('about').textContent = `Network ${network.name}${live ? `, live ${live.name}` : ''}; run by onnxruntime-web.`;
  at('files').disabled = false;
  listen();
  openLive(networks.live, tables);
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
    if (size > LARGEST_BYTES) throw new UserError(`${chosen[0].name}: found ${Math.round(size / 1e6)} MB, expected at most ${LARGEST_BYTES / 1e6} MB; launch.predict reads larger files`);
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
  const warn = (line) => warnings.push(line);
  clear();
  try {
    const options = chosenOptions();
    const read = await readFiles(files, tables, { ...options, warn });
    if (own !== job) return;
    ask(read);
    const tracks = described(read, files[0].name, tables, { ...options, warn });
    const completed = tracks.map((track) => complete(track, tables));
    const progress = async (done, all) => {
      if (own !== job) throw new Stopped();
      say(`Lifting: ${Math.floor((100 * done) / all)} %`);
      await new Promise((next) => setTimeout(next)); // the page stays responsive
    };
    const began = performance.now();
    const lifted = await lift(completed, tracks, networks.network, tables, { warn, progress });
    if (own !== job) return;
    people = placed(lifted, tables);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    const frames = people.reduce((sum, one) => sum + one.track.frames, 0);
    say(`${people.length} ${people.length === 1 ? 'person' : 'people'}, ${frames} frames, lifted in ${seconds} s.`);
    const clips = [...new Set(people.map((one) => one.clip))];
    at('scene').replaceChildren(...clips.map((clip, index) => element('option', { value: String(index) }, clip || 'video')));
    at('scene-field').hidden = clips.length < 2;
    at('result').hidden = false;
    show();
    document.body.dataset.lifted = String(own);
  } catch (error) {
    if (own === job && !(error instanceof Stopped)) fail(error);
  } finally {
    if (own === job) list(warnings);
  }
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
function ask(tracks) {
  const unknown = {
    layout: tracks.some((track) => !track.layout) || at('layout').value !== '',
    fps: tracks.some((track) => !track.fps && !track.times && track.frames > 1) || at('fps').value !== '',
    size: tracks.some((track) => !track.imageSize) || at('width').value !== '',
  };
  for (const [name, open] of Object.entries(unknown)) at(`${name}-field`).hidden = !open;
  at('options').hidden = !Object.values(unknown).some(Boolean);
  at('missing').textContent = 'Not in the file: set it if you know it';
}

function show() {
  player?.close();
  const clips = [...new Set(people.map((one) => one.clip))];
  const chosen = people.filter((one) => one.clip === clips[Number(at('scene').value) || 0]);
  player = openPlayer(at('player'), shownPeople(chosen, tables), { joints: tables.joints, bones3d: tables.bones3d });
}

/** Offer a file of each person for download. */
function save(ending) {
  for (const one of people) {
    try {
      const url = URL.createObjectURL(new Blob([WRITERS[ending](one, tables)], { type: TYPES[ending] }));
      const link = element('a', { href: url, download: `${one.name}.${ending}` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    } catch (error) {
      fail(error);
    }
  }
}

function say(text) {
  at('status').textContent = text;
}

function clear() {
  player?.close();
  player = null;
  people = [];
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
