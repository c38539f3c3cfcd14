// What is typed, as the option's type has it. What is none of it goes as it is: the planner says what it wants.
import type { OptionRow, Options } from "../api/types";

type Value = Options[string];

export function optionValue(row: OptionRow, text: string): Value {
  if (text.trim() === "") return null;
  if (row.type === "list[str]") return text.split(" ");
  if (row.type.includes("list[")) return listOfNumbers(text);
  return row.type === "int" || row.type === "float" ? numberOr(text) : text;
}

export function optionText(value: Value | undefined): string {
  if (value === undefined || value === null) return "";
  if (!Array.isArray(value)) return String(value);
  return value.join(value.every((part) => typeof part === "number") ? "," : " ");
}

/** A number that is written otherwise stays a text while it is being typed: "1." and "1e". */
function numberOr(text: string): string | number {
  const number = Number(text);
  return String(number) === text && Number.isFinite(number) ? number : text;
}

function listOfNumbers(text: string): Value {
  const parts = text.split(",").map(numberOr);
  return parts.every((part) => typeof part === "number") ? parts : text;
}
