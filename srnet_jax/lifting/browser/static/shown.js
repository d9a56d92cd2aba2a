// Convert lifted people to what `viewer.js` shows.

import { axes } from './ground.js';

/**
 * Return what the player shows of people of one video.
 *
 * @param {import('./lift.js').Person[]} people
 * @param {object} tables
 * @returns {import('./viewer.js').Shown[]}
 */
export function shownPeople(people, tables) {
  return people.map((one) => {
    const { track, completed } = one;
    const every = track.every ?? 1;
    return {
      name: one.name,
      frames: track.frames,
      first: track.firstFrame ?? 0,
      step: every,
      fps: track.fps || tables.constants.result.USUAL_FPS / every,
      times: track.times,
      size: track.imageSize,
      keypoints: track.keypoints,
      poses: one.poses,
      estimated: completed.confidences.map((value) => Number(value === 0)),
      bones2d: tables.bones2d[track.layout],
      names2d: tables.layouts[track.layout].joints,
      room: roomOf(one, tables),
    };
  });
}

/** Return the turn from the camera's frame to a level one, and the hip's path and the floor there. */
function roomOf({ root, up, ground }, tables) {
  const [right, away, above] = axes(up, tables);
  const turn = [...right, ...above.map((value) => -value), ...away];
  const places = Float64Array.from(root, (_, index) => {
    const [axis, start] = [index % 3, index - (index % 3)];
    return turn[3 * axis] * root[start] + turn[3 * axis + 1] * root[start + 1] + turn[3 * axis + 2] * root[start + 2];
  });
  return { turn, places, floor: ground === null ? null : -ground };
}
