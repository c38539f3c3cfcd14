import { useContext } from "react";
import type { SearchView } from "../api/types";
import { Section } from "../app/Section";
import { LanguageContext, useText } from "../i18n/useText";
import { stepPartName } from "../pictures/names";
import { planTitle } from "../state/planTitle";
import { LookAt } from "./LookAt";

/** Side by side, with what each loses to the best. */
export function RunnersUp({ found }: { found: SearchView }) {
  const t = useText();
  const language = useContext(LanguageContext);
  if (found.runners_up.length === 0) return null;
  return (
    <Section title={t("runners_up_title")} help={t("runners_up_help")}>
      <div className="cards">
        {found.best && (
          <article className="card chosen" aria-label={t("plan_searched")}>
            <h3>{t("plan_searched")}</h3>
            <p>
              <b>{found.best.step.text}</b> · {found.best.memory.text}
            </p>
            <p className="help" lang="en">
              {found.best.line}
            </p>
          </article>
        )}
        {found.runners_up.map((row) => (
          <article key={row.name} className="card" aria-label={planTitle(row.name, t)}>
            <h3>{planTitle(row.name, t)}</h3>
            <p>
              <b>{row.step.text}</b> · {row.memory.text}
            </p>
            <p lang="en">{row.loss.text}</p>
            <ul className="losses">
              {row.loss.parts.map((part) => (
                <li key={part.name} className={part.ms > 0 ? "more" : "less"}>
                  <span>{stepPartName(language, part.name)}</span> <b>{part.text}</b>
                </li>
              ))}
            </ul>
            <p className="help" lang="en">
              {row.line}
            </p>
            <LookAt candidate={`runner-up:${row.name}`} plan={{ name: row.name, plan: row.plan }} />
          </article>
        ))}
      </div>
    </Section>
  );
}
