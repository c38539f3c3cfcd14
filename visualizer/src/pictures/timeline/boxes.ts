// What of a lane is drawn in some range of time: boxes by colour, neighbours below half a pixel as one, and
// the words that have room inside.
import type { TimelineView } from "../../api/types";
import { textWidth } from "../frame";
import { EXPOSED, HIDDEN, eventKind, isCommunication, type Kind } from "../kinds";
import { type Lane, type Lanes, visitEvents } from "./lanes";

/** x and width of one box after the other, in pixels. */
export interface Boxes {
  kind: Kind;
  /** Of the lane's height: forms differ, not colours alone. */
  share: number;
  at: number[];
}
export interface Word {
  text: string;
  x: number; // middle
  color: string; // token of what it stands on
}
export interface Scene {
  boxes: Boxes[];
  words: Word[];
}
export interface Window {
  from: number;
  to: number;
  /** Pixels of `from`, and pixels a millisecond. */
  left: number;
  scale: number;
}

const MERGE_BELOW = 0.5; // pixels
const LEAST_WIDTH = 1; // what takes no time is seen too
const EDGE = 0.6; // of the ground between neighbours, where there is room

const SHARES = new Map([
  ["recompute", 0.7],
  ["weight gradient", 0.85],
  ["bubble", 0.3],
]);

class Collector {
  private readonly byKind = new Map<string, Boxes>();

  add(kind: Kind, share: number, x: number, end: number): void {
    const key = `${kind.color} ${kind.pattern} ${share}`;
    let boxes = this.byKind.get(key);
    if (!boxes) this.byKind.set(key, (boxes = { kind, share, at: [] }));
    const { at } = boxes;
    const width = Math.max(LEAST_WIDTH, end - x);
    const lastX = at.at(-2);
    const lastWidth = at.at(-1);
    if (
      lastX !== undefined &&
      lastWidth !== undefined &&
      width < 3 &&
      x - (lastX + lastWidth) < MERGE_BELOW
    ) {
      at[at.length - 1] = Math.max(lastWidth, x + width - lastX);
    } else {
      at.push(x, width > 4 ? width - EDGE : width);
    }
  }

  all(): Boxes[] {
    return [...this.byKind.values()];
  }
}

const LETTERS = new Map([
  ["forward", "F"],
  ["backward", "B"],
  ["recompute", "R"],
  ["weight gradient", "W"],
]);

/** "F3", "B3.1" of chunk 1; communication by its name. */
export function eventText(view: TimelineView, event: number): string {
  const { events, kinds } = view;
  const kind = kinds[events.kind[event] ?? 0] ?? "";
  const microbatch = events.microbatch[event] ?? -1;
  const chunk = events.chunk[event] ?? 0;
  const letter = LETTERS.get(kind);
  if (letter === undefined) return kind;
  if (microbatch < 0) return kind;
  return `${letter}${microbatch}${chunk > 0 ? `.${chunk}` : ""}`;
}

const NEEDS = 12; // pixels of a lane's height for words

export function sceneOf(view: TimelineView, { hidden }: Lanes, lane: Lane, window: Window): Scene {
  const { events, kinds } = view;
  const collector = new Collector();
  const words: Word[] = [];
  const px = (ms: number) =>
    window.left + (Math.min(window.to, Math.max(window.from, ms)) - window.from) * window.scale;
  visitEvents(lane, events, window.from, window.to, (event) => {
    const name = kinds[events.kind[event] ?? 0] ?? "";
    const x = px(events.start_ms[event] ?? 0);
    const end = px(events.end_ms[event] ?? 0);
    const kind = eventKind(name);
    collector.add(kind, SHARES.get(name) ?? 1, x, end);
    for (const [from, to] of hidden.get(event) ?? []) {
      if (to >= window.from && from <= window.to) collector.add(HIDDEN, 1, px(from), px(to));
    }
    if (lane.height < NEEDS || name === "bubble" || end - x < 12) return;
    const text = eventText(view, event);
    const short = text.replace(/^[FBRW]/, "");
    const fits = [text, short].find((one) => textWidth(one, 11) + 4 <= end - x);
    if (fits)
      words.push({
        text: fits,
        x: (x + end) / 2,
        color: isCommunication(name) ? EXPOSED.color : kind.color,
      });
  });
  return { boxes: collector.all(), words };
}
