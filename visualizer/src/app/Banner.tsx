import { type Language, languages } from "../i18n/texts";
import { useText } from "../i18n/useText";
import { Action, Switcher } from "../kit/controls";
import type { Link } from "../state/permalink";
import { useSession } from "../state/session";
import { chooseTheme, useThemeChoice } from "../theme/theme";

interface BannerProps {
  link: Link | null;
  language: Language;
  setLanguage: (language: Language) => void;
}

export function Banner({ link, language, setLanguage }: BannerProps) {
  const t = useText();
  return (
    <header className="banner">
      <h1>{t("title")}</h1>
      <div className="row">
        <CopyLink link={link} />
        <Switcher
          label={t("language")}
          options={Object.entries(languages).map(([key, text]) => ({ key: key as Language, text }))}
          value={language}
          onChange={setLanguage}
        />
        <ThemeSwitch />
      </div>
    </header>
  );
}

function CopyLink({ link }: { link: Link | null }) {
  const t = useText();
  const { say } = useSession();
  const copy = async () => {
    if (!link) return;
    const address = new URL(`#${link.fragment}`, window.location.href).href;
    const copied = await navigator.clipboard.writeText(address).then(
      () => true,
      () => false,
    );
    const missing =
      link.leftOut.length > 0 && t("link_without", { files: link.leftOut.join(", ") });
    const said = copied ? t("link_copied") : t("link_in_address");
    say("note", missing ? `${said} ${missing}` : said);
  };
  return <Action onPress={() => void copy()}>{t("copy_link")}</Action>;
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
