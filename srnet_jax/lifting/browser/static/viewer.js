/**
 * Show people: their 2D keypoints in the image beside their 3D poses, which can be turned, with a timeline.
 *
 * `webpage.py` also puts the text of this module and of `stage.js` into single pages.
 *
 * @typedef {object} Shown One person.
 * @property {string} name
 * @property {number} frames T.
 * @property {number} first Number of the first frame in the video.
 * @property {number} step Frames of the video from one frame to the next.
 * @property {number} fps Frames per second.
 * @property {ArrayLike<number>|null} times Seconds of each frame [T], if they are uneven.
 * @property {number[]} size Width and height of the image, pixels.
 * @property {ArrayLike<number>} keypoints [T * K * 2] pixels, NaN where not seen.
 * @property {ArrayLike<number>} poses [T * J * 3] metres from the hip, x right, y down, z away; NaN where not lifted.
 * @property {ArrayLike<number>} estimated [T * J] whether a joint was not seen; its bones are dashed.
 * @property {[number, number, string][]} bones2d Pairs of keypoints, and their side: left, right or center.
 * @property {string[]} names2d Names of the K keypoints.
 * @property {Room|null} [room] Where the person is; null if not known.
 *
 * @typedef {object} Room
 * @property {number[]} turn [9] rows of the rotation from the camera frame to a level one (x right, y down, z away).
 * @property {ArrayLike<number>} places [T * 3] hip in the level frame, metres; NaN where not known.
 * @property {number|null} floor Its y in the level frame; null if not known.
 */

import { Stage, element } from './stage.js';

const SPEEDS = [0.25, 0.5, 1, 2];

/**
 * Show people of one video with a timeline: space plays and pauses, the left and right arrow keys go one frame.
 * @param {HTMLElement} container It is emptied first.
 * @param {Shown[]} people At least one.
 * @param {import('./stage.js').Body} body
 * @returns {{close: () => void}} `close` stops the player.
 */
export function openPlayer(container, people, body) {
  container.replaceChildren();
  const stage = new Stage(container, body);
  const seconds = timesOf(people), numbers = [...seconds.keys()].sort((a, b) => a - b), times = numbers.map((number) => seconds.get(number));
  const count = numbers.length, last = count - 1;
  const length = times[last] - times[0] + (last ? (times[last] - times[0]) / last : 1);

  const play = element('button', { type: 'button', class: 'play' });
  const time = element('input', { type: 'range', min: '0', max: String(last), value: '0', step: '1', 'aria-label': 'Frame', class: 'time' });
  const clock = element('output', { class: 'clock' });
  const speed = element('select', {}, ...SPEEDS.map((value) => element('option', { value: String(value) }, `${value}×`)));
  speed.value = '1';
  const labels = element('input', { type: 'checkbox' });
  const person = element('select', {}, element('option', { value: '' }, 'all'), ...people.map((one, i) => element('option', { value: String(i) }, one.name)));
  const room = element('input', { type: 'checkbox' });
  const key = element('span', {}, element('b', { class: 'left' }, 'left'), ' · ', element('b', { class: 'right' }, 'right'), ' side of the person');
  const together = people.length > 1 && people.every((one) => one.room);
  room.checked = together;
  container.append(element('div', { class: 'controls' }, play, time, clock,
    element('label', {}, 'Speed ', speed),
    ...(people.length > 1 ? [element('label', {}, 'Person ', person)] : []),
    ...(people.every((one) => one.room) ? [element('label', {}, room, ' In the room')] : []),
    element('label', {}, labels, ' Joint names'), key));
  if (people.length > 1 && !together) person.value = '0';

  let shown, extent, frame = 0, exact = 0, playing = count > 1, before = null, closed = false;
  const choose = () => {
    shown = person.value === '' ? people : [people[Number(person.value)]];
    room.disabled = shown.length > 1;
    if (shown.length > 1 && together) room.checked = true;
    extent = { ...boxOf(shown), ...reachOf(shown, room.checked && shown.every((one) => one.room)) };
    show(frame);
  };
  const show = (next) => {
    frame = Math.min(Math.max(next, 0), last);
    time.value = String(frame);
    clock.textContent = `frame ${numbers[frame]} · ${times[frame].toFixed(2)} of ${times[last].toFixed(2)} s`;
    time.setAttribute('aria-valuetext', clock.textContent);
    const now = shown.map((one) => momentOf(one, (numbers[frame] - one.first) / one.step, extent));
    stage.show({ ...extent, people: now.filter((one) => one), frame });
  };
  const set = (state) => { playing = state && count > 1; play.textContent = playing ? 'Pause' : 'Play'; before = null; };
  const jump = (next) => { set(false); exact = times[next] - times[0]; show(next); };

  function frameAt(wanted) { // the last frame at or before this time since the first
    let low = 0, high = last;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (times[middle] - times[0] <= wanted) low = middle; else high = middle - 1;
    }
    return low;
  }

  function tick(now) {
    if (closed) return;
    if (playing) {
      if (before !== null) exact = (exact + (now - before) / 1000 * Number(speed.value)) % length;
      before = now;
      const next = frameAt(exact);
      if (next !== frame) show(next);
    }
    requestAnimationFrame(tick);
  }

  play.addEventListener('click', () => set(!playing));
  time.addEventListener('input', () => jump(Number(time.value)));
  labels.addEventListener('change', () => { stage.labels = labels.checked; stage.redraw(); });
  for (const chosen of [person, room]) chosen.addEventListener('change', choose);
  const closing = new AbortController();
  addEventListener('keydown', (event) => {
    const target = event.target instanceof Element ? event.target : document.body;
    if (target !== time && target.closest('input, select, button, textarea, summary, a')) return;
    if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    if (event.key === ' ') set(!playing);
    else if (event.key === 'ArrowRight') jump((frame + 1) % count);
    else if (event.key === 'ArrowLeft') jump((frame + last) % count);
    else return;
    event.preventDefault();
  }, { signal: closing.signal });
  set(playing);
  choose();
  requestAnimationFrame(tick);
  return { close() { closed = true; closing.abort(); stage.close(); } };
}

