import { createContext, useCallback, useContext } from "react";
import { recall, remember } from "../state/memory";
import { type Language, languages, type TextKey, text } from "./texts";

export const LanguageContext = createContext<Language>("en");

export type Text = (key: TextKey, values?: Record<string, unknown>) => string;

/** t("step_of", { count: 3 }) in the language of the page. */
export function useText(): Text {
  const language = useContext(LanguageContext);
  return useCallback((key, values) => text(language, key, values), [language]);
}

const kept = "galvatron-language";

export function keepLanguage(language: Language) {
  remember(kept, language);
}

/** As chosen before; else the first language of the browser that we have, else English. */
export function preferredLanguage(): Language {
  const asked = [recall(kept) ?? "", ...navigator.languages];
  const known = asked
    .map((name) => name.slice(0, 2).toLowerCase())
    .find((name) => name in languages);
  return (known as Language | undefined) ?? "en";
}
