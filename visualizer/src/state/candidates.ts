// Plans that can be shown and compared, each under a key that lasts while its name does.
import type { NamedPlan, SearchView } from "../api/types";
import { text } from "../i18n/texts";
import type { Text } from "../i18n/useText";
import type { Document } from "./page";
import { planTitle } from "./planTitle";

export interface Candidate {
  key: string;
  title: string;
  plan: NamedPlan;
}

/** `impossible`: names of plans that cannot be, which is said beside them. */
export function candidates(
  document: Document,
  found: SearchView | null,
  t: Text,
  impossible: readonly string[] = [],
): Candidate[] {
  const out: Candidate[] = [];
  const add = (key: string, plan: NamedPlan, title = planTitle(plan.name, t)) => {
    const isMine = plan === document.plan || document.plans.includes(plan);
    const isMarked = isMine && impossible.includes(plan.name);
    out.push({ key, title: isMarked ? t("plan_impossible", { name: title }) : title, plan });
  };
  const searched = searchedPlan(found);
  if (document.plan) {
    const name = planTitle(document.plan.name, t);
    add("shown", document.plan, t("plan_shown", { name }));
  }
  if (searched) add("searched", searched);
  found?.runners_up.forEach((row) => {
    add(`runner-up:${row.name}`, { name: row.name, plan: row.plan });
  });
  found?.baselines.forEach((row) => {
    add(`baseline:${row.name}`, { name: row.name, plan: row.plan });
  });
  document.plans.forEach((plan) => add(`file:${plan.name}`, plan));
  return out;
}

export function searchedPlan(found: SearchView | null): NamedPlan | null {
  if (found?.best) return { name: text("en", "plan_searched"), plan: found.best.plan };
  if (found?.miss?.plan) return { name: text("en", "plan_closest"), plan: found.miss.plan };
  return null;
}

/** The one of the key; else the first whose key is not `other`. */
export function pick(all: Candidate[], key: string, other: string | null): Candidate | null {
  const named = all.find((one) => one.key === key);
  return named ?? all.find((one) => one.key !== other) ?? null;
}
