// Language and theme, of page and report.
import type { LanguageChoice } from "../i18n/InLanguage";
import { type Language, languages } from "../i18n/texts";
import { useText } from "../i18n/useText";
import { Switcher } from "../kit/controls";
import { chooseTheme, useThemeChoice } from "../theme/theme";

export function LanguageSwitch({ language, setLanguage }: LanguageChoice) {
  const t = useText();
  return (
    <Switcher
      label={t("language")}
      options={Object.entries(languages).map(([key, text]) => ({ key: key as Language, text }))}
      value={language}
      onChange={setLanguage}
    />
  );
}

export function ThemeSwitch() {
  const t = useText();
  return (
    <Switcher
      label={t("theme")}
      options={(["system", "light", "dark"] as const).map((key) => ({
        key,
        text: t(`theme_${key}`),
      }))}
      value={useThemeChoice()}
      onChange={chooseTheme}
    />
  );
}
