// Places of an axis's numbers.

/** Multiples of 1, 2 or 5 times a power of ten within low .. high, about `wanted` of them. */
export function niceTicks(low: number, high: number, wanted: number): number[] {
  const span = high - low;
  if (!Number.isFinite(span) || !(span > 0)) return Number.isFinite(low) ? [low] : [];
  const rough = span / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) =>
    Number(((first + i) * step).toPrecision(12)),
  );
}

/** Of a logarithmic axis: powers of ten, with 2 and 5 between them where there are few. REQUIRES: 0 < low. */
export function logTicks(low: number, high: number): number[] {
  const decades = Math.log10(high / low);
  if (!Number.isFinite(decades)) return [];
  if (decades < 0.7) return niceTicks(low, high, 4);
  const factors = decades > 3 ? [1] : [1, 2, 5];
  const every = Math.max(1, Math.ceil(decades / 8));
  const out: number[] = [];
  for (
    let power = Math.floor(Math.log10(low));
    power <= Math.ceil(Math.log10(high));
    power += every
  ) {
    out.push(...factors.map((factor) => Number((factor * 10 ** power).toPrecision(3))));
  }
  return out.filter((tick) => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9));
}
