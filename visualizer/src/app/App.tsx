import { useState } from "react";
import { I18nProvider } from "react-aria-components";
import { type Language, languages } from "../i18n/texts";
import { LanguageContext, preferredLanguage, useText } from "../i18n/useText";
import { Switcher } from "../kit/controls";
import { chooseTheme, useThemeChoice } from "../theme/theme";

export function App() {
  const [language, setLanguage] = useState<Language>(preferredLanguage);
  return (
    <I18nProvider locale={language === "zh" ? "zh-CN" : "en-US"}>
      <LanguageContext value={language}>
        <Banner language={language} setLanguage={setLanguage} />
      </LanguageContext>
    </I18nProvider>
  );
}

function Banner(props: { language: Language; setLanguage: (language: Language) => void }) {
  const t = useText();
  return (
    <header className="banner">
      <h1>{t("title")}</h1>
      <Switcher
        label={t("language")}
        options={Object.entries(languages).map(([key, text]) => ({ key: key as Language, text }))}
        value={props.language}
        onChange={props.setLanguage}
      />
      <ThemeSwitch />
    </header>
  );
}

function ThemeSwitch() {
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
