// What the page and the server say to each other: the JSON of `src/galvatron/views` (bodies of answers) and
// `src/galvatron/server` (requests). docs/openapi.json describes the same for other programs, and a test
// holds both against the server. Numbers carry their unit in the name (ms, bytes); a `text` beside
// them is what the command line prints, digit for digit: the page shows that, it computes nothing.

// ---- requests ------------------------------------------------------------------------------------------------

/** Python's keyword arguments: `memory: "24GiB"`, `global_batch: "64"`, `allow: ["tp_degree<=2"]`. */
export type Options = Record<string, string | number | boolean | (string | number)[] | null>;

/** What every request asks about. The server keeps nothing: each request carries the whole of it. */
export interface Question {
  /** Name of a preset, or the content of a Hugging Face config.json. */
  model: string | JsonObject;
  /** `cluster`: a name, "2x8xA100:25GB/s", or the content of a cluster file. Profiles: their content. */
  machine: { cluster?: string | JsonObject; hardware?: JsonObject; profile?: JsonObject };
  /** Of `galvatron search`: model overrides, question, space. What another request has no use for is left out by it. */
  options: Options;
}
export type JsonObject = { [key: string]: Json };
export type Json = string | number | boolean | null | Json[] | JsonObject;

/** Ours (galvatron-plan) or Galvatron-2's, as it lies on disk. */
export interface NamedPlan {
  name: string;
  plan: JsonObject;
}

// ---- GET /api/start ------------------------------------------------------------------------------------------

export interface Start {
  version: string;
  models: ModelRow[];
  clusters: ClusterRow[];
  /** By command: "search", "simulate", "frontier", "sweep". `galvatron COMMAND --options-json`. */
  options: Record<string, OptionRow[]>;
  /** Per-layer dimensions of a plan in the order in which people read them. */
  strategy_fields: StrategyField[];
  schedules: { name: string; help: string }[];
  /** Files of the command line. `watch`: a run that may still go on; ask GET /api/run/ID again. */
  opened: (Opened & { id: number; watch: boolean })[];
  limits: { request_bytes: number; seconds: number };
}
export interface ModelRow { name: string; family: string; num_params: number; params_text: string; num_layers: number; hidden_size: number; seq_length: number }
export interface ClusterRow { name: string; is_device: boolean; device: string; world_size: number; memory_bytes: number; text: string }
export interface OptionRow { name: string; type: string; default: Json; help: string; group: string; choices?: string[]; placeholder?: string }
/** `misfits`: by value the kinds of layers that cannot have it. */
export interface StrategyField { name: string; default: Json; help: string; choices: Json[] | null; misfits: Record<string, string[]>; supported: boolean }

// ---- POST /api/identify {name, text} or {files: {name: text}} ------------------------------------------------

export type OpenedKind = "plan" | "galvatron2_plan" | "model_config" | "hardware_profile" | "model_profile" | "cluster" | "run";
export interface Opened {
  kind: OpenedKind;
  name: string;
  /** One line for people: "GPT-2, 124 M parameters", "plan for llama2-7b on 8 ranks". */
  title: string;
  /** To put into a Question or NamedPlan; of a run its RunView, or null while one that is watched has not begun. */
  content: JsonObject;
}

// ---- POST /api/plan {question, plan: NamedPlan} -> PlanView --------------------------------------------------

export interface PlanView {
  name: string;
  /** Ours, one strategy per layer (`layers[i]` has `count: 1`): what the editor changes. */
  plan: JsonObject;
  /** check_plan's sentence, or why the machine cannot run such a plan; what it speaks of where it says. With it, `priced` is null. */
  problem: { sentence: string; layer: number | null; field: string | null } | null;
  layers: LayerView[];
  stages: StageView[];
  /** `per_node`: null where no machine is known for the plan. */
  ranks: { world_size: number; per_stage: number; per_node: number | null };
  priced: Priced | null;
  /** plan_drawing's picture in words, for screen readers. */
  drawing: string;
}
export interface LayerView {
  index: number;
  kind: string; // "embedding", "block", "head", ...
  stage: number;
  strategy: Record<string, Json>; // all fields, defaults included
  strategy_text: string; // "tp2 zero3 full"
  dp_degree: number;
  num_params: number;
}
/** Pairs of layers and of ranks, here and below: first and last, both included. */
export interface StageView { stage: number; pp_rank: number; chunk: number; layers: [number, number]; ranks: [number, number] }

