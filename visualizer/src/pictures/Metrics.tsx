import { useMemo, useRef, useState } from "react";
import { Label, Slider, SliderOutput, SliderThumb, SliderTrack } from "react-aria-components";
import type { RunView } from "../api/types";
import { Switcher } from "../kit/controls";
import type { Saver } from "./EChart";
import { Figure } from "./Figure";
import { lossPlot, metricPlot, otherMetrics, plotTable } from "./plots/metrics";
import { usualSmoothing } from "./plots/smooth";
import type { Plot } from "./plot";
import { TimePlot } from "./TimePlot";
import { useWords } from "./useWords";

/** The loss with the evaluations, smoothed as the reader likes it, and each other metric by itself. */
export function Metrics({ run }: { run: RunView }) {
  return (
    <>
      <Loss run={run} />
      <div className="picture-grid">
        {otherMetrics(run).map((metric) => (
          <Metric key={metric} run={run} metric={metric} />
        ))}
      </div>
    </>
  );
}

type Scale = "linear" | "logarithmic";

function Loss({ run }: { run: RunView }) {
  const words = useWords();
  const { t } = words;
  const [chosen, setKeep] = useState<number | null>(null);
  const [scale, setScale] = useState<Scale>("linear");
  const keep = chosen ?? usualSmoothing(run.metrics.loss?.length ?? 0);
  const plot = useMemo(
    () => lossPlot(run, keep, scale === "logarithmic", words),
    [run, keep, scale, words],
  );
  const controls = (
    <>
      <Smoothing keep={keep} onChange={setKeep} />
      <Switcher<Scale>
        label={t("scale_of")}
        options={[
          { key: "linear", text: t("linear") },
          { key: "logarithmic", text: t("logarithmic") },
        ]}
        value={scale}
        onChange={setScale}
      />
    </>
  );
  return <PlotFigure title={t("loss_picture")} plot={plot} controls={controls} />;
}

function Smoothing({ keep, onChange }: { keep: number; onChange: (keep: number) => void }) {
  const { t } = useWords();
  return (
    <Slider
      className="slider"
      minValue={0}
      maxValue={0.99}
      step={0.01}
      value={keep}
      onChange={onChange}
    >
      <Label>{t("smoothing")}</Label>
      <SliderTrack className="slider-track">
        <SliderThumb className="slider-thumb" />
      </SliderTrack>
      <SliderOutput />
    </Slider>
  );
}

function Metric({ run, metric }: { run: RunView; metric: string }) {
  const words = useWords();
  const plot = useMemo(() => metricPlot(run, metric, words), [run, metric, words]);
  return plot && <PlotFigure title={plot.title} plot={plot} height={200} />;
}

interface FigureProps {
  title: string;
  plot: Plot | null;
  height?: number;
  controls?: React.ReactNode;
}

function PlotFigure({ title, plot, height, controls }: FigureProps) {
  const saver = useRef<Saver>(null);
  const table = useMemo(() => (plot ? plotTable(plot) : null), [plot]);
  return (
    <Figure heading title={title} table={table} saver={saver} controls={controls}>
      {plot && (
        <TimePlot
          plot={plot}
          summary={summaryOf(plot)}
          saver={saver}
          {...(height ? { height } : {})}
        />
      )}
    </Figure>
  );
}

function summaryOf(plot: Plot): string {
  const said = plot.series.map(({ name, values, text }) => {
    const known = values.filter((value) => value !== null);
    const [first, last] = [known[0], known.at(-1)];
    return first === undefined || last === undefined
      ? name
      : `${name} ${text(first)} → ${text(last)}`;
  });
  return `${plot.title}: ${said.join("; ")}.`;
}
