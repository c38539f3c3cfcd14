import { useText } from "../i18n/useText";
import { Action } from "../kit/controls";
import { SearchChoice } from "../kit/SearchChoice";
import { firstDocument } from "../state/page";
import { useSession } from "../state/session";
import { Folded } from "../kit/Folded";
import { OptionFields } from "./OptionFields";
import { sizeOptions } from "./optionRows";

export function ModelInput() {
  const t = useText();
  const { page, start, dispatch } = useSession();
  const { model, options } = page.document;
  const choose = (name: string) => {
    dispatch({ do: "edit", document: { model: { name, content: null }, plan: null } });
  };
  if (model.content) {
    return (
      <GivenFile
        label={t("model")}
        name={model.name}
        onRemove={() => choose(firstDocument.model.name)}
      />
    );
  }
  const row = start?.models.find((one) => one.name === model.name);
  const sizes = start ? sizeOptions(start) : [];
  return (
    <>
      <SearchChoice
        label={t("model")}
        showAll={t("show_all_models")}
        options={(start?.models ?? []).map((one) => ({
          key: one.name,
          text: one.name,
          help: t("model_line", {
            family: one.family,
            params: one.params_text,
            layers: one.num_layers,
          }),
        }))}
        value={model.name}
        onChange={choose}
        description={
          row &&
          t("model_line", { family: row.family, params: row.params_text, layers: row.num_layers })
        }
      />
      {start && (
        <Folded title={t("sizes_by_hand")} open={sizes.some((name) => name in options)}>
          <OptionFields names={sizes} />
        </Folded>
      )}
    </>
  );
}

/** A file in the place of a choice. */
export function GivenFile(props: { label: string; name: string; onRemove: () => void }) {
  const t = useText();
  return (
    <div className="given" role="group" aria-label={props.label}>
      <span>
        <b>{props.label}</b> {props.name}
      </span>
      <Action kind="quiet" onPress={props.onRemove} aria-label={t("remove", { name: props.name })}>
        ✕
      </Action>
    </div>
  );
}
