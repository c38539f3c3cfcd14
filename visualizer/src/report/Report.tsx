import { useEffect, useState } from "react";
import { I18nProvider } from "react-aria-components";
import type { RunView } from "../api/types";
import { Section } from "../app/Section";
import { LanguageSwitch, ThemeSwitch } from "../app/Switches";
import type { Language } from "../i18n/texts";
import { keepLanguage, LanguageContext, preferredLanguage, useText } from "../i18n/useText";
import { RunPage } from "./RunPage";

export function Report({ run }: { run: RunView | null }) {
  const [language, setLanguage] = useState<Language>(preferredLanguage);
  const locale = language === "zh" ? "zh-CN" : "en-US";
  useEffect(() => {
    document.documentElement.lang = locale;
    if (run) document.title = run.title;
  }, [locale, run]);
  const choose = (next: Language) => {
    keepLanguage(next);
    setLanguage(next);
  };
  return (
    <I18nProvider locale={locale}>
      <LanguageContext value={language}>
        <header className="banner">
          <Title />
          <div className="row">
            <LanguageSwitch language={language} setLanguage={choose} />
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
      </LanguageContext>
    </I18nProvider>
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
