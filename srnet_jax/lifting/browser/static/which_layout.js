// Guess the layout of keypoints by how much they look like a person, as srnet_jax/keypoints/which_layout.py.

import { complete, derived } from './complete.js';
import { UserError } from './errors.js';
import { median } from './numbers.js';
import { strangeness } from './prior.js';

/** Measure how unlike a person a track looks if it is in a layout. */
function strangenessOf(track, layout, tables) {
  const { joints } = track;
  const step = Math.max(Math.floor(track.frames / tables.guessing.frames), 1);
  const rows = Array.from({ length: Math.ceil(track.frames / step) }, (_, index) => index * step);
  const taken = (values, width) => {
    const made = new Float32Array(rows.length * width);
    rows.forEach((row, index) => made.set(values.subarray(row * width, (row + 1) * width), index * width));
    return made;
  };
  const found = complete({
    keypoints: taken(track.keypoints, 2 * joints),
    confidences: taken(track.confidences, joints),
    frames: rows.length,
    joints,
    layout,
    fps: null,
  }, tables);
  const lifted = [...rows.keys()].filter((frame) => found.lifted[frame]);
  return lifted.length ? median(lifted.map((frame) => strangeness(found.points, frame, tables.prior))) : Infinity;
}

const alike = (joints, tables) => Object.keys(tables.layouts).filter((name) => tables.layouts[name].joints.length === joints);

/** Rate layouts, the best first. */
function rated(track, names, tables) {
  const found = names.map((name) => ({ name, score: strangenessOf(track, name, tables) }));
  return found.sort((a, b) => (a.score === b.score ? (a.name < b.name ? -1 : 1) : a.score - b.score));
}

/**
 * Guess the layout of a track whose file does not name it.
 *
 * @param {object} track from `readFiles`
 * @param {string} file its name
 * @param {object} tables
 * @returns {string} a name of `tables.layouts`
 */
export function guessLayout(track, file, tables) {
  const { strange, clearly, notGuessed } = tables.guessing;
  const fitting = alike(track.joints, tables);
  if (!fitting.length) {
    const names = Object.keys(tables.layouts).map((name) => `${name} (${tables.layouts[name].joints.length})`);
    throw new UserError(
      `layout: found ${track.joints} joints in ${file}, expected the number of a layout: ${names.join(', ')}`);
  }
  if (fitting.length === 1) return fitting[0];
  const [best, next] = rated(track, fitting.filter((name) => !notGuessed.includes(name)), tables);
  if (!(best.score < strange && best.score < clearly * next.score)) {
    throw new UserError(`layout: not set and not in ${file}, expected ${fitting.join(' or ')} for ${track.joints} joints`);
  }
  return best.name;
}

/** Change the layout of a file's tracks from body_25 to body_25b if most of them clearly fit the latter. */
export function withBody25b(tracks, tables) {
  const { strange, clearly, tracks: most } = tables.guessing;
  const shown = (track) => track.detected.reduce((sum, value) => sum + value, 0);
  const candidates = tracks.filter((track) => track.layout === 'body_25');
  const examined = candidates.sort((a, b) => shown(b) - shown(a)).slice(0, most);
  const votes = examined.filter((track) => {
    const other = strangenessOf(track, 'body_25b', tables);
    return other < strange && other < clearly * strangenessOf(track, 'body_25', tables);
  }).length;
  if (!examined.length || 2 * votes <= examined.length) return tracks;
  return tracks.map((track) => (track.layout === 'body_25' ? { ...track, layout: 'body_25b' } : track));
}

/** Warn if a track with a known layout looks lying, upside down, or like another layout of as many joints. */
export function warnIfImplausible(track, tables, warn) {
  const { strange, clearly } = tables.guessing;
  if (isLyingDown(track, tables)) {
    warn(`${track.name}: found lying people in most frames; is the video rotated, or y before x?`);
    return;
  }
  const own = strangenessOf(track, track.layout, tables);
  if (own < strange) return;
  const upsideDown = { ...track, keypoints: track.keypoints.map((value, at) => (at % 2 ? -value : value)) };
  if (strangenessOf(upsideDown, track.layout, tables) < clearly * own) {
    warn(`${track.name}: found people upside down, expected y to increase from the top of the image`);
    return;
  }
  const [best] = rated(track, alike(track.joints, tables).filter((name) => name !== track.layout), tables);
  const hint = best && best.score < clearly * own
    ? `; they fit layout ${best.name}`
    : "; is the layout right, and are these a person's joints?";
  warn(`${track.name}: joint distances do not fit a person in layout ${track.layout}${hint}`);
}

/** Return whether a person's trunk is more horizontal than vertical in most of the frames that show it. */
function isLyingDown({ keypoints, confidences, frames, joints, layout }, tables) {
  const { points } = derived(keypoints, confidences, frames, joints, tables.layouts[layout]);
  const names = tables.layouts.h36m.joints;
  const [top, bottom] = [names.indexOf('thorax'), names.indexOf('pelvis')];
  let [known, lying] = [0, 0];
  for (let frame = 0; frame < frames; frame += 1) {
    const [x, y] = [0, 1].map((axis) =>
      Math.abs(points[2 * (17 * frame + top) + axis] - points[2 * (17 * frame + bottom) + axis]));
    if (Number.isFinite(x) && Number.isFinite(y)) {
      known += 1;
      lying += Number(x > y);
    }
  }
  return known > 0 && lying / known > tables.guessing.mostly;
}