/** Return the seconds of each frame number that someone has. */
function timesOf(people) {
  const found = new Map();
  for (const { first, step, fps, times, frames } of people)
    for (let row = 0; row < frames; row++) found.set(first + row * step, times ? times[row] : (first + row * step) / (fps * step));
  return found;
}

/** Return the box around the image and all keypoints, which may be outside the image. */
function boxOf(people) {
  const { size } = people[0], box = [0, 0, ...size];
  for (const { keypoints } of people) {
    for (let i = 0; i < keypoints.length; i++) {
      if (keypoints[i] < box[i % 2]) box[i % 2] = keypoints[i];
      if (keypoints[i] > box[2 + i % 2]) box[2 + i % 2] = keypoints[i];
    }
  }
  return { size, box };
}

/** Return how far the poses of all frames reach from the middle, where the floor is, and what `placed` needs. */
function reachOf(people, inRoom) {
  const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity], extent = { inRoom, middle: [0, 0, 0] };
  const visit = (act) => { for (const one of people) for (let row = 0; row < one.frames; row++) act(placed(one, row, extent), one); };
  const known = inRoom ? people.map((one) => one.room.floor).filter((floor) => floor !== null) : [];
  visit((pose) => {
    for (let i = 0; pose && i < pose.length; i++) {
      low[i % 3] = Math.min(low[i % 3], pose[i]);
      high[i % 3] = Math.max(high[i % 3], pose[i]);
    }
  });
  const floor = known.length ? known[0] : high[1];
  if (inRoom && low[0] <= high[0]) extent.middle = low.map((value, axis) => (value + high[axis]) / 2);
  let reach = 0.5;
  visit((pose) => { for (let i = 0; pose && i < pose.length; i += 3) reach = Math.max(reach, Math.hypot(pose[i], pose[i + 1], pose[i + 2])); });
  return { ...extent, reach, floor: floor - extent.middle[1] };
}

/** Return the joints [J * 3] of a person's frame as they are drawn; null if there is no pose. */
function placed(one, row, { inRoom, middle }) {
  const width = one.poses.length / one.frames, pose = one.poses.slice(row * width, (row + 1) * width);
  const at = inRoom ? one.room.places.slice(3 * row, 3 * row + 3) : [0, 0, 0];
  if (!pose.every(Number.isFinite) || !at.every(Number.isFinite)) return null;
  const made = new Float64Array(width), turn = inRoom ? one.room.turn : [1, 0, 0, 0, 1, 0, 0, 0, 1];
  for (let i = 0; i < width; i++) {
    const axis = i % 3, joint = i - axis;
    made[i] = turn[3 * axis] * pose[joint] + turn[3 * axis + 1] * pose[joint + 1] + turn[3 * axis + 2] * pose[joint + 2] + at[axis] - middle[axis];
  }
  return made;
}

/** Return what a stage shows of a person in a frame; null if the video has no such frame of the person. */
function momentOf(one, row, extent) {
  if (!Number.isInteger(row) || row < 0 || row >= one.frames) return null;
  const part = (array) => array.slice(row * array.length / one.frames, (row + 1) * array.length / one.frames);
  const { name, bones2d, names2d } = one;
  return { name, bones2d, names2d, keypoints: part(one.keypoints), dashed: part(one.estimated), pose: placed(one, row, extent) };
}
