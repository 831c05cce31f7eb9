// Intervals of shares.

const Z = 1.959963984540054; // of the normal distribution at 97.5 %

/** Wilson's 95 % interval of a share of `number` among `all`; from 0 to 1 where there are none. */
export function wilson(number, all) {
  if (!all) return { value: NaN, low: 0, high: 1 };
  const share = number / all;
  const middle = share + (Z * Z) / (2 * all);
  const half = Z * Math.sqrt((share * (1 - share)) / all + (Z * Z) / (4 * all * all));
  const scale = 1 + (Z * Z) / all;
  return { value: share, low: Math.max(0, (middle - half) / scale), high: Math.min(1, (middle + half) / scale) };
}
