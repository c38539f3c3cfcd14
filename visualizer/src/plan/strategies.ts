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

/** Layers that one cell stands for: one, or those of the same place in stages that are alike. */
export interface StripCell {
  /** The kit's lists tell entries apart by it. */
  id: string;
  layers: LayerView[];
}

/** A stage, or neighbours that are alike. */
export interface StripStages {
  id: string;
  stages: StageView[];
  cells: StripCell[];
}

/** Stages beyond which those that are alike are shown as one. */
export const fewStages = 8;

/**
 * `together`: neighbouring stages with the same kinds and strategies are one; the stage of `apart`, a layer, stays
 * by itself. Layers beyond the last stage, which a plan with a problem may have, lie in the last.
 */
export function stripOf(
  layers: readonly LayerView[],
  stages: readonly StageView[],
  together = false,
  apart: number | null = null,
): StripStages[] {
  const out: StripStages[] = [];
  let last = "";
  for (const { stage, inside } of withLayers(layers, stages)) {
    const alone = inside.some((layer) => layer.index === apart);
    const looks = alone ? "" : JSON.stringify(inside.map((one) => [one.kind, one.strategy_text]));
    const same = together && looks !== "" && looks === last ? out.at(-1) : undefined;
    if (same) {
      same.stages.push(stage);
      same.cells.forEach((cell, place) => cell.layers.push(...inside.slice(place, place + 1)));
    } else {
      const cells = inside.map((layer) => ({ id: String(layer.index), layers: [layer] }));
      out.push({ id: `stage ${stage.stage}`, stages: [stage], cells });
    }
    last = looks;
  }
  return out;
}

function withLayers(layers: readonly LayerView[], stages: readonly StageView[]) {
  const byStage = new Map<number, LayerView[]>();
  for (const layer of layers) {
    const known = byStage.get(layer.stage);
    if (known) known.push(layer);
    else byStage.set(layer.stage, [layer]);
  }
  return stages.map((stage) => ({ stage, inside: byStage.get(stage.stage) ?? [] }));
}

/** Cells all of whose layers are chosen. */
export function chosenCells(strip: readonly StripStages[], selected: readonly number[]): string[] {
  const chosen = new Set(selected);
  return cellsOf(strip)
    .filter((cell) => cell.layers.every((layer) => chosen.has(layer.index)))
    .map((cell) => cell.id);
}

/** Layers of cells, ascending. */
export function layersOf(strip: readonly StripStages[], ids: ReadonlySet<string>): number[] {
  return cellsOf(strip)
    .filter((cell) => ids.has(cell.id))
    .flatMap((cell) => cell.layers.map((layer) => layer.index))
    .sort((a, b) => a - b);
}

/** Of all cells in their order the ones from one to another, both included. */
export function cellsBetween(
  strip: readonly StripStages[],
  one: string,
  other: string,
): Set<string> {
  const ids = cellsOf(strip).map((cell) => cell.id);
  const places = [ids.indexOf(one), ids.indexOf(other)];
  return new Set(ids.slice(Math.min(...places), Math.max(...places) + 1));
}

export function cellsOf(strip: readonly StripStages[]): StripCell[] {
  return strip.flatMap(({ cells }) => cells);
}
