// What the search says of its answer: why it, what it beats, what more of something would give, and how sure that is.
import type { SearchView } from "../api/types";
import { Section } from "../app/Section";
import { SearchState } from "../app/Summary";
import { Named, Said } from "../i18n/Said";
import { useText } from "../i18n/useText";
import { Action } from "../kit/controls";
import { Folded } from "../kit/Folded";
import { TextTable } from "../kit/TextTable";
import { useSession } from "../state/session";
import { candidatesOf } from "./certificate";
import { Baselines } from "./Baselines";
import { FrontierPanel, SweepPanel } from "./Panels";
import { RunnersUp } from "./RunnersUp";

export function SearchTab() {
  const t = useText();
  const { search, showPlan, searchIsCurrent } = useSession();
  const found = search.last?.answer;
  return (
    <>
      <Section
        title={t("search_title")}
        tools={<Action onPress={search.again}>{t("search_again")}</Action>}
      >
        <SearchState />
        {found && <Best found={found} onShow={() => showPlan(null)} isOld={!searchIsCurrent} />}
      </Section>
      {found && (
        <div className={searchIsCurrent ? "" : "old"}>
          <Baselines found={found} />
          <RunnersUp found={found} />
          <ShadowPrices found={found} />
          <Certificate found={found} />
        </div>
      )}
      <FrontierPanel />
      <SweepPanel />
    </>
  );
}

function Best(props: { found: SearchView; onShow: () => void; isOld: boolean }) {
  const t = useText();
  const { found } = props;
  const { best, explanation, miss } = found;
  return (
    <div className={props.isOld ? "old" : ""}>
      {best && (
        <>
          <p className="best">
            <b>{best.step.text}</b> {t("per_step")}, {best.memory.text}. <Said>{best.line}</Said>
          </p>
          {explanation && <p lang="en">{explanation.binds}</p>}
          <div className="row">
            <Action kind="main" onPress={props.onShow}>
              {t("show_searched")}
            </Action>
          </div>
        </>
      )}
      {miss?.plan && (
        <Action kind="main" onPress={props.onShow}>
          {t("show_closest")}
        </Action>
      )}
      <Folded title={t("as_command_line")}>
        <pre className="said" lang="en" tabIndex={0}>
          {found.text}
        </pre>
      </Folded>
    </div>
  );
}

function ShadowPrices({ found }: { found: SearchView }) {
  const t = useText();
  if (found.shadow_prices.length === 0) return null;
  return (
    <Section title={t("prices_title")} help={t("prices_help")}>
      <TextTable
        label={t("prices_title")}
        heads={[t("with"), t("step"), "tokens/s", t("memory"), t("plan")]}
        rows={found.shadow_prices.map((row) => ({
          key: row.with,
          cells: [<Named key="with" name={row.with} />, row.step, row.gain, row.memory, row.plan],
        }))}
      />
    </Section>
  );
}

function Certificate({ found }: { found: SearchView }) {
  const t = useText();
  const looked = candidatesOf(found.certificate.text);
  const leftOut = found.explanation?.left_out ?? [];
  return (
    <Section
      title={t("certificate_title")}
      help={found.best ? t("certificate_help") : looked ? t("all_too_large", looked) : undefined}
    >
      {found.best && (
        <pre className="said wrapped" lang="en" tabIndex={0}>
          {found.certificate.text}
        </pre>
      )}
      {leftOut.length > 0 && (
        <Folded title={t("left_out")}>
          <ul>
            {leftOut.map((line) => (
              <li key={line} lang="en">
                {line}
              </li>
            ))}
          </ul>
        </Folded>
      )}
    </Section>
  );
}
