// Light or dark: as the system says until the person chooses. The choice lives outside React, since the
// document's `data-theme`, which the tokens follow, must be set before anything reads them. Pictures drawn
// on a canvas cannot use CSS variables: `useColors` reads them, anew with each change of theme.
import { useMemo, useSyncExternalStore } from "react";
import { recall, remember } from "../state/memory";

export type Theme = "light" | "dark";
export type ThemeChoice = Theme | "system";

const kept = "galvatron-theme";
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();
let choice = keptChoice();

function keptChoice(): ThemeChoice {
  const value = recall(kept);
  return value === "light" || value === "dark" ? value : "system";
}

function shown(): Theme {
  if (choice !== "system") return choice;
  return dark.matches ? "dark" : "light";
}

function apply() {
  document.documentElement.dataset.theme = shown();
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

apply();
dark.addEventListener("change", apply);

export function chooseTheme(next: ThemeChoice) {
  choice = next;
  remember(kept, next);
  apply();
}

export function useThemeChoice(): ThemeChoice {
  return useSyncExternalStore(subscribe, () => choice);
}

export function useTheme(): Theme {
  return useSyncExternalStore(subscribe, shown);
}

/** color("part-master") is the value of `--part-master` in the theme shown. */
export type Colors = (token: string) => string;

export function useColors(): Colors {
  const theme = useTheme();
  return useMemo(() => readColors(theme), [theme]);
}

function readColors(_theme: Theme): Colors {
  const style = getComputedStyle(document.documentElement);
  return (token) => style.getPropertyValue(`--${token}`).trim();
}
