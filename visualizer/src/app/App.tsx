import { useEffect, useState } from "react";
import { I18nProvider } from "react-aria-components";
import type { Language } from "../i18n/texts";
import { keepLanguage, LanguageContext, preferredLanguage } from "../i18n/useText";
import type { Kept } from "../state/permalink";
import { Page } from "./Page";
import "./app.css";

/** `kept`: the state that the address held; `brokenLink`: it held something else. */
export function App(props: { kept: Kept | null; brokenLink: boolean }) {
  const [language, setLanguage] = useState<Language>(preferredLanguage);
  const locale = language === "zh" ? "zh-CN" : "en-US";
  useEffect(() => {
    document.documentElement.lang = locale;
  }, [locale]);
  const choose = (next: Language) => {
    keepLanguage(next);
    setLanguage(next);
  };
  return (
    <I18nProvider locale={locale}>
      <LanguageContext value={language}>
        <Page {...props} language={language} setLanguage={choose} />
      </LanguageContext>
    </I18nProvider>
  );
}
