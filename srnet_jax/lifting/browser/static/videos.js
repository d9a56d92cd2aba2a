// Which files are read together, and which videos they hold.

import { UserError } from './errors.js';
import { readFiles } from './read.js';

/**
 * @typedef {object} Group files that are read together
 * @property {{name: string, bytes: Uint8Array}[]} files
 * @property {import('./read.js').Track[]} tracks none if the files are refused
 * @property {string[]} warnings
 * @property {string} refused why; '' if the files are read
 */

/**
 * Read files: as pictures of one video, as OpenPose writes them, if their names differ in numbers alone; else each alone.
 *
 * Files that are refused as pictures are read alone too, and whole videos if one of them has several frames.
 *
 * @param {{name: string, bytes: Uint8Array}[]} files
 * @param {object} tables
 * @param {Partial<import('./read.js').Options>} options
 * @returns {Promise<Group[]>}
 */
export async function readGroups(files, tables, options) {
  const pictures = arePictures(files) ? await readGroup(files, tables, options) : null;
  if (pictures && !pictures.refused) return [pictures];
  const alone = [];
  for (const file of files) alone.push(await readGroup([file], tables, options));
  const areVideos = alone.some(({ tracks }) => tracks.some(({ frames }) => frames > 1));
  return pictures && !areVideos ? [pictures] : alone;
}

function arePictures(files) {
  const words = new Set(files.map(({ name }) => name.replace(/[0-9]+/g, '0')));
  return files.length > 1 && words.size === 1 && /[0-9](_keypoints)?\.json$/i.test(files[0].name);
}

/** Read files together. */
async function readGroup(files, tables, options) {
  const warnings = [];
  try {
    const tracks = await readFiles(files, tables, { ...options, warn: (line) => warnings.push(line) });
    return { files, tracks, warnings, refused: '' };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { files, tracks: [], warnings, refused: error.message };
  }
}

/**
 * Return the videos of files that were read together: their names, the stems of files that are saved, and their people.
 *
 * @param {{name: string}[]} files
 * @param {{name: string, clip: string, track: {frames: number}}[]} people
 */
export function videosOf(files, people) {
  const file = files.length > 1 ? 'pictures' : files[0].name.replace(/\.[^.]*$/, '') || files[0].name;
  const videos = new Map();
  for (const one of people) {
    const clip = one.track.frames > 1 ? one.clip : one.name; // people of single pictures share no time
    if (!videos.has(clip)) {
      videos.set(clip, { name: clip ? `${file}: ${clip}` : file, stem: clip ? `${file}_${clip}` : file, people: [] });
    }
    videos.get(clip).people.push(one);
  }
  return [...videos.values()];
}
