// What is typed, as the option's type has it. What is none of it goes as it is: the planner says what it wants.
import type { OptionRow, Options } from "../api/types";
import { numberOf, plain } from "../kit/number";
import { sameJson } from "../state/page";

type Value = Options[string];

export function optionValue(row: OptionRow, text: string): Value {
  const typed = plain(text);
  if (typed === "") return null;
  if (row.type === "list[str]") return typed.split(/\s+/);
  if (row.type.includes("list[")) return listOfNumbers(typed);
  return row.type === "int" || row.type === "float" ? numberOr(typed) : typed;
}

export function optionText(value: Value | undefined): string {
  if (value === undefined || value === null) return "";
  if (!Array.isArray(value)) return String(value);
  return value.join(value.every((part) => typeof part === "number") ? "," : " ");
}

/** What is no number yet stays a text: "1e". */
function numberOr(text: string): string | number {
  return numberOf(text) ?? text;
}

/** What a field shows: as it was typed, while that is the option's value. */
export function shownText(row: OptionRow, typed: string | null, value: Value | undefined): string {
  const isTyped = typed !== null && sameJson(optionValue(row, typed), value ?? null);
  return isTyped ? typed : optionText(value);
}

function listOfNumbers(text: string): Value {
  const parts = text.split(",").map(numberOr);
  return parts.every((part) => typeof part === "number") ? parts : text;
}
