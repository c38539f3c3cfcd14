// Neighbouring layers of one strategy within one stage, as a table says them.
import type { LayerView } from "../api/types";

export interface LayerRun {
  stage: number;
  layers: [number, number]; // first and last
  count: number;
  /** "embedding, 12 x block" */
  kinds: string;
  dp_degree: number;
  strategy: string;
}

export function layerRuns(layers: LayerView[]): LayerRun[] {
  const runs: LayerView[][] = [];
  for (const layer of layers) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    const same =
      last?.stage === layer.stage &&
      last.strategy_text === layer.strategy_text &&
      last.dp_degree === layer.dp_degree;
    if (run && same) run.push(layer);
    else runs.push([layer]);
  }
  return runs.map(runOf);
}

function runOf(layers: LayerView[]): LayerRun {
  const [first] = layers;
  const last = layers.at(-1);
  return {
    stage: first?.stage ?? 0,
    layers: [first?.index ?? 0, last?.index ?? 0],
    count: layers.length,
    kinds: kindsText(layers.map(({ kind }) => kind)),
    dp_degree: first?.dp_degree ?? 1,
    strategy: first?.strategy_text ?? "",
  };
}

function kindsText(kinds: string[]): string {
  const counts = new Map<string, number>();
  for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].map(([kind, count]) => (count === 1 ? kind : `${count} x ${kind}`)).join(", ");
}
