// Going through a timeline by keys: from event to event, from lane to lane.
import type { TimelineView } from "../../api/types";
import { eventAt, type Lanes } from "./lanes";

/** The event where a key leads from `chosen` (null: from nowhere). Null: nowhere. */
export function eventByKey(
  view: TimelineView,
  lanes: Lanes,
  chosen: number | null,
  key: string,
): number | null {
  if (chosen === null) return firstEvent(lanes, 0);
  const at = lanes.lanes.findIndex(({ row }) => row === view.events.row[chosen]);
  const lane = lanes.lanes[at];
  if (!lane) return null;
  const place = lane.events.indexOf(chosen);
  switch (key) {
    case "ArrowRight":
      return lane.events[place + 1] ?? chosen;
    case "ArrowLeft":
      return lane.events[place - 1] ?? chosen;
    case "ArrowDown":
      return nearest(view, lanes, chosen, at, 1);
    case "ArrowUp":
      return nearest(view, lanes, chosen, at, -1);
    case "Home":
      return lane.events[0] ?? chosen;
    case "End":
      return lane.events.at(-1) ?? chosen;
    default:
      return null;
  }
}

function firstEvent(lanes: Lanes, from: number): number | null {
  return lanes.lanes.slice(from).find(({ events }) => events.length > 0)?.events[0] ?? null;
}

/** Of the next lane that has events: the one that runs at the same time, or the nearest. */
function nearest(
  view: TimelineView,
  lanes: Lanes,
  chosen: number,
  from: number,
  by: number,
): number {
  const { start_ms, end_ms } = view.events;
  const middle = ((start_ms[chosen] ?? 0) + (end_ms[chosen] ?? 0)) / 2;
  for (let i = from + by; i >= 0 && i < lanes.lanes.length; i += by) {
    const lane = lanes.lanes[i];
    if (lane && lane.events.length > 0)
      return eventAt(lane, view.events, middle, view.total_ms) ?? chosen;
  }
  return chosen;
}

export interface Span {
  from: number;
  to: number;
}

/** The window after a key: zoomed about `middle`, within the step. Null: another key. */
export function spanByKey(span: Span, total: number, middle: number, key: string): Span | null {
  const factor = { "+": 0.5, "=": 0.5, "-": 2, "0": Infinity }[key];
  if (factor === undefined) return null;
  const width = Math.min(total, (span.to - span.from) * factor);
  return within({ from: middle - width / 2, to: middle + width / 2 }, total);
}

/** Moved so that the event is in sight; narrowed to nothing less than it. */
export function spanAround(span: Span, total: number, start: number, end: number): Span {
  if (start >= span.from && end <= span.to) return span;
  const width = Math.max(span.to - span.from, end - start);
  const middle = (start + end) / 2;
  return within({ from: middle - width / 2, to: middle + width / 2 }, total);
}

function within({ from, to }: Span, total: number): Span {
  const width = Math.min(total, to - from);
  const begin = Math.min(Math.max(0, from), total - width);
  return { from: begin, to: begin + width };
}
