import { useMemo, useRef } from "react";
import type { Amount, MemoryDetail } from "../api/types";
import { bytesText } from "../format";
import type { Saver } from "./EChart";
import { Figure } from "./Figure";
import { aliveName } from "./names";
import { memoryOverTime, memoryOverTimeTable } from "./plots/memoryOverTime";
import { TimePlot } from "./TimePlot";
import { useWords } from "./useWords";

interface Props {
  detail: MemoryDetail;
  /** Drawn as a line. */
  budget?: Amount | null;
}

/** From one moment of the step to the next, and what is alive at the fullest. */
export function MemoryOverTime({ detail, budget = null }: Props) {
  const words = useWords();
  const { t } = words;
  const saver = useRef<Saver>(null);
  const plot = useMemo(() => memoryOverTime(detail, budget, words), [detail, budget, words]);
  const table = useMemo(
    () => (plot ? memoryOverTimeTable(detail, words) : null),
    [detail, plot, words],
  );
  const title = t("memory_over_time", { rank: detail.pp_rank });
  return (
    <Figure title={title} hint={t("memory_over_time_hint")} table={table} saver={saver}>
      {plot && (
        <TimePlot
          plot={plot}
          summary={`${t("named", { name: title, text: plot.mark?.text ?? "" })}.`}
          saver={saver}
        />
      )}
      <Alive peak={detail.peak} />
    </Figure>
  );
}

const SHOWN = 12;

function Alive({ peak }: { peak: MemoryDetail["peak"] }) {
  const words = useWords();
  const { t } = words;
  const most = peak.total.value || 1;
  const shown = peak.alive.slice(0, SHOWN);
  const rest = peak.alive.slice(SHOWN);
  return (
    <div className="alive">
      <h3>
        {t("peak_alive")} <span className="help">{peak.total.text}</span>
      </h3>
      <ol>
        {shown.map(({ name, bytes, text }) => (
          <AliveRow key={name} name={aliveName(words, name)} text={text} share={bytes / most} />
        ))}
        {rest.length > 0 && (
          <AliveRow
            name={t("alive_others", { count: rest.length })}
            text={bytesText(rest.reduce((sum, { bytes }) => sum + bytes, 0))}
            share={rest.reduce((sum, { bytes }) => sum + bytes, 0) / most}
          />
        )}
      </ol>
    </div>
  );
}

function AliveRow({ name, text, share }: { name: string; text: string; share: number }) {
  return (
    <li>
      <span className="alive-name">{name}</span>
      <span className="alive-text">{text}</span>
      <span className="alive-bar" style={{ width: `${Math.min(100, 100 * share)}%` }} />
    </li>
  );
}
