// Names that the planner gives, in the language of the page where that has a word for it.
import { pictureNames } from "../i18n/pictures";
import type { Language } from "../i18n/texts";

/** Of a part of memory, a kind of event or a metric; a name that we do not know stays as it is. */
export function nameOf(language: Language, name: string): string {
  return Object.hasOwn(pictureNames, name) ? (pictureNames[name]?.[language] ?? name) : name;
}

const LINKS = ["inside nodes", "between nodes"];

/** Of a step: "TP inside nodes". */
export function stepPartName(language: Language, name: string): string {
  const links = LINKS.find((one) => name.endsWith(` ${one}`));
  if (links === undefined) return nameOf(language, name);
  return `${nameOf(language, name.slice(0, -links.length - 1))} ${nameOf(language, links)}`;
}
