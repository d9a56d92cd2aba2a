// Vectors of three numbers, and rotations as rows of a matrix [3][3].

export const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
export const subtract = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const scale = (a, factor) => [a[0] * factor, a[1] * factor, a[2] * factor];
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const norm = (a) => Math.sqrt(dot(a, a));
export const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];

/** Return the direction of a vector; a shorter one than `least` keeps its length over `least`. */
export const unit = (a, least = 0) => scale(a, 1 / Math.max(norm(a), least));

/** Return the vector at a place in a flat array of vectors. */
export const vectorAt = (array, index) => [array[3 * index], array[3 * index + 1], array[3 * index + 2]];

export const IDENTITY = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
export const apply = (matrix, a) => matrix.map((row) => dot(row, a));
export const transposed = (matrix) => [0, 1, 2].map((k) => matrix.map((row) => row[k]));
export const product = (a, b) => transposed(transposed(b).map((column) => apply(a, column)));

/** Return the rotation by an angle about an axis of length 1 (Rodrigues). */
export function rotationAbout(axis, angle) {
  return transposed(IDENTITY.map((a) => rotated(a, axis, angle)));
}

/** Rotate a vector by an angle about an axis of length 1 (Rodrigues). */
export function rotated(a, axis, angle) {
  const along = scale(axis, dot(axis, a) * (1 - Math.cos(angle)));
  return add(add(scale(a, Math.cos(angle)), scale(cross(axis, a), Math.sin(angle))), along);
}

/**
 * Return the rotation that fits vectors best to others (least squares).
 *
 * Source: Horn, Closed-form solution of absolute orientation using unit quaternions, 1987.
 */
export function bestRotation(starts, ends) {
  const s = [0, 1, 2].map((i) => [0, 1, 2].map((j) => starts.reduce((sum, start, k) => sum + start[i] * ends[k][j], 0)));
  const [[xx, xy, xz], [yx, yy, yz], [zx, zy, zz]] = s;
  const [w, x, y, z] = largestEigenvector([
    [xx + yy + zz, yz - zy, zx - xz, xy - yx],
    [yz - zy, xx - yy - zz, xy + yx, zx + xz],
    [zx - xz, xy + yx, yy - xx - zz, yz + zy],
    [xy - yx, zx + xz, yz + zy, zz - xx - yy],
  ]);
  return [
    [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
    [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
    [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
  ];
}

/** Return the eigenvector of the largest eigenvalue of a symmetric matrix, of length 1, by Jacobi's rotations. */
function largestEigenvector(matrix) {
  const size = matrix.length;
  const a = matrix.map((row) => [...row]);
  const vectors = a.map((_, i) => a.map((__, j) => (i === j ? 1 : 0))); // one a column
  for (let sweep = 0; sweep < 12; sweep += 1) {
    for (let p = 0; p < size; p += 1) {
      for (let q = p + 1; q < size; q += 1) {
        if (a[p][q] === 0) continue;
        const ratio = (a[q][q] - a[p][p]) / (2 * a[p][q]);
        const t = (ratio < 0 ? -1 : 1) / (Math.abs(ratio) + Math.sqrt(1 + ratio * ratio));
        const c = 1 / Math.sqrt(1 + t * t);
        const turn = (row, i, j) => [row[i], row[j]] = [c * row[i] - t * c * row[j], t * c * row[i] + c * row[j]];
        a.forEach((row) => turn(row, p, q));
        [a[p], a[q]] = [a[p].map((v, k) => c * v - t * c * a[q][k]), a[q].map((v, k) => t * c * a[p][k] + c * v)];
        vectors.forEach((row) => turn(row, p, q));
      }
    }
  }
  const largest = a.reduce((best, row, i) => (row[i] > a[best][best] ? i : best), 0);
  return vectors.map((row) => row[largest]);
}
