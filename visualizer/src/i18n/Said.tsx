// What the planner says in its own words, which are English on a page of any language.
import { useContext } from "react";
import { nameOf } from "../pictures/names";
import { LanguageContext } from "./useText";

export function Said({ children }: { children: string | null | undefined }) {
  return <span lang="en">{children}</span>;
}

/** A name of the planner's, in the page's language where that has a word for it. */
export function Named({ name }: { name: string }) {
  const shown = nameOf(useContext(LanguageContext), name);
  return shown === name ? <Said>{name}</Said> : shown;
}
