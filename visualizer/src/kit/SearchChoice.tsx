// One of many, found by typing; a text that is none of them may be given too: whether it is one, the server says.
import { useMemo, useState } from "react";
import { Button, ComboBox, Input, Label, ListBox, Popover, Text } from "react-aria-components";
import { type Option, OptionItem } from "./controls";

interface SearchChoiceProps {
  label: string;
  options: readonly Option[];
  value: string;
  onChange: (value: string) => void;
  description?: string;
  /** Of the button that opens the list. */
  showAll: string;
}

export function SearchChoice(props: SearchChoiceProps) {
  const { label, options, value, onChange, description, showAll } = props;
  const [typed, setTyped] = useState(value);
  const [shown, setShown] = useState(value);
  if (shown !== value) {
    setShown(value);
    setTyped(value);
  }
  // The chosen one is always in the list: the kit tells by it whether the text was changed.
  const all = useMemo(() => withChosen(options, value), [options, value]);
  const take = (text: string) => {
    const next = text.trim() || value;
    setTyped(next);
    if (next !== value) onChange(next);
  };
  return (
    <ComboBox
      className="field"
      menuTrigger="focus"
      allowsCustomValue
      defaultItems={all}
      defaultFilter={(name, text) => matches(all, name, text)}
      value={value || null}
      inputValue={typed}
      onInputChange={setTyped}
      // null: the kit has closed the list over a text of no option, be it that the page was scrolled. What is
      // being typed is taken by Enter and on leaving the field, not before.
      onChange={(key) => key !== null && take(String(key))}
      onKeyDown={(event) => {
        if (event.key === "Enter" && !hasOptionInFocus(event.target)) take(typed);
      }}
      onBlur={() => take(typed)}
    >
      <Label>{label}</Label>
      <div className="combo">
        <Input spellCheck="false" onFocus={(event) => typed === value && event.target.select()} />
        <Button className="combo-button" aria-label={showAll}>
          <span aria-hidden="true">▾</span>
        </Button>
      </div>
      {description && (
        <Text slot="description" className="help">
          {description}
        </Text>
      )}
      <Popover className="popover">
        <ListBox<Option>>{(option) => <OptionItem option={option} />}</ListBox>
      </Popover>
    </ComboBox>
  );
}

type Item = Option & { id: string };

function withChosen(options: readonly Option[], value: string): Item[] {
  const isKnown = value === "" || options.some((option) => option.key === value);
  const all = isKnown ? options : [{ key: value, text: value }, ...options];
  return all.map((option) => ({ ...option, id: option.key }));
}

/** Enter is that option's, and the kit takes it. */
function hasOptionInFocus(input: EventTarget): boolean {
  return (input as Element).hasAttribute("aria-activedescendant");
}

function matches(options: readonly Option[], name: string, typed: string): boolean {
  const help = options.find((option) => option.text === name)?.help ?? "";
  const words = typed.toLowerCase().split(/\s+/);
  const text = `${name} ${help}`.toLowerCase();
  return words.every((word) => text.includes(word));
}
