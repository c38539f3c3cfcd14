import { useMemo, useRef, useState } from "react";
import type { TimelineView } from "../api/types";
import { Action } from "../kit/controls";
import type { Saver } from "./EChart";
import { Figure } from "./Figure";
import { TimelineChart, type TimelineHandle } from "./TimelineChart";
import { lanesOf } from "./timeline/lanes";
import { eventLine, stepText, timelineTable } from "./timeline/table";
import { useWords } from "./useWords";

const ZOOMS = [
  { name: "zoom_in", key: "+", sign: "+" },
  { name: "zoom_out", key: "-", sign: "−" },
  { name: "zoom_all", key: "0", sign: "↔" },
] as const;

interface Props {
  timeline: TimelineView;
  title?: string;
}

/** Each pipeline rank's compute, what it receives and its collectives, over one step. */
export function Timeline({ timeline: view, title }: Props) {
  const words = useWords();
  const { t } = words;
  const saver = useRef<Saver>(null);
  const handle = useRef<TimelineHandle>(null);
  const [chosen, setChosen] = useState<number | null>(null);
  const lanes = useMemo(() => lanesOf(view), [view]);
  const table = useMemo(() => timelineTable(view, words), [view, words]);
  const name = title ?? t("timeline_title");
  const known = chosen !== null && chosen < view.events.row.length ? chosen : null;
  const controls = ZOOMS.map((zoom) => (
    <Action
      key={zoom.key}
      kind="quiet"
      aria-label={t(zoom.name)}
      onPress={() => handle.current?.zoom(zoom.key)}
    >
      {zoom.sign}
    </Action>
  ));
  return (
    <Figure
      title={name}
      hint={t("timeline_hint")}
      table={view.events.row.length === 0 ? null : table}
      saver={saver}
      controls={controls}
    >
      <p className="picture-readout" aria-live="polite">
        {known === null ? stepText(view, words) : eventLine(view, known, words)}
      </p>
      <TimelineChart
        view={view}
        lanes={lanes}
        summary={t("named", { name, text: stepText(view, words) })}
        saver={saver}
        handle={handle}
        chosen={known}
        onChoose={setChosen}
      />
      {view.left_out_ms && (
        <p className="help">
          {t("events_shown", { shown: view.events.row.length, all: view.num_events })}
        </p>
      )}
    </Figure>
  );
}
