// Changes of a plan as the editor makes them, on its JSON with one entry per layer. Whether the result is
// a plan, the planner says.
import type { Json, JsonObject, PlanView, StrategyField } from "../api/types";

export interface Pipeline {
  degree: number;
  schedule: string;
  layersPerStage: number[];
}

export function pipelineOf(plan: JsonObject): Pipeline {
  const pipeline = (plan.pipeline ?? {}) as JsonObject;
  return {
    degree: Number(pipeline.degree ?? 1),
    schedule: String(pipeline.schedule ?? "1f1b"),
    layersPerStage: (pipeline.layers_per_stage ?? []) as number[],
  };
}

export function withPipeline(plan: JsonObject, part: Partial<Pipeline>): JsonObject {
  const { degree, schedule, layersPerStage } = { ...pipelineOf(plan), ...part };
  return { ...plan, pipeline: { degree, schedule, layers_per_stage: layersPerStage } };
}

/** Those of `layers` whose kind can have the value. */
export function layersThatFit(
  view: PlanView,
  layers: readonly number[],
  field: StrategyField,
  value: Json,
): number[] {
  const misfits = field.misfits[String(value)] ?? [];
  return layers.filter((index) => !misfits.includes(view.layers[index]?.kind ?? ""));
}

/** Sets a field of the strategy of `layers`; one that has its default is left out of the file. */
export function withStrategy(
  plan: JsonObject,
  layers: readonly number[],
  field: StrategyField,
  value: Json,
): JsonObject {
  const chosen = new Set(layers);
  const change = (entry: JsonObject, index: number): JsonObject => {
    if (!chosen.has(index)) return entry;
    const { [field.name]: _old, ...rest } = entry;
    return value === field.default ? rest : { ...rest, [field.name]: value };
  };
  return { ...plan, layers: (plan.layers as JsonObject[]).map(change) };
}

export function withStrategyOf(plan: JsonObject, layers: readonly number[], from: number) {
  const chosen = new Set(layers);
  const entries = plan.layers as JsonObject[];
  const model = entries[from];
  return model
    ? { ...plan, layers: entries.map((entry, index) => (chosen.has(index) ? model : entry)) }
    : plan;
}

/** Moves `count` layers over the border behind `stage`: into it, or with a negative count out of it. */
export function moveBorder(plan: JsonObject, stage: number, count: number): JsonObject {
  const layersPerStage = [...pipelineOf(plan).layersPerStage];
  const here = layersPerStage[stage];
  const next = layersPerStage[stage + 1];
  if (here === undefined || next === undefined) return plan;
  if (here + count < 1 || next - count < 1) return plan;
  layersPerStage[stage] = here + count;
  layersPerStage[stage + 1] = next - count;
  return withPipeline(plan, { layersPerStage });
}

/** As many stages as the schedule wants for so many pipeline ranks, of balanced numbers of layers. */
export function withDegree(plan: JsonObject, degree: number, schedule: string): JsonObject {
  const numLayers = (plan.layers as JsonObject[]).length;
  const stages = Math.min(numLayers, schedule === "interleaved" ? 2 * degree : degree);
  return withPipeline(plan, { degree, schedule, layersPerStage: balanced(numLayers, stages) });
}

/** Part i of n of a range of c is [floor(i c / n), floor((i + 1) c / n)), as everywhere in the planner. */
export function balanced(count: number, parts: number): number[] {
  const border = (i: number) => Math.floor((i * count) / parts);
  return Array.from({ length: parts }, (_, i) => border(i + 1) - border(i));
}

/** What all chosen layers have in a field; undefined: they differ. */
export function commonValue(view: PlanView, layers: readonly number[], field: string) {
  const values = layers.map((index) => view.layers[index]?.strategy[field]);
  return values.every((value) => value === values[0]) ? values[0] : undefined;
}

export function divisors(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1).filter((value) => count % value === 0);
}