export interface Priced {
  fits: boolean;
  /** why_it_does_not_fit() */
  misfit: string | null;
  question: JsonObject; // question_to_json
  question_text: string; // what `galvatron simulate` prints first
  table_text: string; // priced_plan_table()
  memory: MemoryView;
  time: TimeView;
  layers: { time: JsonObject; memory: JsonObject }[]; // plan_cost_to_json's rows
  extrapolated: string[];
}
export type Amount = { value: number; text: string };
export interface MemoryView {
  budget: Amount | null; // what plans may use, the reserve included
  device: Amount | null; // what the device has
  /** One for each pipeline rank, of its fullest rank. `parts` add up to `total`. */
  ranks: { pp_rank: number; stages: number[]; ranks: [number, number]; total: Amount; share_of_budget: number | null; parts: { name: MemoryPart; bytes: number; text: string }[] }[];
}
export type MemoryPart = "parameters" | "master" | "gradients" | "optimizer" | "activations" | "transient" | "reserve";
export interface TimeView {
  step: Amount; // ms
  simulated: Amount; // ms
  tokens_per_second: Amount;
  tokens_per_second_per_device: Amount;
  mfu: (Amount & { convention: string }) | null;
  days: Amount | null;
  device_hours: Amount | null;
  /** step_parts(): they add up to `step`. */
  parts: { name: string; part: string; links: string; ms: number; text: string; share: number }[];
  stages: { stage: number; forward_ms: number; backward_ms: number; once_ms: number; transfers_ms: number }[];
  hidden_communication: Amount;
}

// ---- POST /api/timeline {question, plan: NamedPlan, max_events?, pp_ranks?: [number, number]} -> TimelineView --
// `pp_ranks`: first and last of those whose events are wanted.

export interface TimelineView {
  total_ms: number;
  bubble_fraction: number;
  busy_ms: number[]; // per pipeline rank
  /** "forward", "backward", "recompute", "weight gradient", "transfer", "gather", "reduce", "tie", "gradient sync", "update", "parameter gather", "bubble" */
  kinds: string[];
  /** Lanes from top to bottom of the ranks that were asked for: "rank 0", "rank 0 receives", "rank 0 collectives". */
  rows: { name: string; pp_rank: number; lane: "compute" | "receive" | "collectives" }[];
  /** Columns of one table, an entry per event, ascending start. `hidden_ms`: of communication, beside compute. */
  events: { row: number[]; kind: number[]; start_ms: number[]; end_ms: number[]; microbatch: number[]; chunk: number[]; unit: number[]; hidden_ms: number[] };
  /** How many there are; more than shown where the step is too large to draw whole: then beginning and end. */
  num_events: number;
  /** What is left out of the middle: [from_ms, to_ms]; null: nothing. */
  left_out_ms: [number, number] | null;
}

// ---- POST /api/memory {question, plan: NamedPlan, pp_rank} -> MemoryDetail -----------------------------------

export interface MemoryDetail {
  pp_rank: number;
  /** Bytes by part from one moment to the next (steps, not slopes); the largest sum is the prediction's total, exactly. */
  over_time: { ms: number[]; parts: Partial<Record<MemoryPart, number[]>> };
  peak: { ms: number; total: Amount; alive: { name: string; bytes: number; text: string }[] };
  /** Down to tensors: part > layer > tensor; children add up to their parent. */
  tree: MemoryNode[];
}
export interface MemoryNode { name: string; bytes: number; text: string; children?: MemoryNode[] }

// `explain` of /api/search: false leaves `explanation` null and `shadow_prices` empty, which take further searches.
// ---- POST /api/search {question, explain?}, /api/frontier, /api/sweep: lines of JSON, the last one "result" or "error" ------------

export type SearchLine =
  | { progress: { candidates: number; decided: number; best_ms: number | null; bound_ms: number; seconds: number; text: string } }
  | { result: SearchView }
  | Failure;
