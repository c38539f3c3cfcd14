// The timeline as options of ECharts: a custom series whose items are lanes, each drawn as a few shapes of many
// boxes, so that moving costs as much as there are pixels, not events.
import type { TimelineView } from "../../api/types";
import { timeText } from "../../format";
import { axisLabel, common, FONT_SIZE, legend, legendHeight, valueAxis } from "../base";
import { echarts } from "../echarts";
import { type Drawing, type Frame, textWidth } from "../frame";
import { BUBBLE, EXPOSED, eventKind, HIDDEN, isCommunication, type Kind } from "../kinds";
import { decal, inkOn } from "../look";
import { nameOf } from "../names";
import { timeTick } from "../scale";
import { type Scene, sceneOf, type Window } from "./boxes";
import type { Lane, Lanes } from "./lanes";

interface ManyBoxes {
  at: number[];
  y: number;
  height: number;
}

const Boxes = echarts.graphic.extendShape({
  shape: { at: [], y: 0, height: 0 },
  buildPath(path: CanvasRenderingContext2D, { at, y, height }: ManyBoxes) {
    for (let i = 0; i + 1 < at.length; i += 2) path.rect(at[i] ?? 0, y, at[i + 1] ?? 0, height);
  },
});
echarts.graphic.registerShape("boxes", Boxes);

interface CustomParams {
  coordSys: { x: number; y: number; width: number; height: number };
  dataIndex: number;
}
interface CustomApi {
  coord: (point: [number, number]) => [number, number];
}

/** ECharts draws the axis from 0 to `total_ms` of the window in sight. */
export function windowOf(api: CustomApi, { coordSys }: CustomParams, total: number): Window {
  const [zero] = api.coord([0, 0]);
  const [end] = api.coord([total, 0]);
  const scale = (end - zero) / total;
  const from = Math.max(0, (coordSys.x - zero) / scale);
  return { from, to: from + coordSys.width / scale, left: zero + from * scale, scale };
}

function shapes(scene: Scene, lane: Lane, top: number, { look }: Frame): object[] {
  const boxes = scene.boxes.map(({ kind, share, at }) => {
    const height = Math.max(1, lane.height * share);
    const y = top + lane.top + (lane.height - height) / 2;
    return {
      type: "boxes",
      silent: true,
      shape: { at, y, height },
      style: { fill: look.color(kind.color) },
    };
  });
  const words = scene.words.map(({ text, x, color }) => ({
    type: "text",
    silent: true,
    style: {
      text,
      x,
      y: top + lane.top + lane.height / 2,
      align: "center",
      verticalAlign: "middle",
      fontSize: 11,
      fontFamily: look.font,
      fill: inkOn(look.color(color)),
    },
  }));
  return [...boxes, ...words];
}

function laneLabel(view: TimelineView, lane: Lane, lanes: Lanes): string {
  const row = view.rows[lane.row];
  const numRanks = lanes.lanes.filter(({ row: i }) => view.rows[i]?.lane === "compute").length;
  if (!row || row.lane !== "compute") return "";
  return numRanks > 40 && row.pp_rank % Math.ceil(numRanks / 40) !== 0 ? "" : row.name;
}

function labelWidth(view: TimelineView, frame: Frame): number {
  const widest = Math.max(
    ...view.rows.filter(({ lane }) => lane === "compute").map(({ name }) => textWidth(name)),
    20,
  );
  return Math.min(widest + 12, frame.width * 0.3);
}

/** Kinds that occur, and of communication the two ways in which it is drawn. */
function legendKinds(
  view: TimelineView,
  lanes: Lanes,
  { t, language }: Frame,
): { name: string; kind: Kind }[] {
  const used = new Set(view.events.kind);
  const names = view.kinds.filter((_, i) => used.has(i));
  const compute = names.filter((name) => !isCommunication(name) && name !== "bubble");
  const out = compute.map((name) => ({ name: nameOf(language, name), kind: eventKind(name) }));
  if (names.some(isCommunication)) out.push({ name: t("exposed_communication"), kind: EXPOSED });
  if (lanes.hidden.size > 0) out.push({ name: t("hidden_communication"), kind: HIDDEN });
  if (names.includes("bubble")) out.push({ name: nameOf(language, "bubble"), kind: BUBBLE });
  return out;
}

function laneSeries(view: TimelineView, lanes: Lanes, frame: Frame): object {
  return {
    id: "lanes",
    type: "custom",
    clip: true,
    silent: true,
    progressive: 0,
    encode: { x: [0, 1], y: 2 },
    data: lanes.lanes.map(({ top }) => [0, view.total_ms, top]),
    renderItem(params: CustomParams, api: CustomApi) {
      const lane = lanes.lanes[params.dataIndex];
      if (!lane) return null;
      const scene = sceneOf(view, lanes, lane, windowOf(api, params, view.total_ms));
      return { type: "group", children: shapes(scene, lane, params.coordSys.y, frame) };
    },
  };
}

