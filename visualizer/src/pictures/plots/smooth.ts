// Exponential moving average that starts unbiased (Kingma & Ba 2015, section 3): the first values count for
// themselves instead of for a zero before them, and the last is an average as all others are. Gaps stay gaps.

/** `keep`: share of the average that stays with each value, 0 .. 1; 0 changes nothing. */
export function smoothed(values: (number | null)[], keep: number): (number | null)[] {
  let sum = 0;
  let weight = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = keep * sum + (1 - keep) * value;
    weight = keep * weight + (1 - keep);
    return sum / weight;
  });
}

/** What suits so many values: little of few. */
export function usualSmoothing(count: number): number {
  if (count < 40) return 0;
  if (count < 200) return 0.6;
  return count < 2000 ? 0.8 : 0.95;
}
