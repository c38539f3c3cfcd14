// A Plot by uPlot: values at the cursor in the legend, the cursor by mouse or arrow keys.
import {
  type KeyboardEvent,
  type Ref,
  useEffect,
  useImperativeHandle,
  useMemo,
  useRef,
  useState,
} from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Saver } from "./EChart";
import type { Look } from "./look";
import { indexAt, type Plot } from "./plot";
import { nextIndex } from "./plotKeys";
import { plotSvg } from "./plotSvg";
import { svgPng } from "./save";
import { PLOT_HEIGHT, uplotOptions } from "./uplotOptions";
import { useLook } from "./useLook";
import { useWidth } from "./useWidth";

interface Props {
  plot: Plot;
  summary: string;
  saver?: Ref<Saver>;
  height?: number;
}

export function TimePlot({ plot, summary, saver, height = PLOT_HEIGHT }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const width = useWidth(box);
  const look = useLook();
  const [index, setIndex] = useState<number | null>(null);
  const made = useMemo(
    () => uplotOptions(plot, look, uPlot.paths.stepped?.({ align: 1 })),
    [plot, look],
  );

  const drawable = width > 0;
  useEffect(() => {
    if (!box.current || !drawable) return;
    const setCursor = (u: uPlot) => setIndex(u.cursor.idx ?? null);
    const hooks = { ...made.options.hooks, setCursor: [setCursor] };
    const size = { width: box.current.clientWidth, height };
    const u = new uPlot({ ...made.options, ...size, hooks }, made.data, box.current);
    chart.current = u;
    return () => {
      chart.current = null;
      u.destroy();
    };
  }, [made, drawable, height]);
  useEffect(() => {
    if (width > 0) chart.current?.setSize({ width, height });
  }, [width, height]);
  useImperativeHandle(saver, () => saverOf(plot, width, height + 40, look), [
    plot,
    width,
    height,
    look,
  ]);

  function onKeyDown(event: KeyboardEvent) {
    const u = chart.current;
    const next = u && nextIndex(plot, index, event.key);
    if (!u || next == null) return;
    event.preventDefault();
    const left = u.valToPos(plot.x[next] ?? 0, "x");
    u.setCursor({ left, top: PLOT_HEIGHT / 3 });
    setIndex(next);
  }
  return (
    <>
      <Legend plot={plot} index={index} look={look} />
      <div
        ref={box}
        className="picture-canvas"
        style={{ height }}
        role="img"
        aria-label={summary}
        tabIndex={0}
        onKeyDown={onKeyDown}
      />
    </>
  );
}

function saverOf(plot: Plot, width: number, height: number, look: Look): Saver {
  return {
    image: (kind) => {
      const svg = plotSvg(plot, Math.max(width, 320), height, look);
      const blob = new Blob([svg], { type: "image/svg+xml" });
      return kind === "svg" ? Promise.resolve(blob) : svgPng(blob, Math.max(width, 320), height);
    },
  };
}

/** Names, and the values at the cursor; at the mark, or else the last ones, where there is none. */
function Legend({ plot, index, look }: { plot: Plot; index: number | null; look: Look }) {
  const resting = plot.mark ? indexAt(plot.x, plot.mark.x) : plot.x.length - 1;
  const at = index ?? resting;
  const x = plot.x[at];
  return (
    <ul className="picture-legend" aria-live={index === null ? "off" : "polite"}>
      {x !== undefined && <li className="picture-legend-x">{plot.xText(x)}</li>}
      {plot.series.map((one) => {
        const value = one.values[at];
        return (
          <li key={one.name}>
            <span
              className={one.points ? "picture-key picture-key-point" : "picture-key"}
              style={{ color: look.color(one.color), opacity: one.opacity }}
            />
            {one.name} <strong>{value == null ? "" : one.text(value)}</strong>
          </li>
        );
      })}
    </ul>
  );
}
