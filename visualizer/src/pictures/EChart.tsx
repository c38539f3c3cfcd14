// An ECharts option on a canvas, redrawn when the option or its width changes.
import type { EChartsType } from "echarts/core";
import {
  type KeyboardEvent,
  type Ref,
  type RefObject,
  useEffect,
  useImperativeHandle,
  useMemo,
  useRef,
  useState,
} from "react";
import { echarts } from "./echarts";
import type { Drawing, Frame } from "./frame";
import { type Point, pointByKey } from "./pointKeys";
import { type ImageKind, pngOf } from "./save";
import { useLook } from "./useLook";
import { useWidth } from "./useWidth";
import { useWords } from "./useWords";

/** What saves a picture as it is seen: see Figure. */
export interface Saver {
  image(kind: ImageKind): Promise<Blob>;
}

interface Props {
  draw: (frame: Frame) => Drawing;
  /** Read in place of the picture. */
  summary: string;
  saver?: Ref<Saver>;
  /** After each drawing, for what options do not say. */
  onDrawn?: (chart: EChartsType, frame: Frame) => void;
  onClick?: (event: { dataIndex: number; seriesIndex: number }) => void;
  onKeyDown?: (event: KeyboardEvent) => void;
  /** In the place of `onKeyDown`: what keys go through. */
  points?: Point[] | undefined;
}

export function EChart({ draw, summary, saver, onDrawn, onClick, onKeyDown, points }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<EChartsType | null>(null);
  const width = useWidth(box);
  const look = useLook();
  const words = useWords();
  const frame = useMemo(() => ({ width, look, ...words }), [width, look, words]);
  const drawing = useMemo(() => (frame.width > 0 ? draw(frame) : null), [draw, frame]);
  const told = useRef({ onDrawn, onClick });
  useEffect(() => {
    told.current = { onDrawn, onClick };
  });

  useEffect(() => {
    if (!box.current || !drawing) return;
    const size = { width: frame.width, height: drawing.height };
    if (!chart.current) {
      chart.current = echarts.init(box.current, undefined, { renderer: "canvas", ...size });
      chart.current.on("click", ({ dataIndex, seriesIndex }) =>
        told.current.onClick?.({ dataIndex, seriesIndex: seriesIndex ?? 0 }),
      );
    }
    chart.current.resize(size);
    chart.current.setOption(drawing.option, { notMerge: true });
    told.current.onDrawn?.(chart.current, frame);
  }, [drawing, frame]);
  useEffect(
    () => () => {
      chart.current?.dispose();
      chart.current = null;
    },
    [],
  );
  useImperativeHandle(
    saver,
    () => ({
      image: async (kind) => {
        if (!drawing || !chart.current) throw new Error("nothing is drawn");
        return imageOf(drawing, frame.width, zoomsOf(chart.current), look.color("ground"), kind);
      },
    }),
    [drawing, frame, look],
  );
  const keys = usePointKeys(chart, points);
  return (
    <>
      <div
        ref={box}
        className="picture-canvas"
        style={{ height: drawing?.height ?? 120 }}
        role="img"
        aria-label={summary}
        tabIndex={onKeyDown || keys ? 0 : undefined}
        onKeyDown={onKeyDown ?? keys?.onKeyDown}
        onBlur={keys?.onBlur}
      />
      {keys && (
        <p className="unseen" aria-live="polite">
          {keys.said}
        </p>
      )}
    </>
  );
}

/** Arrow keys show the tips of one point after the other, and say them. */
function usePointKeys(chart: RefObject<EChartsType | null>, points: Point[] | undefined) {
  const [at, setAt] = useState<number | null>(null);
  if (!points) return null;
  const leave = () => {
    setAt(null);
    chart.current?.dispatchAction({ type: "hideTip" });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") return leave();
    const next = pointByKey(points.length, at, event.key);
    const point = points[next ?? -1];
    if (next === null || !point) return;
    event.preventDefault();
    setAt(next);
    const { seriesIndex, dataIndex } = point;
    chart.current?.dispatchAction({ type: "showTip", seriesIndex, dataIndex });
  };
  return { onKeyDown, onBlur: leave, said: points[at ?? -1]?.text };
}

interface Zoom {
  start: number;
  end: number;
}

export function zoomsOf(chart: EChartsType): Zoom[] {
  const { dataZoom = [] } = chart.getOption() as { dataZoom?: Zoom[] };
  return dataZoom.map(({ start, end }) => ({ start, end }));
}

/** Drawn anew beside the page: with a ground, without sliders. */
function imageOf(
  drawing: Drawing,
  width: number,
  zooms: Zoom[],
  ground: string,
  kind: ImageKind,
): Blob {
  const svg = kind === "svg";
  const box = document.createElement("div");
  const chart = echarts.init(svg ? null : box, undefined, {
    renderer: svg ? "svg" : "canvas",
    ssr: svg,
    width,
    height: drawing.height,
  });
  try {
    chart.setOption({ ...drawing.option, backgroundColor: ground });
    if (zooms.length > 0)
      chart.setOption({ dataZoom: zooms.map((zoom) => ({ ...zoom, show: false })) });
    if (svg) return new Blob([chart.renderToSVGString()], { type: "image/svg+xml" });
    return pngOf(chart.getDataURL({ type: "png", pixelRatio: 2, backgroundColor: ground }));
  } finally {
    chart.dispose();
  }
}
