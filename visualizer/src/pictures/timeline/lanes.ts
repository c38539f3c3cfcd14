// Events of a timeline by the rows in which they are drawn, with all that is looked up while drawing:
// of 50,000 events only those in sight are touched.
import type { TimelineView } from "../../api/types";
import { isCommunication } from "../kinds";

type Events = TimelineView["events"];

/** A row of the picture, from top to bottom. */
export interface Lane {
  row: number;
  /** In pixels. */
  top: number;
  height: number;
  /** Events of the row, ascending start. */
  events: number[];
  /** Of events[0..i] the latest end: ascending, so that the first one in sight is found by halving. */
  latest: Float64Array;
}

export interface Lanes {
  lanes: Lane[];
  height: number;
  /** Times beside which an event of communication runs while its rank computes; by event. */
  hidden: Map<number, [number, number][]>;
}

/** Compute tall, communication flat; less of both where there are many ranks. */
function heightsFor(numRanks: number) {
  if (numRanks <= 8) return { compute: 24, other: 11, gap: 8, inner: 2 };
  if (numRanks <= 32) return { compute: 15, other: 6, gap: 4, inner: 2 };
  if (numRanks <= 64) return { compute: 6, other: 1, gap: 2, inner: 1 };
  return { compute: 3, other: 1, gap: 1, inner: 0 };
}

export function lanesOf(view: TimelineView): Lanes {
  const sizes = heightsFor(view.rows.filter(({ lane }) => lane === "compute").length);
  const byRow: number[][] = view.rows.map(() => []);
  view.events.row.forEach((row, event) => byRow[row]?.push(event));
  let top = 0;
  const lanes = view.rows.map((row, i): Lane => {
    if (i > 0) top += row.lane === "compute" ? sizes.gap : sizes.inner;
    const height = row.lane === "compute" ? sizes.compute : sizes.other;
    const lane = {
      row: i,
      top,
      height,
      events: byRow[i] ?? [],
      latest: latestEnds(byRow[i] ?? [], view.events),
    };
    top += height;
    return lane;
  });
  return { lanes, height: top, hidden: hiddenTimes(view, lanes) };
}

function latestEnds(events: number[], { end_ms }: Events): Float64Array {
  const out = new Float64Array(events.length);
  let latest = -Infinity;
  events.forEach((event, i) => {
    latest = Math.max(latest, end_ms[event] ?? 0);
    out[i] = latest;
  });
  return out;
}

function firstAfter(latest: Float64Array, time: number): number {
  let low = 0;
  let high = latest.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((latest[middle] ?? 0) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Calls `visit` with each event of the lane that reaches into from .. to. */
export function visitEvents(
  lane: Lane,
  { start_ms, end_ms }: Events,
  from: number,
  to: number,
  visit: (event: number) => void,
): void {
  for (let i = firstAfter(lane.latest, from); i < lane.events.length; ++i) {
    const event = lane.events[i] ?? 0;
    if ((start_ms[event] ?? 0) > to) return;
    if ((end_ms[event] ?? 0) >= from) visit(event);
  }
}

/** What runs at a time; the shortest where several do. `slack`: how near is near enough. */
export function eventAt(lane: Lane, events: Events, time: number, slack: number): number | null {
  let found: number | null = null;
  let shortest = Infinity;
  visitEvents(lane, events, time - slack, time + slack, (event) => {
    const start = events.start_ms[event] ?? 0;
    const end = events.end_ms[event] ?? 0;
    const off = Math.max(0, start - time, time - end);
    const size = off * 1e6 + (end - start);
    if (size < shortest) [found, shortest] = [event, size];
  });
  return found;
}

/** Where communication and compute of one rank run at the same time. */
function hiddenTimes(view: TimelineView, lanes: Lane[]): Map<number, [number, number][]> {
  const { events, kinds, rows } = view;
  const out = new Map<number, [number, number][]>();
  let beside: Lane | undefined; // of the same rank: it lies above
  for (const lane of lanes) {
    if (rows[lane.row]?.lane === "compute") {
      beside = lane;
      continue;
    }
    if (!beside) continue;
    for (const event of lane.events) {
      // What the planner counts as exposed is drawn so, whatever runs beside it.
      if (
        !isCommunication(kinds[events.kind[event] ?? 0] ?? "") ||
        !((events.hidden_ms[event] ?? 0) > 0)
      )
        continue;
      out.set(
        event,
        overlaps(view, beside, events.start_ms[event] ?? 0, events.end_ms[event] ?? 0),
      );
    }
  }
  return out;
}

function overlaps(view: TimelineView, lane: Lane, start: number, end: number): [number, number][] {
  const out: [number, number][] = [];
  visitEvents(lane, view.events, start, end, (event) => {
    if (view.kinds[view.events.kind[event] ?? 0] === "bubble") return;
    const from = Math.max(start, view.events.start_ms[event] ?? 0);
    const to = Math.min(end, view.events.end_ms[event] ?? 0);
    const last = out.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else if (to > from) out.push([from, to]);
  });
  return out;
}
