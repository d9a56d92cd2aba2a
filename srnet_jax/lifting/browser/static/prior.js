// The Gaussian model of 2D poses, as srnet_jax/pose/prior.py: it estimates hidden joints from those that are seen.
// A pattern is a number whose bit j says whether joint j is seen. Points are those of one frame, x and y of 17 joints.

const JOINTS = 17;
const SMALLEST_PX = 1e-3;
const ALL = 2 ** JOINTS - 1;
/** @type {WeakMap<object, Map<number, object>>} */
const prepared = new WeakMap();

/** Return the number of joints in a pattern. */
export function count(pattern) {
  let found = 0;
  for (let rest = pattern; rest; rest &= rest - 1) found += 1;
  return found;
}

/**
 * Estimate the size of a person, pixels, at least a thousandth.
 *
 * @param {Float64Array} points all frames, of which one is read
 * @param {number} frame
 * @param {number} pattern joints that are seen; at least two
 * @param {object} prior `tables.prior`
 */
export function sizeOf(points, frame, pattern, prior) {
  const { seen, expected } = given(pattern, prior);
  const [x, y] = middle(points, frame, seen);
  let sum = 0;
  for (const joint of seen) {
    const at = 2 * (frame * JOINTS + joint);
    sum += (points[at] - x) ** 2 + (points[at + 1] - y) ** 2;
  }
  return Math.max(Math.sqrt(sum / seen.length / expected), SMALLEST_PX);
}

/**
 * Return a frame with hidden joints at their most likely positions, [17*2] pixels; seen joints unchanged.
 *
 * @param {Float64Array} points all frames, of which one is read
 * @param {number} frame
 * @param {number} pattern joints that are seen; at least two
 * @param {object} prior `tables.prior`
 */
export function completed(points, frame, pattern, prior) {
  const start = 2 * frame * JOINTS;
  const made = points.slice(start, start + 2 * JOINTS);
  if (pattern === ALL) return made;
  const { seen, hidden, gain } = given(pattern, prior);
  const size = sizeOf(points, frame, pattern, prior);
  const origin = middle(points, frame, seen);
  const shown = seen.flatMap((joint) =>
    [0, 1].map((axis) => (points[start + 2 * joint + axis] - origin[axis]) / size - prior.mean[2 * joint + axis]));
  hidden.forEach((joint, place) => {
    for (const axis of [0, 1]) {
      let estimate = prior.mean[2 * joint + axis];
      const row = gain[2 * place + axis];
      for (let index = 0; index < shown.length; index += 1) estimate += shown[index] * row[index];
      made[2 * joint + axis] = estimate * size + origin[axis];
    }
  });
  return made;
}

/** Measure how unusual the pose of a frame of 17 joints looks: about 1 for a usual pose, large if it is no person. */
export function strangeness(points, frame, prior) {
  const start = 2 * frame * JOINTS;
  const every = [...Array(JOINTS).keys()];
  const origin = middle(points, frame, every);
  const around = Array.from({ length: 2 * JOINTS }, (_, index) => points[start + index] - origin[index % 2]);
  const size = Math.max(Math.sqrt(around.reduce((sum, value) => sum + value * value, 0) / JOINTS), SMALLEST_PX);
  const off = around.map((value, index) => value / size - prior.mean[index]);
  let sum = 0;
  for (const row of prior.whitening) sum += row.reduce((total, weight, index) => total + weight * off[index], 0) ** 2;
  return sum / prior.whitening.length;
}

function middle(points, frame, joints) {
  let x = 0;
  let y = 0;
  for (const joint of joints) {
    x += points[2 * (frame * JOINTS + joint)];
    y += points[2 * (frame * JOINTS + joint) + 1];
  }
  return [x / joints.length, y / joints.length];
}

/** Prepare the estimates from one set of seen joints: their expected mean square, and the gain [hidden*2][seen*2]. */
function given(pattern, prior) {
  if (!prepared.has(prior)) prepared.set(prior, new Map());
  const known = prepared.get(prior);
  if (!known.has(pattern)) known.set(pattern, prepare(pattern, prior));
  return known.get(pattern);
}

function prepare(pattern, { mean, covariance, wide }) {
  const every = [...Array(JOINTS).keys()];
  const seen = every.filter((joint) => pattern & (1 << joint));
  const hidden = every.filter((joint) => !(pattern & (1 << joint)));
  const n = seen.length;
  let trace = 0;
  for (const a of seen) {
    for (const b of seen) {
      for (const axis of [0, 1]) {
        const [i, j] = [2 * a + axis, 2 * b + axis];
        trace += ((a === b ? 1 : 0) - 1 / n) * (covariance[i][j] + mean[i] * mean[j]);
      }
    }
  }
  const flat = (joints) => joints.flatMap((joint) => [2 * joint, 2 * joint + 1]);
  const [known, unknown] = [flat(seen), flat(hidden)];
  const matrix = known.map((i) => known.map((j) => wide[i][j]));
  const gain = solve(matrix, unknown.map((j) => known.map((i) => wide[i][j])));
  return { seen, hidden, expected: trace / n, gain };
}

/** Solve matrix * x = side for each of the sides, by elimination; the matrix is symmetric and positive definite. */
function solve(matrix, sides) {
  const n = matrix.length;
  for (let pivot = 0; pivot < n; pivot += 1) {
    for (let row = pivot + 1; row < n; row += 1) {
      const factor = matrix[row][pivot] / matrix[pivot][pivot];
      for (let column = pivot; column < n; column += 1) matrix[row][column] -= factor * matrix[pivot][column];
      for (const side of sides) side[row] -= factor * side[pivot];
    }
  }
  for (const side of sides) {
    for (let row = n - 1; row >= 0; row -= 1) {
      for (let column = row + 1; column < n; column += 1) side[row] -= matrix[row][column] * side[column];
      side[row] /= matrix[row][row];
    }
  }
  return sides;
}
