// Series over time: flat, row-major arrays of rows of numbers. NaN marks what is not known.

/** Return the differences of neighbours, one fewer than the values. */
export function differences(values) {
  return Float64Array.from({ length: Math.max(values.length - 1, 0) }, (_, i) => values[i + 1] - values[i]);
}

/** Return the greatest absolute value, 0 without values. */
export function greatest(values) {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

/** Return [begin, end) of each run of indices below `count` for which `known(index)` holds. */
export function runs(count, known) {
  const found = [];
  let begin = -1;
  for (let index = 0; index <= count; index += 1) {
    const inside = index < count && known(index);
    if (inside && begin < 0) begin = index;
    if (!inside && begin >= 0) {
      found.push([begin, index]);
      begin = -1;
    }
  }
  return found;
}

/** Return for each row of `width` numbers whether all are finite. */
export function completeRows(values, width) {
  const rows = Array.from({ length: values.length / width }, (_, row) => row * width);
  return rows.map((start) => values.subarray(start, start + width).every(Number.isFinite));
}

/** Interpolate `values`, known at increasing `times`, at any places; beyond the ends it is the nearest value. */
export function interp(places, times, values) {
  const last = times.length - 1;
  return Float64Array.from(places, (place) => {
    if (!(place > times[0])) return values[0];
    if (place >= times[last]) return values[last];
    let low = 0; // times[low] <= place < times[high]
    let high = last;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (times[middle] <= place) low = middle;
      else high = middle;
    }
    return values[low] + ((values[high] - values[low]) * (place - times[low])) / (times[high] - times[low]);
  });
}

/** Interpolate rows of `width` numbers at places, counted in rows; beyond the ends it is the nearest row. */
export function interpolated(values, width, places) {
  const rows = values.length / width;
  const made = new values.constructor(places.length * width);
  for (let index = 0; index < places.length; index += 1) {
    const place = Math.min(Math.max(places[index], 0), rows - 1);
    const before = Math.min(Math.floor(place), Math.max(rows - 2, 0));
    const after = Math.min(before + 1, rows - 1);
    const share = place - before;
    for (let k = 0; k < width; k += 1) {
      made[index * width + k] = values[before * width + k] * (1 - share) + values[after * width + k] * share;
    }
  }
  return made;
}
