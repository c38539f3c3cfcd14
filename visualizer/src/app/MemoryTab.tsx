import { useAnswer } from "../api/useAnswer";
import type { MemoryDetail } from "../api/types";
import { useText } from "../i18n/useText";
import { Choice } from "../kit/controls";
import { useSession, type PlanQuestion } from "../state/session";
import { usePriced } from "../state/usePriced";
import { describeError } from "./describeError";
import { MemoryBars, MemoryOverTime, MemoryTreemap } from "./pictures";
import { NoPlan } from "./NoPlan";
import { Section } from "./Section";

interface MemoryQuestion extends PlanQuestion {
  pp_rank: number;
}

export function MemoryTab() {
  const t = useText();
  const { page, dispatch, shown, plan } = useSession();
  const priced = usePriced();
  const ranks = priced?.memory.ranks ?? [];
  const rank = ranks.find((one) => one.pp_rank === page.view.ppRank) ?? ranks[0];
  const possible = plan.last?.answer.priced && !plan.pending && !plan.error;
  const request = possible && shown && rank ? { ...shown, pp_rank: rank.pp_rank } : null;
  const detail = useAnswer<MemoryQuestion, MemoryDetail>("/api/memory", request);
  if (!priced) return <NoPlan />;
  const tools = ranks.length > 1 && rank && (
    <Choice
      bare
      label={t("pipeline_rank")}
      options={ranks.map((one) => ({
        key: String(one.pp_rank),
        text: t("pipeline_rank_of", { rank: one.pp_rank, total: one.total.text }),
      }))}
      value={String(rank.pp_rank)}
      onChange={(key) => dispatch({ do: "view", view: { ppRank: Number(key) } })}
    />
  );
  return (
    <div className={priced.isOld ? "old" : ""}>
      <Section title={t("memory_title")} help={t("memory_help")}>
        <MemoryBars
          memory={priced.memory}
          selected={ranks.length > 1 ? rank?.pp_rank : undefined}
          onSelect={(ppRank) => dispatch({ do: "view", view: { ppRank } })}
        />
      </Section>
      {detail.error && <p className="alert">{describeError(detail.error, t)}</p>}
      {detail.last && (
        <>
          <Section title={t("over_time_title")} help={t("over_time_help")} tools={tools}>
            <MemoryOverTime detail={detail.last.answer} budget={priced.memory.budget} />
          </Section>
          <Section title={t("treemap_title")} help={t("treemap_help")}>
            <MemoryTreemap detail={detail.last.answer} />
          </Section>
        </>
      )}
    </div>
  );
}
