// Amounts as the planner writes them (to_text of src/galvatron/base/units.cpp), for what an answer gives as a
// bare number: the value under a cursor, an event's length. Where an answer has a `text`, that is shown.

function threeDigits(value: number): string {
  if (value < 9.995) return value.toFixed(2);
  return value < 99.95 ? value.toFixed(1) : value.toFixed(0);
}

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytesText(bytes: number): string {
  let value = Math.abs(bytes);
  let unit = 0;
  while (value >= 1023.5 && unit + 1 < BYTE_UNITS.length) {
    value /= 1024;
    unit += 1;
  }
  if (unit === 0) return `${Math.round(bytes)} B`;
  return `${bytes < 0 ? "-" : ""}${threeDigits(value)} ${BYTE_UNITS[unit]}`;
}

export function timeText(milliseconds: number): string {
  const ms = Math.abs(milliseconds);
  const sign = milliseconds < 0 ? "-" : "";
  if (ms === 0) return "0 s";
  if (ms >= 3_600_000) {
    const minutes = String(Math.floor(ms / 60_000) % 60).padStart(2, "0");
    return `${sign}${Math.floor(ms / 3_600_000)}h ${minutes}m`;
  }
  if (ms >= 999.5) return `${sign}${threeDigits(ms / 1000)} s`;
  if (ms >= 0.9995) return `${sign}${threeDigits(ms)} ms`;
  return `${sign}${threeDigits(ms * 1000)} us`;
}

export function countText(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}

/** "+30 %", "−4.5 %", "±0 %": how much more one is than the other. */
export function percentMore(one: number, other: number): string {
  const percent = 100 * (one / other - 1);
  const digits = Math.abs(percent) < 9.95 ? 1 : 0;
  return signed(Number(percent.toFixed(digits)), (size) => `${size} %`);
}

/** "+2.00 GiB", "−24.0 GiB", "±0 B". */
export function bytesMore(one: number, other: number): string {
  return signed(one - other, bytesText);
}

function signed(value: number, textOf: (size: number) => string): string {
  const sign = value === 0 ? "±" : value > 0 ? "+" : "−";
  return `${sign}${textOf(Math.abs(value))}`;
}
