import type { LanguageChoice } from "../i18n/InLanguage";
import { useText } from "../i18n/useText";
import { Action } from "../kit/controls";
import type { Link } from "../state/permalink";
import { useSession } from "../state/session";
import { LanguageSwitch, ThemeSwitch } from "./Switches";

export function Banner({ link, ...choice }: { link: Link | null } & LanguageChoice) {
  const t = useText();
  return (
    <header className="banner">
      <h1>{t("title")}</h1>
      <div className="row">
        <CopyLink link={link} />
        <LanguageSwitch {...choice} />
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
