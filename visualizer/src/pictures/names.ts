// Names that the planner gives, in the language of the page where that has a word for it.
import { pictureNames } from "../i18n/pictures";
import type { Language } from "../i18n/texts";
import type { Words } from "./words";

/** Of a part of memory, a kind of event or a metric; a name that we do not know stays as it is. */
export function nameOf(language: Language, name: string): string {
  return Object.hasOwn(pictureNames, name) ? (pictureNames[name]?.[language] ?? name) : name;
}

/** Of what is alive at the peak: a part, activations of microbatches, or "layer: piece". */
export function aliveName({ language, t }: Words, name: string): string {
  const waiting = /^activations of (\d+) microbatch(?:es)? that waits? for backward$/.exec(name);
  if (waiting) return t("alive_waiting", { count: waiting[1] });
  const newest = /^activations of the microbatch that runs, up to (.+)$/.exec(name);
  if (newest) return t("alive_newest", { layer: newest[1] });
  const piece = /^(.+): (.+)$/.exec(name);
  if (!piece?.[1] || !piece[2]) return nameOf(language, name);
  return t("named", { name: piece[1], text: nameOf(language, piece[2]) });
}

const LINKS = ["inside nodes", "between nodes"];

/** Of a step: "TP inside nodes". */
export function stepPartName(language: Language, name: string): string {
  const links = LINKS.find((one) => name.endsWith(` ${one}`));
  if (links === undefined) return nameOf(language, name);
  return `${nameOf(language, name.slice(0, -links.length - 1))} ${nameOf(language, links)}`;
}
