// Quartiles, and randomness that is the same in every run.

/**
 * Median and quartiles, interpolated.
 * @param {readonly number[]} values at least one
 * @returns {{ median: number, p25: number, p75: number }}
 */
export function quartiles(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share) => {
    const place = (sorted.length - 1) * share;
    const low = Math.floor(place);
    return sorted[low] + (sorted[Math.ceil(place)] - sorted[low]) * (place - low);
  };
  return { median: at(0.5), p25: at(0.25), p75: at(0.75) };
}

/**
 * The same order in every run and for every peer (Fisher and Yates over a 32-bit linear congruential generator).
 * @template T
 * @param {readonly T[]} list
 * @returns {T[]}
 */
export function shuffled(list) {
  const out = [...list];
  let state = 1;
  for (let i = out.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = Math.floor((state / 2 ** 32) * (i + 1));
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}
