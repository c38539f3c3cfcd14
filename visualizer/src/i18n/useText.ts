import { createContext, useCallback, useContext } from "react";
import { type Language, type TextKey, text } from "./texts";

export const LanguageContext = createContext<Language>("en");

export type Text = (key: TextKey, values?: Record<string, unknown>) => string;

/** t("step_of", { count: 3 }) in the language of the page. */
export function useText(): Text {
  const language = useContext(LanguageContext);
  return useCallback((key, values) => text(language, key, values), [language]);
}

/** The first language of the browser that we have; English where we have none. */
export function preferredLanguage(): Language {
  return navigator.languages.some((name) => name.toLowerCase().startsWith("zh")) &&
    !navigator.languages[0]?.toLowerCase().startsWith("en")
    ? "zh"
    : "en";
}
