// The drawn part of the timeline: where the pointer is, keys, zoom.
import type { EChartsType } from "echarts/core";
import {
  type KeyboardEvent,
  type Ref,
  useCallback,
  useEffect,
  useImperativeHandle,
  useRef,
  useState,
} from "react";
import type { TimelineView } from "../api/types";
import { EChart, type Saver, zoomsOf } from "./EChart";
import type { Frame } from "./frame";
import { drawTimeline, overSeries } from "./timeline/draw";
import { eventAt, type Lanes } from "./timeline/lanes";
import { eventByKey, type Span, spanAround, spanByKey } from "./timeline/steps";
import { eventFacts, eventTitle } from "./timeline/table";
import { useWords } from "./useWords";

export interface TimelineHandle {
  /** By "+", "-" or "0"; false: another key. */
  zoom(key: string): boolean;
}

interface Props {
  view: TimelineView;
  lanes: Lanes;
  summary: string;
  saver: Ref<Saver>;
  handle: Ref<TimelineHandle>;
  chosen: number | null;
  onChoose: (event: number | null) => void;
}

interface Pointed {
  event: number;
  /** Of the pointer, in the picture. */
  x: number;
  y: number;
  width: number;
}

interface Drawn {
  chart: EChartsType;
  frame: Frame;
}

export function TimelineChart({ view, lanes, summary, saver, handle, chosen, onChoose }: Props) {
  const drawn = useRef<Drawn | null>(null);
  const [pointed, setPointed] = useState<Pointed | null>(null);
  const draw = useCallback((frame: Frame) => drawTimeline(view, lanes, frame), [view, lanes]);
  const at = useRef({ view, lanes, onChoose });
  useEffect(() => {
    at.current = { view, lanes, onChoose };
  });
  const onDrawn = useCallback((chart: EChartsType, frame: Frame) => {
    if (drawn.current?.chart !== chart) {
      const find = (x: number, y: number) =>
        eventUnder(chart, at.current.view, at.current.lanes, x, y);
      followPointer(chart, find, setPointed, (event) => at.current.onChoose(event));
    }
    drawn.current = { chart, frame };
  }, []);
  useEffect(() => {
    if (!drawn.current) return;
    const { chart, frame } = drawn.current;
    chart.setOption({ series: [overSeries(view, lanes, frame, chosen)] });
  }, [view, lanes, chosen]);

  const zoom = (key: string) => {
    const chart = drawn.current?.chart;
    return chart !== undefined && zoomByKey(chart, view, chosen, key);
  };
  useImperativeHandle(handle, () => ({ zoom }));
  function onKeyDown(event: KeyboardEvent) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") return onChoose(null);
    if (zoom(event.key)) return event.preventDefault();
    const next = eventByKey(view, lanes, chosen, event.key);
    if (next === null) return;
    event.preventDefault();
    onChoose(next);
    if (drawn.current) showEvent(drawn.current.chart, view, next);
  }
  return (
    <div className="picture-over" onMouseLeave={() => setPointed(null)}>
      <EChart draw={draw} summary={summary} saver={saver} onDrawn={onDrawn} onKeyDown={onKeyDown} />
      {pointed && pointed.event < view.events.row.length && (
        <PointedTip view={view} pointed={pointed} />
      )}
    </div>
  );
}

function PointedTip({ view, pointed }: { view: TimelineView; pointed: Pointed }) {
  const words = useWords();
  const { x, y, width } = pointed;
  const side = x < width / 2 ? { left: x + 14 } : { right: width - x + 14 };
  return (
    <div className="picture-float tip" style={{ ...side, top: y + 12 }} aria-hidden="true">
      <div className="tip-title">{eventTitle(view, pointed.event, words)}</div>
      {eventFacts(view, pointed.event, words).map(({ name, text, strong }) => (
        <div key={name} className={strong ? "tip-row tip-strong" : "tip-row"}>
          <span className="tip-name">{name}</span>
          <span className="tip-text">{text}</span>
        </div>
      ))}
    </div>
  );
}

function followPointer(
  chart: EChartsType,
  find: (x: number, y: number) => number | null,
  onPoint: (pointed: Pointed | null) => void,
  onChoose: (event: number) => void,
): void {
  const zr = chart.getZr();
  zr.on("mousemove", ({ offsetX, offsetY }) => {
    const event = find(offsetX, offsetY);
    onPoint(event === null ? null : { event, x: offsetX, y: offsetY, width: chart.getWidth() });
  });
  zr.on("click", ({ offsetX, offsetY }) => {
    const event = find(offsetX, offsetY);
    if (event !== null) onChoose(event);
  });
}

const NEAR = 2; // pixels

function eventUnder(
  chart: EChartsType,
  view: TimelineView,
  lanes: Lanes,
  x: number,
  y: number,
): number | null {
  const axes = { xAxisIndex: 0, yAxisIndex: 0 };
  if (!chart.containPixel(axes, [x, y])) return null;
  const [time = 0, height = 0] = chart.convertFromPixel(axes, [x, y]);
  const [next = 0] = chart.convertFromPixel(axes, [x + NEAR, y]);
  const lane = lanes.lanes.find(
    ({ top, height: own }) => height >= top - 1 && height <= top + own + 1,
  );
  return lane ? eventAt(lane, view.events, time, next - time) : null;
}

function spanOf(chart: EChartsType, total: number): Span {
  const [zoom] = zoomsOf(chart);
  return { from: ((zoom?.start ?? 0) / 100) * total, to: ((zoom?.end ?? 100) / 100) * total };
}

function showSpan(chart: EChartsType, { from, to }: Span): void {
  chart.dispatchAction({ type: "dataZoom", dataZoomIndex: 0, startValue: from, endValue: to });
}

/** About the chosen event, or the middle. */
function zoomByKey(
  chart: EChartsType,
  view: TimelineView,
  chosen: number | null,
  key: string,
): boolean {
  const span = spanOf(chart, view.total_ms);
  const { start_ms, end_ms } = view.events;
  const middle =
    chosen === null
      ? (span.from + span.to) / 2
      : ((start_ms[chosen] ?? 0) + (end_ms[chosen] ?? 0)) / 2;
  const next = spanByKey(span, view.total_ms, middle, key);
  if (next) showSpan(chart, next);
  return next !== null;
}

function showEvent(chart: EChartsType, view: TimelineView, event: number): void {
  const span = spanOf(chart, view.total_ms);
  const { start_ms, end_ms } = view.events;
  const next = spanAround(span, view.total_ms, start_ms[event] ?? 0, end_ms[event] ?? 0);
  if (next !== span) showSpan(chart, next);
}
