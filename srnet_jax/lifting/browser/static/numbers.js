// Small functions of numbers, most of which behave as NumPy's.

/** Return the median of numbers; NaN without any. */
export function median(values) {
  const sorted = Float64Array.from(values).sort();
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** Return the quantile of numbers, linear between them; NaN without any. */
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  const at = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return low === high ? low : low + (high - low) * (at - Math.floor(at));
}

/** Round to the nearest integer, halves to the even one, as Python does. */
export function roundHalfEven(value) {
  const down = Math.floor(value);
  const rest = value - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 !== 0) ? down + 1 : down;
}

/** Return the differences of consecutive numbers. */
export const differences = (values) => Array.from(values).slice(1).map((value, index) => value - values[index]);

/** Return the different numbers in increasing order. */
export const distinct = (values) => [...new Set(values)].sort((a, b) => a - b);

/** Return the least and the greatest of numbers, of which there may be millions. */
export function range(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** Return the list under a key of a Map, a new one if there is none. */
export function listOf(map, key) {
  if (!map.has(key)) map.set(key, []);
  return map.get(key);
}
