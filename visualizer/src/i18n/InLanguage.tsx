import { type ReactNode, useEffect, useState } from "react";
import { I18nProvider } from "react-aria-components";
import type { Language } from "./texts";
import { keepLanguage, LanguageContext, preferredLanguage } from "./useText";

export interface LanguageChoice {
  language: Language;
  setLanguage: (language: Language) => void;
}

/** A whole document in the language of its reader, which he may change. */
export function InLanguage({ children }: { children: (choice: LanguageChoice) => ReactNode }) {
  const [language, setChosen] = useState<Language>(preferredLanguage);
  const locale = language === "zh" ? "zh-CN" : "en-US";
  useEffect(() => {
    document.documentElement.lang = locale;
  }, [locale]);
  const setLanguage = (next: Language) => {
    keepLanguage(next);
    setChosen(next);
  };
  return (
    <I18nProvider locale={locale}>
      <LanguageContext value={language}>{children({ language, setLanguage })}</LanguageContext>
    </I18nProvider>
  );
}
