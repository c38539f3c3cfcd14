const written = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** "64", "0.50", "1e9"; null: it is none, or not yet. */
export function numberOf(text: string): number | null {
  const number = Number(text);
  return written.test(text.trim()) && Number.isFinite(number) ? number : null;
}
