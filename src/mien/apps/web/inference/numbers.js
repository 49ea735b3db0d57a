/** Small sums that several rooms need, rounded and cut as Python does. */

/** The nearest whole number; of two equally near the even one, as Python's round and NumPy's rint. */
export function roundEven(value) {
  const floor = Math.floor(value);
  const over = value - floor;
  if (over !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

export function clamp(value, least, most) {
  return Math.min(Math.max(value, least), most);
}

export function sum(values) {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
