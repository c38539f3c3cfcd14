// Every text of page and report, in each language. Values of the planner (`text`, sentences, names of
// strategies) come from the server and stay as they are: they are the command line's.
import { common } from "./common";
import { pictures } from "./pictures";

export const languages = { en: "English", zh: "中文" } as const;
export type Language = keyof typeof languages;

/** A text in each language; `{name}` stands for what is put in. */
export type Table = Record<string, Record<Language, string>>;

const tables = { ...common, ...pictures };
export type TextKey = keyof typeof tables;

export function text(
  language: Language,
  key: TextKey,
  values: Record<string, unknown> = {},
): string {
  return tables[key][language].replace(/\{(\w+)\}/g, (_, name: string) =>
    String(values[name] ?? ""),
  );
}
