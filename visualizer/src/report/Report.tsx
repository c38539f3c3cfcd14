import { useEffect } from "react";
import type { RunView } from "../api/types";
import { Section } from "../app/Section";
import { LanguageSwitch, ThemeSwitch } from "../app/Switches";
import { InLanguage } from "../i18n/InLanguage";
import { useText } from "../i18n/useText";
import { RunPage } from "./RunPage";

export function Report({ run }: { run: RunView | null }) {
  useEffect(() => {
    if (run) document.title = run.title;
  }, [run]);
  return (
    <InLanguage>
      {(choice) => (
        <>
          <header className="banner">
            <Title />
            <div className="row">
              <LanguageSwitch {...choice} />
              <ThemeSwitch />
            </div>
          </header>
          <main className="report">
            {run ? (
              <Section title={run.title}>
                <RunPage run={run} />
              </Section>
            ) : (
              <NoRun />
            )}
          </main>
        </>
      )}
    </InLanguage>
  );
}

function Title() {
  const t = useText();
  return <h1>{t("report_title")}</h1>;
}

function NoRun() {
  const t = useText();
  return <p className="alert">{t("report_broken")}</p>;
}
