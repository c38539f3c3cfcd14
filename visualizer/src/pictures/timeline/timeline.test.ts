import { expect, test } from "vitest";
import { timelineView } from "../../../testing/gallery/examples";
import { frameOf, svgOf, wordsOf } from "../../../testing/look";
import type { TimelineView } from "../../api/types";
import { eventText, sceneOf } from "./boxes";
import { drawTimeline } from "./draw";
import { eventAt, type Lane, lanesOf, visitEvents } from "./lanes";
import { eventByKey, spanAround, spanByKey } from "./steps";
import { eventLine, stepText, timelineTable } from "./table";

const words = wordsOf();

/** Events of [row, kind, start, end, hidden], all of microbatch 3. */
function viewOf(
  rows: TimelineView["rows"],
  kinds: string[],
  events: [number, number, number, number, number?][],
): TimelineView {
  return {
    total_ms: Math.max(1, ...events.map((event) => event[3])),
    bubble_fraction: 0,
    busy_ms: [],
    kinds,
    rows,
    events: {
      row: events.map((event) => event[0]),
      kind: events.map((event) => event[1]),
      start_ms: events.map((event) => event[2]),
      end_ms: events.map((event) => event[3]),
      microbatch: events.map(() => 3),
      chunk: events.map(() => 0),
      unit: events.map(() => -1),
      hidden_ms: events.map((event) => event[4] ?? 0),
    },
    num_events: events.length,
    left_out_ms: null,
  };
}
const ROWS: TimelineView["rows"] = [
  { name: "rank 0", pp_rank: 0, lane: "compute" },
  { name: "rank 0 collectives", pp_rank: 0, lane: "collectives" },
];

function visited(view: TimelineView, lane: Lane, from: number, to: number): number[] {
  const out: number[] = [];
  visitEvents(lane, view.events, from, to, (event) => out.push(event));
  return out;
}

function lane(view: TimelineView, row: number): Lane {
  const found = lanesOf(view).lanes[row];
  if (!found) throw new Error("no such lane");
  return found;
}

test("only what reaches into the window is visited", () => {
  const view = timelineView(4, 16, 3);
  for (const row of [0, 1, 5, 11]) {
    for (const [from, to] of [
      [0, 1e9],
      [100, 130],
      [317.5, 317.6],
      [1e6, 2e6],
      [-5, -1],
    ] as const) {
      const all = view.events.row.flatMap((_, i) => (view.events.row[i] === row ? [i] : []));
      const expected = all.filter(
        (i) => (view.events.start_ms[i] ?? 0) <= to && (view.events.end_ms[i] ?? 0) >= from,
      );
      expect(visited(view, lane(view, row), from, to)).toEqual(expected);
    }
  }
});

test("events that overlap, as measured ones may, are all found", () => {
  const view = viewOf(
    ROWS,
    ["forward"],
    [
      [0, 0, 0, 100],
      [0, 0, 1, 2],
      [0, 0, 50, 60],
    ],
  );
  expect(visited(view, lane(view, 0), 40, 45)).toEqual([0]);
  expect(visited(view, lane(view, 0), 55, 56)).toEqual([0, 2]);
});

test("at a time the shortest event, or the nearest", () => {
  const view = viewOf(
    ROWS,
    ["forward"],
    [
      [0, 0, 0, 100],
      [0, 0, 10, 20],
      [0, 0, 200, 200],
    ],
  );
  const at = (time: number, slack = 0) => eventAt(lane(view, 0), view.events, time, slack);
  expect(at(15)).toBe(1);
  expect(at(50)).toBe(0);
  expect(at(150)).toBeNull();
  expect(at(198, 3)).toBe(2);
  expect(at(200)).toBe(2);
});

test("boxes below half a pixel become one; what takes no time is seen", () => {
  const many = Array.from({ length: 50_000 }, (_, i): [number, number, number, number] => [
    0,
    0,
    i,
    i + 1,
  ]);
  const view = viewOf(ROWS, ["forward"], many);
  const lanes = lanesOf(view);
  const all = { from: 0, to: 50_000, left: 0, scale: 800 / 50_000 };
  const scene = sceneOf(view, lanes, lane(view, 0), all);
  expect(scene.boxes.length).toBe(1);
  expect(scene.boxes[0]?.at.length).toBeLessThan(2 * 810);
  const instant = viewOf(ROWS, ["forward"], [[0, 0, 5, 5]]);
  const drawn = sceneOf(instant, lanesOf(instant), lane(instant, 0), {
    from: 0,
    to: 10,
    left: 100,
    scale: 10,
  });
  expect(drawn.boxes[0]?.at).toEqual([150, 1]);
});

test("boxes end with the window", () => {
  const view = viewOf(ROWS, ["forward"], [[0, 0, 0, 1000]]);
  const scene = sceneOf(view, lanesOf(view), lane(view, 0), {
    from: 400,
    to: 500,
    left: 10,
    scale: 1,
  });
  expect(scene.boxes[0]?.at[0]).toBe(10);
  expect(scene.boxes[0]?.at[1]).toBeLessThanOrEqual(100);
});