function labelSeries(view: TimelineView, lanes: Lanes, frame: Frame): object {
  return {
    id: "labels",
    type: "custom",
    clip: false,
    silent: true,
    data: lanes.lanes.map(({ top }) => [0, top]),
    renderItem({ coordSys, dataIndex }: CustomParams) {
      const lane = lanes.lanes[dataIndex];
      if (!lane) return null;
      return {
        type: "text",
        style: {
          text: laneLabel(view, lane, lanes),
          x: coordSys.x - 8,
          y: coordSys.y + lane.top + lane.height / 2,
          align: "right",
          verticalAlign: "middle",
          fontSize: FONT_SIZE,
          fontFamily: frame.look.font,
          fill: frame.look.color("text"),
        },
      };
    },
  };
}

/** The middle that is not drawn, and the chosen event. */
export function overSeries(
  view: TimelineView,
  lanes: Lanes,
  frame: Frame,
  chosen: number | null,
): object {
  const { look, t } = frame;
  const { events, left_out_ms: gap } = view;
  const items: [string, number, number][] = [];
  if (gap) items.push(["gap", gap[0], gap[1]]);
  if (chosen !== null)
    items.push(["chosen", events.start_ms[chosen] ?? 0, events.end_ms[chosen] ?? 0]);
  return {
    id: "over",
    type: "custom",
    clip: true,
    silent: true,
    z: 5,
    encode: { x: [1, 2] },
    data: items,
    renderItem({ coordSys, dataIndex }: CustomParams, api: CustomApi) {
      const [what, from, to] = items[dataIndex] ?? ["", 0, 0];
      const [x] = api.coord([from, 0]);
      const width = Math.max(2, api.coord([to, 0])[0] - x);
      const lane = lanes.lanes.find(({ row }) => row === events.row[chosen ?? -1]);
      if (what === "chosen" && lane) {
        const shape = {
          x: x - 1,
          y: coordSys.y + lane.top - 1,
          width: width + 1,
          height: lane.height + 2,
        };
        return {
          type: "rect",
          shape,
          style: { fill: "none", stroke: look.color("text"), lineWidth: 2 },
        };
      }
      const shape = { x, y: coordSys.y, width, height: coordSys.height };
      const text =
        width > 150 && gap
          ? t("events_left_out", { from: timeText(gap[0]), to: timeText(gap[1]) })
          : "";
      const label = {
        text,
        fill: look.color("text-soft"),
        fontSize: FONT_SIZE,
        fontFamily: look.font,
      };
      return {
        type: "rect",
        shape,
        style: { fill: look.color("sunken") },
        textContent: { type: "text", style: label },
        textConfig: { position: "inside" },
      };
    },
  };
}

function zoom(frame: Frame): object[] {
  const { look } = frame;
  const shared = { xAxisIndex: 0, filterMode: "none", minSpan: 0.0005 };
  return [
    {
      ...shared,
      type: "inside",
      zoomOnMouseWheel: "ctrl",
      moveOnMouseMove: true,
      moveOnMouseWheel: false,
      preventDefaultMouseMove: false,
    },
    {
      ...shared,
      type: "slider",
      bottom: 6,
      height: 18,
      showDetail: false,
      brushSelect: false,
      borderColor: look.color("line"),
      fillerColor: look.color("accent-ground"),
      handleStyle: { color: look.color("ground"), borderColor: look.color("line-strong") },
      moveHandleStyle: { color: look.color("line-strong") },
    },
  ];
}

export interface TimelineLayout {
  left: number;
  top: number;
}

export function timelineLayout(view: TimelineView, lanes: Lanes, frame: Frame): TimelineLayout {
  const names = legendKinds(view, lanes, frame).map(({ name }) => name);
  return { left: labelWidth(view, frame), top: legendHeight(frame, names) + 26 };
}

export function drawTimeline(view: TimelineView, lanes: Lanes, frame: Frame): Drawing {
  const { look } = frame;
  const kinds = legendKinds(view, lanes, frame);
  const { left, top } = timelineLayout(view, lanes, frame);
  const bottom = 34;
  const height = top + lanes.height + bottom;
  // Series without data, for their entries in the legend.
  const keys = kinds.map(({ name, kind }) => ({
    type: "bar",
    name,
    data: [],
    itemStyle: { color: look.color(kind.color), decal: decal(look, "plain") },
  }));
  const option = {
    ...common(frame),
    legend: {
      ...legend(
        frame,
        kinds.map(({ name }) => name),
      ),
      selectedMode: false,
    },
    grid: { left, right: 14, top, bottom },
    xAxis: valueAxis(look, "", {
      min: 0,
      max: view.total_ms > 0 ? view.total_ms : 1,
      position: "top",
      axisLabel: { ...axisLabel(look, timeTick), showMaxLabel: false },
    }),
    yAxis: { type: "value", min: 0, max: Math.max(1, lanes.height), inverse: true, show: false },
    dataZoom: zoom(frame),
    series: [
      ...keys,
      laneSeries(view, lanes, frame),
      labelSeries(view, lanes, frame),
      overSeries(view, lanes, frame, null),
    ],
  };
  return { option, height };
}
