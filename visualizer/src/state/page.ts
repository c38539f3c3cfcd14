// Everything that the page is about, as one immutable value: what is asked (Document, with undo) and
// what of it is looked at (View).
import type {
  JsonObject,
  NamedPlan,
  Opened,
  Options,
  Question,
  RunView,
  Start,
} from "../api/types";
import { accept } from "../files/accept";
import { plain } from "../kit/number";

export interface NamedContent {
  name: string;
  /** null: the name alone says it, a preset or a shape of a cluster. */
  content: JsonObject | null;
}

export interface Document {
  model: NamedContent;
  cluster: NamedContent | null;
  hardware: NamedContent | null;
  profile: NamedContent | null;
  options: Options;
  /** null: the plan that the search finds. */
  plan: NamedPlan | null;
  /** Dropped ones and those put aside, to compare with. */
  plans: NamedPlan[];
}

export const tabs = ["plan", "memory", "time", "search", "compare", "run"] as const;
export type Tab = (typeof tabs)[number];

export interface View {
  tab: Tab;
  /** Pipeline rank whose memory is looked into. */
  ppRank: number;
  /** Layers whose strategy is being changed. */
  selected: number[];
  /** Keys of candidates (candidates.ts). */
  compare: [string, string];
  /** Pipeline ranks in the timeline: the first and how many; null: those that it shows by itself. */
  lanes: { from: number; count: number } | null;
  /** Global batches of the sweep. */
  batches: string;
  /** They were asked for: a link to this page asks for them again. */
  frontier: boolean;
  sweep: boolean;
}

export interface OpenRun {
  /** Of the command line: asked for anew while it may go on. */
  id: number | null;
  name: string;
  /** null: it has not begun. */
  run: RunView | null;
  watch: boolean;
}

export interface Page {
  document: Document;
  past: Document[];
  future: Document[];
  /** What the last change was about: typing into one field is one step of undo. */
  lastEdit: string | null;
  view: View;
  runs: OpenRun[];
}

export type Change =
  | { do: "edit"; document: Partial<Document>; about?: string }
  | { do: "view"; view: Partial<View> }
  | { do: "open"; opened: Opened & { id?: number; watch?: boolean }; start: Start | null }
  | { do: "run"; run: OpenRun }
  | { do: "undo" }
  | { do: "redo" };

/** The question of a person who comes without one: a model that fits its machine narrowly. */
export const firstDocument: Document = {
  model: { name: "llama2-13b", content: null },
  cluster: { name: "8xA100-40G", content: null },
  hardware: null,
  profile: null,
  options: { global_batch: "64" },
  plan: null,
  plans: [],
};

export const firstView: View = {
  tab: "plan",
  ppRank: 0,
  selected: [],
  compare: ["shown", "searched"],
  lanes: null,
  batches: "16,32,64,128",
  frontier: false,
  sweep: false,
};

export function newPage(document = firstDocument, view = firstView): Page {
  // A link of an earlier page may not have every part of the view.
  const whole = { ...firstView, ...view };
  return { document, past: [], future: [], lastEdit: null, view: whole, runs: [] };
}

const maxUndo = 200;

export function change(page: Page, step: Change): Page {
  switch (step.do) {
    case "edit":
      return edit(page, step.document, step.about ?? null);
    case "view":
      return { ...page, view: { ...page.view, ...step.view } };
    case "open":
      return open(page, step);
    case "run":
      return addRun(page, step.run);
    case "undo":
      return undo(page);
    case "redo":
      return redo(page);
  }
}

function edit(page: Page, part: Partial<Document>, about: string | null): Page {
  const joins = about !== null && about === page.lastEdit;
  return {
    ...page,
    document: { ...page.document, ...part },
    past: joins ? page.past : [...page.past, page.document].slice(-maxUndo),
    future: [],
    lastEdit: about,
  };
}

function undo(page: Page): Page {
  const document = page.past.at(-1);
  if (!document) return page;
  const past = page.past.slice(0, -1);
  return { ...page, document, past, future: [page.document, ...page.future], lastEdit: null };
}

function redo(page: Page): Page {
  const [document, ...future] = page.future;
  if (!document) return page;
  return { ...page, document, past: [...page.past, page.document], future, lastEdit: null };
}

function open(page: Page, step: Extract<Change, { do: "open" }>): Page {
  const { opened, start } = step;
  if (opened.kind !== "run") {
    const next = edit(page, accept(page.document, opened, start), null);
    // A plan that somebody brings is the one he wants to see compared, whatever he compared before.
    const compare = isPlan(opened) ? firstView.compare : next.view.compare;
    return { ...next, view: { ...next.view, selected: [], ppRank: 0, compare } };
  }
  const run = opened.content as unknown as RunView | null;
  const { id = null, name, watch = false } = opened;
  const next = addRun(page, { id, name, run, watch });
  return { ...next, view: { ...next.view, tab: "run" } };
}

export function isPlan({ kind }: Opened): boolean {
  return kind === "plan" || kind === "galvatron2_plan";
}

/** One of the command line takes the place of what it said before. */
function addRun(page: Page, run: OpenRun): Page {
  const same = (other: OpenRun) => run.id !== null && other.id === run.id;
  const runs = page.runs.some(same)
    ? page.runs.map((other) => (same(other) ? run : other))
    : [...page.runs, run];
  return { ...page, runs };
}

export function questionOf(document: Document): Question {
  const machine: Question["machine"] = {};
  if (document.cluster) machine.cluster = document.cluster.content ?? document.cluster.name;
  if (document.hardware?.content) machine.hardware = document.hardware.content;
  if (document.profile?.content) machine.profile = document.profile.content;
  return {
    model: document.model.content ?? document.model.name,
    machine,
    options: document.options,
  };
}

/** Sets an option, or with "", null and false leaves it to the planner. */
export function withOption(options: Options, name: string, value: Options[string]): Options {
  const { [name]: _old, ...rest } = options;
  return value === "" || value === null || value === false ? rest : { ...rest, [name]: value };
}

export function sweepQuestion(question: Question, batches: string): Question {
  return { ...question, options: withOption(question.options, "global_batch", plain(batches)) };
}

export function sameJson(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
