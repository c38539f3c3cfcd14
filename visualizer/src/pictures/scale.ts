// Units and ends of axes: one unit for a whole axis, so that its numbers are round in it.
import type { Amount } from "../api/types";

export interface Unit {
  name: string;
  /** In bytes or milliseconds. */
  size: number;
}

const BYTES: Unit[] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"].map((name, power) => ({
  name,
  size: 1024 ** power,
}));
const TIMES: Unit[] = [
  { name: "us", size: 1e-3 },
  { name: "ms", size: 1 },
  { name: "s", size: 1e3 },
];

function largest(units: Unit[], most: number): Unit {
  return units.findLast((unit) => most >= unit.size) ?? units[0] ?? { name: "", size: 1 };
}

/** The largest unit that `most` bytes fill. */
export function byteUnit(most: number): Unit {
  return largest(BYTES, most);
}

export function timeUnit(mostMs: number): Unit {
  return largest(TIMES, mostMs);
}

/** "0.25", "12", "1200": a round number of an axis, without the noise of binary fractions. */
export function tick(value: number): string {
  return String(Number(value.toPrecision(6)));
}

/** "950 ms", "1.05 s": of an axis that is zoomed from seconds to microseconds. */
export function timeTick(ms: number): string {
  const unit = timeUnit(Math.abs(ms));
  return ms === 0 ? "0" : `${tick(ms / unit.size)} ${unit.name}`;
}

/** "12k", "3.5M", "1e-4": of counts, losses and rates. */
export function shortTick(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e9) return `${tick(value / 1e9)}B`;
  if (size >= 1e6) return `${tick(value / 1e6)}M`;
  if (size >= 1e4) return `${tick(value / 1e3)}k`;
  if (size > 0 && size < 1e-3) return value.toExponential().replace(/(\.\d\d)\d+/, "$1");
  return tick(value);
}

const LIMIT_SHOWN_FROM = 0.3; // of a limit, filled: below it the axis ends with what is drawn
const NEXT_SHOWN_FROM = 0.7; // the same of those behind the first

/** Whether an axis that shows `most` should reach a limit too: one far beyond would leave nothing to see. */
export function reaches(most: number, limit: number): boolean {
  return most >= LIMIT_SHOWN_FROM * limit;
}

/** An axis of bytes from 0. */
export interface MemoryAxis {
  end: number; // in `unit`
  unit: Unit;
  /** Which of the limits lie on the axis; the others are named at its edge. */
  inside: boolean[];
}

export function memoryAxis(most: number, limits: (Amount | null)[]): MemoryAxis {
  let largest = Math.max(most, 1);
  const inside = limits.map((limit, i) => {
    if (limit === null) return false;
    const shown = i === 0 ? reaches(most, limit.value) : largest >= NEXT_SHOWN_FROM * limit.value;
    if (shown) largest = Math.max(largest, limit.value);
    return shown;
  });
  const unit = byteUnit(largest);
  return { end: (largest * 1.05) / unit.size, unit, inside };
}
