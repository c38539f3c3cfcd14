// The kit's widgets (react-aria-components: roles, keyboard, screen reader) with our labels and classes.
import { type KeyboardEvent, type ReactNode, useState } from "react";
import {
  Button,
  type ButtonProps,
  FieldError,
  Input,
  Label,
  ListBox,
  ListBoxItem,
  Group,
  Popover,
  Select,
  SelectValue,
  Switch,
  Text,
  TextField,
  ToggleButton,
  ToggleButtonGroup,
} from "react-aria-components";
import { useText } from "../i18n/useText";
import { numberOf, plain } from "./number";

export interface Option<Key extends string = string> {
  key: Key;
  text: string;
  help?: string;
}

interface ChoiceProps<Key extends string> {
  label: string;
  options: readonly Option<Key>[];
  value: Key | null;
  onChange: (key: Key) => void;
  description?: ReactNode;
  placeholder?: string;
  isDisabled?: boolean;
  /** The label is for screen readers alone. */
  bare?: boolean;
}

/** In a list of them. The help is the planner's, in English. */
export function OptionItem({ option }: { option: Option }) {
  return (
    <ListBoxItem id={option.key} className="item" textValue={option.text}>
      <Text slot="label">{option.text}</Text>
      {option.help && (
        <Text slot="description" className="help">
          <span lang="en">{option.help}</span>
        </Text>
      )}
    </ListBoxItem>
  );
}

/** One of a few, folded. */
export function Choice<Key extends string>(props: ChoiceProps<Key>) {
  const { label, options, value, onChange, description, placeholder, isDisabled, bare } = props;
  return (
    <Select
      className="field"
      aria-label={bare ? label : undefined}
      value={value}
      onChange={(key) => key !== null && onChange(key as Key)}
      placeholder={placeholder ?? "—"}
      isDisabled={isDisabled}
    >
      {!bare && <Label>{label}</Label>}
      <Button className="select">
        <SelectValue />
        <span aria-hidden="true">▾</span>
      </Button>
      {description && (
        <Text slot="description" className="help">
          {description}
        </Text>
      )}
      <Popover className="popover">
        <ListBox items={options.map((option) => ({ ...option, id: option.key }))}>
          {(option) => <OptionItem option={option} />}
        </ListBox>
      </Popover>
    </Select>
  );
}

interface TextInputProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  description?: ReactNode;
  placeholder?: string;
  problem?: string | null;
  inputMode?: "numeric" | "decimal" | "text";
}

export function TextInput(props: TextInputProps) {
  const { label, value, onChange, description, placeholder, problem, inputMode } = props;
  return (
    <TextField className="field" value={value} onChange={onChange} isInvalid={Boolean(problem)}>
      <Label>{label}</Label>
      <Input
        placeholder={placeholder}
        inputMode={inputMode}
        spellCheck="false"
        autoComplete="off"
      />
      {description && (
        <Text slot="description" className="help">
          {description}
        </Text>
      )}
      <FieldError className="problem" lang="en">
        {problem}
      </FieldError>
    </TextField>
  );
}

/** A whole number, with buttons and arrow keys for one more and one less. What it may be, the planner says. */
export function NumberInput(props: {
  label: string;
  value: number;
  onChange: (value: number) => void;
  description?: ReactNode;
  /** Of a field that is emptied: where the value is one that was refused, the last that was not. */
  good?: number;
}) {
  const { label, value, onChange, description, good = value } = props;
  const t = useText();
  const [typed, setTyped] = useState<string | null>(null);
  const take = (next: number | null) => {
    setTyped(null);
    if (next !== null && next !== value) onChange(next);
  };
  const takeTyped = (text: string) => take(plain(text) === "" ? good : numberOf(text));
  const onKeyDown = (event: KeyboardEvent) => {
    const by = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (by) take(value + by);
    else if (event.key !== "Enter" || typed === null) return;
    else takeTyped(typed);
    event.preventDefault();
  };
  return (
    <TextField
      className="field"
      value={typed ?? String(value)}
      onChange={setTyped}
      onBlur={() => typed !== null && takeTyped(typed)}
    >
      <Label>{label}</Label>
      <Group className="number" onKeyDown={onKeyDown}>
        <Input inputMode="numeric" autoComplete="off" />
        <Button
          className="step"
          aria-label={t("one_less", { name: label })}
          onPress={() => take(value - 1)}
        >
          −
        </Button>
        <Button
          className="step"
          aria-label={t("one_more", { name: label })}
          onPress={() => take(value + 1)}
        >
          +
        </Button>
      </Group>
      {description && (
        <Text slot="description" className="help">
          {description}
        </Text>
      )}
    </TextField>
  );
}

export function Toggle(props: {
  label: string;
  isOn: boolean;
  onChange: (isOn: boolean) => void;
  description?: ReactNode;
}) {
  return (
    <Switch className="toggle" isSelected={props.isOn} onChange={props.onChange}>
      <span className="toggle-track" aria-hidden="true" />
      <span>
        {props.label}
        {props.description && <span className="help block">{props.description}</span>}
      </span>
    </Switch>
  );
}

/** One of two to four, all in sight. */
export function Switcher<Key extends string>(props: {
  label: string;
  options: readonly Option<Key>[];
  value: Key;
  onChange: (key: Key) => void;
}) {
  return (
    <ToggleButtonGroup
      className="switcher"
      aria-label={props.label}
      selectionMode="single"
      disallowEmptySelection
      selectedKeys={[props.value]}
      onSelectionChange={(keys) => {
        const [key] = keys;
        if (key !== undefined) props.onChange(key as Key);
      }}
    >
      {props.options.map((option) => (
        <ToggleButton key={option.key} id={option.key} className="switch">
          {option.text}
        </ToggleButton>
      ))}
    </ToggleButtonGroup>
  );
}

export function Action(
  props: ButtonProps & { children: ReactNode; kind?: "main" | "plain" | "quiet" },
) {
  const { kind = "plain", ...rest } = props;
  return <Button {...rest} className={`action ${kind}`} />;
}
