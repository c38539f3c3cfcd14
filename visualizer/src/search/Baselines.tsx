import type { SearchView } from "../api/types";
import { Section } from "../app/Section";
import { useText } from "../i18n/useText";
import { TextTable } from "../kit/TextTable";
import { planTitle } from "../state/planTitle";
import { LookAt } from "./LookAt";

/** What people do by hand, each tuned as far as it goes. */
export function Baselines({ found }: { found: SearchView }) {
  const t = useText();
  if (found.baselines.length === 0) return null;
  return (
    <Section title={t("baselines_title")} help={t("baselines_help")}>
      <TextTable
        label={t("baselines_title")}
        heads={[t("by_hand"), t("step"), t("memory"), t("in_memory"), ""]}
        rows={found.baselines.map((row) => ({
          key: row.name,
          cells: [
            <span key="name">
              {planTitle(row.name, t)}
              <span className="help block" lang="en">
                {row.help}
              </span>
            </span>,
            row.fits ? row.step.text : "–",
            row.memory.text,
            row.fits ? t("fits") : t("missing", { amount: row.missing?.text }),
            <LookAt
              key="look"
              candidate={`baseline:${row.name}`}
              plan={{ name: row.name, plan: row.plan }}
            />,
          ],
        }))}
      />
    </Section>
  );
}
