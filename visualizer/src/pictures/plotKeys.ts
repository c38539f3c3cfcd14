import { indexAt, type Plot } from "./plot";

/** Where arrow keys lead; null: another key. */
export function nextIndex(plot: Plot, index: number | null, key: string): number | null {
  const last = plot.x.length - 1;
  const far = Math.max(1, Math.round(plot.x.length / 20));
  const by = { ArrowRight: 1, ArrowLeft: -1, PageDown: far, PageUp: -far }[key];
  if (key === "Home") return 0;
  if (key === "End") return last;
  if (by === undefined) return null;
  const from = index ?? (plot.mark ? indexAt(plot.x, plot.mark.x) - by : -1);
  return Math.min(last, Math.max(0, from + by));
}