export interface SearchView {
  question: JsonObject;
  question_text: string;
  best: FoundView | null; // null: see `miss`
  runners_up: (FoundView & { loss: { more_ms: number; text: string; parts: { name: string; ms: number; text: string }[]; more_bytes: number } })[];
  baselines: { name: string; help: string; fits: boolean; missing: Amount | null; step: Amount; tokens_per_second: number; memory: Amount; plan: JsonObject }[];
  gain: number | null; // over the best baseline, samples/s less 1
  explanation: (JsonObject & { binds: string; left_out: string[] }) | null;
  shadow_prices: { with: string; step: string; gain: string; memory: string; plan: string }[];
  certificate: { text: string; value_ms: number; lower_bound_ms: number | null; gap: number };
  text: string; // what `galvatron search` prints
  /**
   * Nothing fits: the closest miss. `memory_option`: a readable value of `memory` with which it does; `beyond_device`:
   * what a device has, where that is less; `plan`: the leanest, null where the search was ended before it was known.
   */
  miss: { sentence: string; needed_bytes: number; memory_bytes: number; memory_option: string; beyond_device: string | null; plan: JsonObject | null } | null;
}
export interface FoundView { name: string; line: string; plan: JsonObject; step: Amount; memory: Amount; text: string }

/** Frontier and sweep: `num_searches`, or `done` of `total`. */
export type ResultsLine = { progress: { done: number; total: number; text: string } } | { result: ResultsView } | Failure;
export interface ResultsView {
  title: string;
  columns: { key: string; title: string; left: boolean }[];
  rows: { text: string; value: Json }[][];
  notes: string;
  json: Json; // frontier_to_json, sweep_to_json
  csv: string;
  text: string;
}

// ---- POST /api/compare {question, one: NamedPlan, other: NamedPlan} -> Comparison ----------------------------

export interface Comparison {
  one: PlanView;
  other: PlanView;
  verdict: string;
  text: string; // what `galvatron simulate --against` prints
  parts: { name: string; one_ms: number; one_text: string; other_ms: number; other_text: string }[];
  memory: { pp_rank: number; one: Amount | null; other: Amount | null }[];
  /** Runs of layers whose strategies differ. */
  layers: { layers: [number, number]; name: string; one: string; other: string; fields: string[] }[];
}

// ---- POST /api/export {question, plan: NamedPlan} -> the plan file with its prediction (plan.json) -----------

// ---- GET /api/run/ID -> RunView | null (watched, not begun): of a run folder; also in the report page, as <script id="galvatron-run"> -----

export interface RunView {
  title: string; // also of a run that stopped before its summary
  state: "running" | "finished" | "stopped" | "unknown";
  state_text: string; // "finished after 80 steps", "no end was recorded: last step 41"
  facts: { name: string; text: string }[]; // model, device, ranks, batch, precision, ...
  /** Columns, an entry per step that was made; null: no value. A step that was run again counts once. */
  metrics: Record<string, (number | null)[]>; // "step", "loss", "grad_norm", "lr", "tokens_per_second", "seconds", "memory_bytes", ...
  /** Evaluations, of the steps at which there were some. */
  evaluations: Record<string, (number | null)[]>; // "step", "validation_loss", ...
  notes: string[]; // "last line of metrics.jsonl is cut off: left out"
  /** `layers`: `kind` by the model where it is a preset, else first and last "embedding" and "head"; `num_params` 0 then. */
  plan: Pick<PlanView, "plan" | "layers" | "stages" | "ranks" | "drawing"> | null;
  predicted: { step: Amount; parts: TimeView["parts"] } | null;
  measured: { step: Amount; tokens_per_second: Amount } | null;
  /**
   * `measured`, `predicted`: of tensors, without the reserve. `parts`: of the prediction, the reserve last: a bar against
   * the budget is what was measured and the reserve. Before the summary: a rank of each stage, of which one is measured.
   */
  memory: { budget: Amount | null; ranks: { rank: number; stage: number; measured: Amount | null; predicted: Amount | null; parts: { name: MemoryPart; bytes: number; text: string }[] | null }[] };
  /** Of one step, as measured; null: no trace. `kinds` there: "forward", "backward", "communication", "optimizer". */
  timeline: TimelineView | null;
  /** Of `galvatron train`, as the run recorded them; what the plan's search recorded. */
  options: JsonObject | null;
  search: JsonObject | null;
}

// ---- errors: status 4xx, or a line ---------------------------------------------------------------------------

export interface Failure { error: { sentence: string } }