test("words where they fit: F3, else 3, else none", () => {
  const view = viewOf(ROWS, ["forward"], [[0, 0, 0, 10]]);
  const textAt = (scale: number) =>
    sceneOf(view, lanesOf(view), lane(view, 0), { from: 0, to: 10, left: 0, scale }).words.map(
      ({ text }) => text,
    );
  expect(textAt(10)).toEqual(["F3"]);
  expect(textAt(1.3)).toEqual(["3"]);
  expect(textAt(0.5)).toEqual([]);
  expect(eventText({ ...view, events: { ...view.events, chunk: [1] } }, 0)).toBe("F3.1");
  expect(eventText({ ...view, kinds: ["constructor"] }, 0)).toBe("constructor");
});

test("communication is hidden exactly where its rank computes", () => {
  const view = viewOf(
    ROWS,
    ["forward", "gather", "bubble"],
    [
      [0, 0, 0, 10],
      [1, 1, 5, 30, 10],
      [0, 2, 10, 20],
      [0, 0, 20, 25],
      [1, 1, 40, 50, 0],
    ],
  );
  expect(lanesOf(view).hidden).toEqual(
    new Map([
      [
        1,
        [
          [5, 10],
          [20, 25],
        ],
      ],
    ]),
  );
});

test("ranks of one stage, as measured, keep their own lanes", () => {
  const rows = [0, 1].flatMap((rank): TimelineView["rows"] => [
    { name: `rank ${rank}`, pp_rank: 0, lane: "compute" },
    { name: `rank ${rank} communicates`, pp_rank: 0, lane: "collectives" },
  ]);
  const view = viewOf(
    rows,
    ["forward", "communication"],
    [
      [0, 0, 0, 10],
      [3, 1, 0, 10, 5],
      [2, 0, 5, 10],
    ],
  );
  expect(lanesOf(view).hidden).toEqual(new Map([[1, [[5, 10]]]]));
});

test("keys go along a lane and across lanes", () => {
  const view = timelineView(2, 2);
  const lanes = lanesOf(view);
  const first = eventByKey(view, lanes, null, "ArrowRight");
  expect(first).toBe(lanes.lanes[0]?.events[0]);
  const next = eventByKey(view, lanes, first, "ArrowRight");
  expect(next).toBe(lanes.lanes[0]?.events[1]);
  expect(eventByKey(view, lanes, next, "ArrowLeft")).toBe(first);
  expect(eventByKey(view, lanes, first, "ArrowLeft")).toBe(first);
  expect(eventByKey(view, lanes, first, "ArrowUp")).toBe(first);
  const below = eventByKey(view, lanes, first, "ArrowDown") ?? -1;
  expect(view.events.row[below]).toBe(1);
  expect(eventByKey(view, lanes, first, "End")).toBe(lanes.lanes[0]?.events.at(-1));
  expect(eventByKey(view, lanes, first, "x")).toBeNull();
});

test("zoom stays within the step", () => {
  expect(spanByKey({ from: 0, to: 100 }, 100, 10, "+")).toEqual({ from: 0, to: 50 });
  expect(spanByKey({ from: 50, to: 100 }, 100, 75, "-")).toEqual({ from: 0, to: 100 });
  expect(spanByKey({ from: 50, to: 60 }, 100, 55, "0")).toEqual({ from: 0, to: 100 });
  expect(spanByKey({ from: 0, to: 100 }, 100, 10, "a")).toBeNull();
  const span = { from: 0, to: 10 };
  expect(spanAround(span, 100, 2, 3)).toBe(span);
  expect(spanAround(span, 100, 50, 52)).toEqual({ from: 46, to: 56 });
  expect(spanAround(span, 100, 99, 100)).toEqual({ from: 90, to: 100 });
});

test.each([
  ["as it is", timelineView(4, 8)],
  ["64 ranks", timelineView(64, 4)],
  ["the middle left out", { ...timelineView(2, 8), left_out_ms: [100, 200] as [number, number] }],
  ["one event", viewOf(ROWS, ["forward"], [[0, 0, 0, 1]])],
  [
    "events of no length",
    viewOf(
      ROWS,
      ["forward"],
      [
        [0, 0, 0, 0],
        [0, 0, 0, 0],
      ],
    ),
  ],
  ["no events", viewOf(ROWS, ["forward"], [])],
  ["no time", { ...viewOf(ROWS, [], []), total_ms: 0 }],
])("drawn wide and narrow: %s", (_, view) => {
  for (const width of [360, 1000]) {
    const frame = frameOf(width);
    const { option, height } = drawTimeline(view, lanesOf(view), frame);
    const svg = svgOf(
      { summary: "", table: { columns: [], rows: [] }, draw: () => ({ option, height }) },
      frame,
    );
    expect(svg).toContain("rank 0");
    expect(svg).not.toContain("NaN");
  }
});

test("in words", () => {
  const view = viewOf(ROWS, ["forward"], [[0, 0, 0, 10]]);
  expect(stepText({ ...view, bubble_fraction: 0.123 }, words)).toBe("step 10.0 ms, bubble 12 %");
  expect(eventLine(view, 0, words)).toBe(
    "forward, rank 0: duration 10.0 ms, from 0 s, to 10.0 ms, microbatch 3",
  );
  expect(timelineTable(view, words).rows[0]?.map(({ text }) => text)).toEqual([
    "rank 0",
    "forward",
    "0 s",
    "10.0 ms",
    "3",
    "0",
    "",
    "0 s",
  ]);
});
