// The question: which model, on which machine, how it is trained.
import { OpenFiles } from "../files/DropArea";
import { useText } from "../i18n/useText";
import { useSession } from "../state/session";
import { MachineInput } from "./MachineInput";
import { ModelInput } from "./ModelInput";
import { MoreOptions, OptionFields } from "./OptionFields";
import { mainOptions } from "./optionRows";

export function Inputs() {
  const t = useText();
  const { start } = useSession();
  return (
    <form
      className="inputs"
      aria-label={t("question")}
      onSubmit={(event) => event.preventDefault()}
    >
      <ModelInput />
      <MachineInput />
      {start && <OptionFields names={mainOptions} />}
      {start && <MoreOptions />}
      <OpenFiles />
      <p className="help">{t("open_help")}</p>
    </form>
  );
}
