// What a file that the server has recognised changes: a plan is shown, a profile becomes the machine.
import type { JsonObject, Opened, Start } from "../api/types";
import type { Document } from "../state/page";

export function accept(document: Document, opened: Opened, start: Start | null): Partial<Document> {
  const file = { name: opened.name, content: opened.content };
  switch (opened.kind) {
    case "plan":
    case "galvatron2_plan":
      return acceptPlan(document, opened, start);
    case "model_config":
      return { model: file, plan: null };
    case "cluster":
      return { cluster: file };
    case "hardware_profile":
      return { hardware: file, cluster: null };
    case "model_profile":
      return { profile: file };
    case "run":
      return {};
  }
}

/** Its model and batch become the question's, so that what the search finds can be held against it. */
function acceptPlan(document: Document, opened: Opened, start: Start | null): Partial<Document> {
  const plan = { name: opened.name, plan: opened.content };
  const plans = [...document.plans.filter((other) => other.name !== opened.name), plan];
  return { plan, plans, ...modelOf(opened.content, start), ...batchOf(opened.content, document) };
}

function modelOf(plan: JsonObject, start: Start | null): Partial<Document> {
  const known = start?.models.some((row) => row.name === plan.model);
  return known ? { model: { name: String(plan.model), content: null } } : {};
}

function batchOf(plan: JsonObject, document: Document): Partial<Document> {
  const batch = plan.global_batch ?? plan.global_bsz;
  return typeof batch === "number"
    ? { options: { ...document.options, global_batch: String(batch) } }
    : {};
}
