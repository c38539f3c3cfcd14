// Options by the planner's own table: name, help, choices and default are its.
import { useState } from "react";
import type { OptionRow, Options } from "../api/types";
import { common } from "../i18n/common";
import type { TextKey } from "../i18n/texts";
import { Said } from "../i18n/Said";
import { type Text, useText } from "../i18n/useText";
import { Choice, TextInput, Toggle } from "../kit/controls";
import { Folded } from "../kit/Folded";
import { withOption } from "../state/page";
import { useSession } from "../state/session";
import { optionValue, shownText } from "./optionValue";
import { moreOptions, searchRows } from "./optionRows";

export function MoreOptions() {
  const t = useText();
  const { start, page } = useSession();
  if (!start) return null;
  const groups = moreOptions(start);
  const used = (names: string[]) => names.some((name) => name in page.document.options);
  return (
    <Folded title={t("more_options")} open={groups.some(({ names }) => used(names))}>
      {groups.map(({ group, names }) => (
        <Folded key={group} title={group} open={used(names)}>
          <OptionFields names={names} />
        </Folded>
      ))}
    </Folded>
  );
}

export function OptionFields({ names }: { names: readonly string[] }) {
  const { start, page, dispatch } = useSession();
  if (!start) return null;
  const { options } = page.document;
  const set = (name: string, value: Options[string]) =>
    dispatch({
      do: "edit",
      document: { options: withOption(options, name, value) },
      about: `option ${name}`,
    });
  return names.map((name) => {
    const row = searchRows(start).find((one) => one.name === name);
    return row && <OptionField key={name} row={row} value={options[name]} set={set} />;
  });
}

interface OptionFieldProps {
  row: OptionRow;
  value: Options[string] | undefined;
  set: (name: string, value: Options[string]) => void;
}

const byDefault = "";

function OptionField({ row, value, set }: OptionFieldProps) {
  const t = useText();
  const { search } = useSession();
  const [typed, setTyped] = useState<string | null>(null);
  const label = labelOf(row.name, t);
  if (row.type === "bool") {
    const isOn = value === true;
    return (
      <Toggle
        label={label}
        description={<Said>{row.help}</Said>}
        isOn={isOn}
        onChange={(on) => set(row.name, on)}
      />
    );
  }
  if (row.choices?.length) {
    const options = [byDefault, ...row.choices].map((key) => ({
      key,
      text: key === byDefault ? defaultText(row, t("by_default")) : key,
    }));
    const chosen = typeof value === "string" ? value : byDefault;
    return (
      <Choice
        {...{ label, options, description: <Said>{row.help}</Said> }}
        value={chosen}
        onChange={(key) => set(row.name, key)}
      />
    );
  }
  return (
    <TextInput
      label={label}
      description={<Said>{row.help}</Said>}
      value={shownText(row, typed, value)}
      placeholder={defaultText(row, t("by_default"))}
      problem={problemOf(search.error?.sentence, row.name)}
      onChange={(text) => {
        setTyped(text);
        set(row.name, optionValue(row, text));
      }}
    />
  );
}

/** The option's own name in words; of those in sight at first in the page's language. */
function labelOf(name: string, t: Text): string {
  const key = `option_${name}`;
  if (key in common) return t(key as TextKey);
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function defaultText(row: OptionRow, none: string): string {
  const { default: value } = row;
  return value === null || value === "" || value === 0 || Array.isArray(value)
    ? none
    : String(value);
}

/** The planner's sentence, where it begins with or names the option. */
function problemOf(sentence: string | undefined, name: string): string | null {
  const spellings = [name, `--${name.replaceAll("_", "-")}`];
  return sentence && spellings.some((one) => new RegExp(`(^|\\W)${one}\\b`).test(sentence))
    ? sentence
    : null;
}
