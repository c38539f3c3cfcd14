// Colour (of theme/tokens.css) and pattern of what pictures tell apart by name.
import type { MemoryPart } from "../api/types";
import type { Pattern } from "./look";

export interface Kind {
  color: string;
  pattern: Pattern;
}

/** From the beginning of a bar to its end. */
export const MEMORY_PARTS: MemoryPart[] = [
  "parameters",
  "master",
  "gradients",
  "optimizer",
  "activations",
  "transient",
  "reserve",
];

const PART_PATTERNS = new Map<string, Pattern>([
  ["parameters", "plain"],
  ["master", "rising"],
  ["gradients", "plain"],
  ["optimizer", "falling"],
  ["activations", "plain"],
  ["transient", "upright"],
  ["reserve", "crossed"],
]);
const OTHER: Kind = { color: "part-reserve", pattern: "plain" };

export function partKind(name: string): Kind {
  const pattern = PART_PATTERNS.get(name);
  return pattern ? { color: `part-${name}`, pattern } : OTHER;
}

/** What runs on a rank's devices, of simulated and of measured events. */
const COMPUTE = new Map<string, Kind>([
  ["forward", { color: "time-forward", pattern: "plain" }],
  ["backward", { color: "time-backward", pattern: "plain" }],
  ["recompute", { color: "time-recompute", pattern: "rising" }],
  ["weight gradient", { color: "time-weight-gradient", pattern: "dots" }],
  ["update", { color: "time-update", pattern: "upright" }],
  ["optimizer", { color: "time-update", pattern: "upright" }],
]);

export function isCompute(event: string): boolean {
  return COMPUTE.has(event);
}

export function isCommunication(event: string): boolean {
  return !isCompute(event) && event !== "bubble";
}

export const HIDDEN: Kind = { color: "time-hidden", pattern: "rising" };
export const EXPOSED: Kind = { color: "time-exposed", pattern: "plain" };
export const BUBBLE: Kind = { color: "time-bubble", pattern: "falling" };

export function eventKind(event: string): Kind {
  return COMPUTE.get(event) ?? (event === "bubble" ? BUBBLE : EXPOSED);
}

/** Of a step's parts: all communication has one colour, its pattern and its label say which. */
const STEP_PARTS = new Map<string, Kind>([
  ["computing", { color: "time-forward", pattern: "plain" }],
  ["recomputation", { color: "time-recompute", pattern: "rising" }],
  ["optimizer", { color: "time-update", pattern: "upright" }],
  ["Ulysses", { color: "time-exposed", pattern: "dots" }],
  ["ZeRO", { color: "time-exposed", pattern: "falling" }],
  ["gradient reduction", { color: "time-exposed", pattern: "rising" }],
  ["parameter gathering", { color: "time-exposed", pattern: "crossed" }],
  ["changes of layout", { color: "time-exposed", pattern: "upright" }],
  ["bubble", BUBBLE],
]);

export function stepPartKind(part: string): Kind {
  return STEP_PARTS.get(part) ?? EXPOSED;
}
