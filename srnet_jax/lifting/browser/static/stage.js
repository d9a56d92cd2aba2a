/**
 * Draw people at one moment: their 2D keypoints in the image, and their 3D poses, which can be turned.
 *
 * @typedef {object} Body The skeleton of the 3D poses.
 * @property {string[]} joints Names.
 * @property {[number, number, string][]} bones3d As `bones2d`.
 */

const HOME = { turn: 0.5, tilt: 0.2, zoom: 1 };

/** Make an element with attributes and children; text is never read as markup. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** The two drawings: keypoints in the image, and poses that can be turned. */
export class Stage {
  /**
   * @param {HTMLElement} container Where to put the drawings.
   * @param {Body} body
   */
  constructor(container, body) {
    this.body = body;
    this.labels = false;
    this.view = { ...HOME };
    this.flat = element('canvas', { class: 'flat', role: 'img', 'aria-label': '2D keypoints in the image' });
    this.solid = element('canvas', { class: 'solid', tabindex: '0', role: 'img',
      'aria-label': '3D pose; drag, or hold Shift and press arrow keys, to turn; scroll, or press plus and minus, to zoom' });
    container.append(element('div', { class: 'views' },
      element('figure', {}, this.flat, element('figcaption', {}, '2D keypoints in the image, pixels')),
      element('figure', {}, this.solid, element('figcaption', {},
        '3D pose on a grid of 0.5 m. Drag to turn, scroll or pinch to zoom, double-click to reset'))));
    this.scene = { people: [], box: [0, 0, 1, 1], size: [1, 1], reach: 1, floor: 0 };
    this.closing = new AbortController();
    const changed = () => this.redraw(), quiet = { signal: this.closing.signal };
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', changed, quiet);
    addEventListener('resize', changed, quiet);
    this.listen();
  }

  /**
   * Show people at one moment.
   * @param {{people: object[], box: number[], size: number[], reach: number, floor: number}} scene `people` have `keypoints`
   *   [K * 2] and `pose` [J * 3] (null if there is none), `dashed` [J], `bones2d`, `names2d` and `name`; `box` is the part of
   *   the image that is shown (left, top, right, bottom), `reach` the distance of the farthest joint from the origin, metres.
   */
  show(scene) {
    this.scene = scene;
    this.redraw();
  }

