// Nonlinear least squares by the method of Levenberg and Marquardt, for a few values.

const MOST_STEPS = 200;
const LEAST_STEP = 1e-10;

/**
 * Find the values that minimise the sum of squared errors.
 * @param {(values: number[]) => number[]} errors
 * @param {number[]} start
 * @returns {{values: number[], covariance: number[][]}} of the values, if the errors have a standard deviation of 1
 */
export function leastSquares(errors, start) {
  let values = start;
  let off = errors(values);
  let damping = 1e-3;
  for (let step = 0; step < MOST_STEPS; step += 1) {
    const [normal, slope] = normalEquations(errors, values, off);
    const damped = normal.map((row, i) => row.map((value, j) => (i === j ? value * (1 + damping) : value)));
    const change = inverse(damped).map((row) => -row.reduce((sum, value, k) => sum + value * slope[k], 0));
    const next = values.map((value, k) => value + change[k]);
    const there = errors(next);
    if (squares(there) <= squares(off)) {
      [values, off] = [next, there];
      damping = Math.max(damping / 10, 1e-12);
      if (Math.hypot(...change) < LEAST_STEP * (1 + Math.hypot(...values))) break;
    } else {
      damping *= 10;
      if (damping > 1e12) break; // no step is better
    }
  }
  return { values, covariance: inverse(normalEquations(errors, values, off)[0]) };
}

const squares = (errors) => errors.reduce((sum, error) => sum + error * error, 0);

/** Return the matrix J'J and the vector J'e, with derivatives J from differences in both directions. */
function normalEquations(errors, values, off) {
  const columns = values.map((value, k) => {
    const size = 1e-5 * Math.max(Math.abs(value), 1);
    const at = (sign) => errors(values.map((own, index) => (index === k ? own + sign * size : own)));
    const [after, before] = [at(1), at(-1)];
    return after.map((error, index) => (error - before[index]) / (2 * size));
  });
  const product = (a, b) => a.reduce((sum, value, index) => sum + value * b[index], 0);
  return [columns.map((a) => columns.map((b) => product(a, b))), columns.map((a) => product(a, off))];
}

/** Return the inverse of a positive definite matrix (Gauss and Jordan). */
function inverse(matrix) {
  const rows = matrix.map((row, i) => [...row, ...row.map((_, j) => (i === j ? 1 : 0))]);
  rows.forEach((own, i) => {
    const pivot = own[i];
    own.forEach((value, k) => { own[k] = value / pivot; });
    rows.forEach((row, j) => {
      if (j === i) return;
      const factor = row[i];
      row.forEach((value, k) => { row[k] = value - factor * own[k]; });
    });
  });
  return rows.map((row) => row.slice(matrix.length));
}
