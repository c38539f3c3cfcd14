import { useContext, useMemo } from "react";
import { LanguageContext, useText } from "../i18n/useText";
import type { Words } from "./words";

export function useWords(): Words {
  const t = useText();
  const language = useContext(LanguageContext);
  return useMemo(() => ({ t, language }), [t, language]);
}
