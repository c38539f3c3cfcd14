// One of many, found by typing; a text that is none of them may be allowed too.
import { Button, ComboBox, Input, Label, ListBox, Popover, Text } from "react-aria-components";
import { useState } from "react";
import { type Option, OptionItem } from "./controls";

interface SearchChoiceProps {
  label: string;
  options: readonly Option[];
  value: string;
  onChange: (value: string) => void;
  description?: string;
  /** Any text may be given, such as the shape of a cluster. */
  free?: boolean;
  /** Of the button that opens the list. */
  showAll: string;
}

export function SearchChoice(props: SearchChoiceProps) {
  const { label, options, value, onChange, description, free, showAll } = props;
  const [typed, setTyped] = useState(value);
  const [shown, setShown] = useState(value);
  if (shown !== value) {
    setShown(value);
    setTyped(value);
  }
  const known = options.some((option) => option.key === value);
  const take = (next: string) => next !== "" && next !== value && onChange(next);
  return (
    <ComboBox
      className="field"
      menuTrigger="focus"
      allowsCustomValue={free}
      // While the text is the chosen one, all are offered: it is there to be replaced.
      items={typed === value ? options : options.filter((option) => matches(option, typed))}
      value={known ? value : null}
      inputValue={typed}
      onInputChange={setTyped}
      onChange={(key) => {
        if (key !== null) take(String(key));
        else if (free) take(typed.trim());
      }}
      onBlur={() => (free ? take(typed.trim()) : setTyped(value))}
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

function matches(option: Option, typed: string): boolean {
  const words = typed.toLowerCase().split(/\s+/);
  const text = `${option.text} ${option.help ?? ""}`.toLowerCase();
  return words.every((word) => text.includes(word));
}
