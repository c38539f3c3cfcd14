// The strategies of a plan: each gets a letter and a colour in the order in which layers first have it.
import type { LayerView, StageView } from "../api/types";

export interface StrategyKey {
  letter: string;
  /** Of `--strategy-N`. */
  color: number;
  text: string;
  layers: number[];
}

const numColors = 8;

export function strategiesOf(layers: readonly LayerView[]): StrategyKey[] {
  const keys = new Map<string, StrategyKey>();
  for (const layer of layers) {
    const known = keys.get(layer.strategy_text);
    if (known) known.layers.push(layer.index);
    else {
      keys.set(layer.strategy_text, {
        letter: letterOf(keys.size),
        color: keys.size % numColors,
        text: layer.strategy_text,
        layers: [layer.index],
      });
    }
  }
  return [...keys.values()];
}

/** A, B, ..., Z, AA, AB, ... */
export function letterOf(index: number): string {
  const last = String.fromCharCode(65 + (index % 26));
  return index < 26 ? last : letterOf(Math.floor(index / 26) - 1) + last;
}

/** `id`: the kit's lists tell entries apart by it. */
export interface StripStage {
  id: string;
  stage: StageView;
  layers: (LayerView & { id: string })[];
}

/** Layers beyond the last stage, which a plan with a problem may have, lie in the last. */
export function stripOf(layers: readonly LayerView[], stages: readonly StageView[]): StripStage[] {
  return stages.map((stage) => ({
    id: `stage ${stage.stage}`,
    stage,
    layers: layers
      .filter((layer) => layer.stage === stage.stage)
      .map((layer) => ({ ...layer, id: String(layer.index) })),
  }));
}
