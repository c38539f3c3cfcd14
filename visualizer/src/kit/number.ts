const written = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** Without blanks around it, and with what a Chinese or Japanese keyboard gives in full width ("６４") as usual. */
export function plain(text: string): string {
  return text.normalize("NFKC").trim();
}

/** "64", "0.50", "1e9"; null: it is none, or not yet. */
export function numberOf(text: string): number | null {
  const typed = plain(text);
  const number = Number(typed);
  return written.test(typed) && Number.isFinite(number) ? number : null;
}