  redraw() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = undefined;
      const style = getComputedStyle(document.documentElement);
      this.inks = Object.fromEntries(['left', 'right', 'center', 'faint', 'ink'].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
      this.drawFlat();
      this.drawSolid();
      document.body.dataset.drawn = String(this.scene.frame ?? '');
    });
  }

  close() {
    this.closing.abort();
    if (this.waiting !== undefined) cancelAnimationFrame(this.waiting);
  }

  drawFlat() {
    const [context, width, height] = pen(this.flat), { people, size, box: [left, top, right, bottom] } = this.scene;
    const scale = 0.96 * Math.min(width / (right - left), height / (bottom - top));
    const place = (x, y) => [width / 2 + (x - (left + right) / 2) * scale, height / 2 + (y - (top + bottom) / 2) * scale];
    const [corner, opposite] = [place(0, 0), place(...size)];
    context.strokeStyle = this.inks.faint;
    context.lineWidth = 1;
    context.strokeRect(corner[0], corner[1], opposite[0] - corner[0], opposite[1] - corner[1]);
    for (const { keypoints, bones2d, names2d } of people) {
      if (!keypoints) continue;
      const points = names2d.map((_, k) => Number.isFinite(keypoints[2 * k]) ? place(keypoints[2 * k], keypoints[2 * k + 1]) : null);
      for (const [a, b, side] of bones2d) if (points[a] && points[b]) stroke(context, points[a], points[b], this.inks[side], 3);
      this.dots(context, points, names2d);
    }
  }

  drawSolid() {
    const [context, width, height] = pen(this.solid), { people, reach, floor } = this.scene;
    const scale = 0.5 * Math.min(width, height) / reach * this.view.zoom;
    const [ct, st, cp, sp] = [Math.cos(this.view.turn), Math.sin(this.view.turn), Math.cos(this.view.tilt), Math.sin(this.view.tilt)];
    const place = (x, y, z) => {
      const aside = x * ct + z * st, depth = z * ct - x * st;
      const away = y * sp + depth * cp, near = 1 / (1 + 0.12 * away / reach);
      return [width / 2 + aside * scale * near, height / 2 + (y * cp - depth * sp) * scale * near, away];
    };
    const half = Math.ceil(2 * reach) / 2, apart = half > 10 ? half / 20 : 0.5;
    for (let value = -half; value <= half + 1e-6; value += apart) {
      stroke(context, place(value, floor, -half), place(value, floor, half), this.inks.faint, 1);
      stroke(context, place(-half, floor, value), place(half, floor, value), this.inks.faint, 1);
    }
    const bones = [], placed = people.filter((one) => one.pose).map((one) => {
      const points = this.body.joints.map((_, j) => place(one.pose[3 * j], one.pose[3 * j + 1], one.pose[3 * j + 2]));
      for (const [a, b, side] of this.body.bones3d)
        bones.push([points[a][2] + points[b][2], points[a], points[b], this.inks[side], one.dashed[a] || one.dashed[b] ? [5, 8] : []]);
      return [one.name, points];
    });
    bones.sort((p, q) => q[0] - p[0]);
    for (const [, from, to, ink, dash] of bones) stroke(context, from, to, ink, 4, dash);
    context.setLineDash([]);
    for (const [name, points] of placed) {
      this.dots(context, points, this.body.joints);
      if (people.length < 2) continue;
      const top = points.reduce((best, point) => point[1] < best[1] ? point : best);
      context.textAlign = 'center';
      context.fillText(name, top[0], top[1] - 10);
      context.textAlign = 'start';
    }
  }

  dots(context, points, labels) {
    context.fillStyle = this.inks.ink;
    context.font = '11px system-ui, sans-serif';
    points.forEach((point, j) => {
      if (!point) return;
      context.beginPath();
      context.arc(point[0], point[1], 2.5, 0, 2 * Math.PI);
      context.fill();
      if (this.labels) context.fillText(labels[j], point[0] + 5, point[1] - 4);
    });
  }

  turn(aside, up) {
    this.view.turn += aside;
    this.view.tilt = Math.min(Math.max(this.view.tilt + up, -1.5), 1.5);
    this.redraw();
  }

  zoom(by) {
    this.view.zoom = Math.min(Math.max(this.view.zoom * by, 0.2), 8);
    this.redraw();
  }

  /** Turn and zoom by pointer, wheel and keys. */
  listen() {
    const fingers = new Map(), { solid } = this;
    let apart = 0;
    solid.addEventListener('pointerdown', (event) => { solid.setPointerCapture(event.pointerId); fingers.set(event.pointerId, event); apart = 0; });
    for (const ending of ['pointerup', 'pointercancel']) solid.addEventListener(ending, (event) => { fingers.delete(event.pointerId); apart = 0; });
    solid.addEventListener('pointermove', (event) => {
      const last = fingers.get(event.pointerId);
      if (!last) return;
      fingers.set(event.pointerId, event);
      if (fingers.size === 1) {
        this.turn((event.clientX - last.clientX) * 0.01, (event.clientY - last.clientY) * 0.01);
      } else {
        const [a, b] = [...fingers.values()], now = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
        if (apart) this.zoom(now / apart);
        apart = now;
      }
    });
    solid.addEventListener('wheel', (event) => { event.preventDefault(); this.zoom(Math.exp(-event.deltaY * 0.001)); }, { passive: false });
    solid.addEventListener('dblclick', () => { Object.assign(this.view, HOME); this.redraw(); });
    const turns = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
    solid.addEventListener('keydown', (event) => {
      if (event.shiftKey && turns[event.key]) this.turn(...turns[event.key]);
      else if ('+='.includes(event.key)) this.zoom(1.2);
      else if ('-_'.includes(event.key)) this.zoom(1 / 1.2);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }
}

/** Return a canvas's context, cleared, and its size in CSS pixels. */
function pen(canvas) {
  const ratio = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.lineCap = 'round';
  return [context, width, height];
}

function stroke(context, from, to, ink, width, dash = []) {
  context.strokeStyle = ink;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.beginPath();
  context.moveTo(from[0], from[1]);
  context.lineTo(to[0], to[1]);
  context.stroke();
}
