/** Something in a picture that keys go to: what its tip is shown for, and what it says. */
export interface Point {
  seriesIndex: number;
  dataIndex: number;
  text: string;
}

/** The place among `count` points where a key leads from `chosen` (null: from nowhere). Null: another key. */
export function pointByKey(count: number, chosen: number | null, key: string): number | null {
  if (count === 0) return null;
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[key];
  if (by === undefined) return null;
  return chosen === null ? 0 : Math.min(count - 1, Math.max(0, chosen + by));
}
