// The layers of a plan, stage by stage, each with the letter and colour of its strategy; of many stages those
// that are alike as one. With `onSelect` a range is chosen by click and shift+click, by dragging, or by arrows
// with shift (the kit's list).
import { useMemo, useRef, useState } from "react";
import {
  Button,
  Collection,
  Header,
  ListBox,
  ListBoxItem,
  ListBoxSection,
  type Selection,
} from "react-aria-components";
import type { LayerView, StageView } from "../api/types";
import { useText } from "../i18n/useText";
import { Toggle } from "../kit/controls";
import { ranksText } from "../pictures/words";
import {
  cellsBetween,
  cellsOf,
  chosenCells,
  fewStages,
  layersOf,
  type StrategyKey,
  strategiesOf,
  type StripCell,
  stripOf,
  type StripStages,
} from "./strategies";
import "./strip.css";

interface LayerStripProps {
  layers: LayerView[];
  stages: StageView[];
  selected?: readonly number[];
  onSelect?: (layers: number[]) => void;
  /** The layer that the planner's sentence is about. */
  problemLayer?: number | null;
}

export function LayerStrip(props: LayerStripProps) {
  const { layers, stages, selected = [], onSelect, problemLayer = null } = props;
  const t = useText();
  const [together, setTogether] = useState(true);
  const isLong = stages.length > fewStages;
  const keyOf = useMemo(() => keysByLayer(layers), [layers]);
  const strip = useMemo(
    () => stripOf(layers, stages, isLong && together, problemLayer),
    [layers, stages, isLong, together, problemLayer],
  );
  const ranges = useRanges(strip, selected, onSelect);
  const select = (selection: Selection) => onSelect?.(layersOf(strip, idsOf(selection, strip)));
  return (
    <>
      {isLong && (
        <Toggle
          label={t("stages_together")}
          description={t("stages_together_help")}
          isOn={together}
          onChange={setTogether}
        />
      )}
      <div {...ranges}>
        <ListBox
          className="strip in-sight"
          aria-label={t("layers_of_plan")}
          layout="grid"
          orientation="horizontal"
          selectionMode={onSelect ? "multiple" : "none"}
          selectionBehavior="replace"
          selectedKeys={chosenCells(strip, selected)}
          onSelectionChange={select}
          items={strip}
          dependencies={[keyOf, problemLayer, t]}
        >
          {(part) => (
            <ListBoxSection id={part.id} className="strip-stage">
              <StageHead part={part} />
              <Collection items={part.cells} dependencies={[keyOf, problemLayer, t]}>
                {(cell) => (
                  <Cell
                    cell={cell}
                    strategy={keyOf.get(cell.layers[0]?.index ?? -1)}
                    isBad={cell.layers.some((layer) => layer.index === problemLayer)}
                  />
                )}
              </Collection>
            </ListBoxSection>
          )}
        </ListBox>
      </div>
    </>
  );
}

function StageHead({ part }: { part: StripStages }) {
  const t = useText();
  const [first] = part.stages;
  const last = part.stages.at(-1);
  if (!first || !last) return null;
  const count = part.stages.length;
  // Neighbouring stages of an interleaved schedule go round the ranks.
  const inOrder = last.pp_rank - first.pp_rank === count - 1;
  return (
    <Header className="strip-head">
      <b>
        {count === 1
          ? t("stage", { stage: first.stage })
          : t("stages_alike", { from: first.stage, to: last.stage })}
      </b>{" "}
      {inOrder && <span className="help">{ranksText(t, [first.ranks[0], last.ranks[1]])}</span>}
    </Header>
  );
}

function Cell(props: { cell: StripCell; strategy: StrategyKey | undefined; isBad: boolean }) {
  const { cell, strategy, isBad } = props;
  const t = useText();
  const [layer] = cell.layers;
  if (!layer) return null;
  const count = cell.layers.length;
  const name =
    count === 1
      ? t("layer_name", { index: layer.index, kind: layer.kind })
      : t("layers_alike", {
          first: layer.index,
          last: cell.layers.at(-1)?.index,
          count,
          kind: layer.kind,
        });
  const index = layer.kind === "block" ? layer.index : shortKind(layer.kind);
  return (
    <ListBoxItem
      id={cell.id}
      textValue={`${name} ${layer.strategy_text}`}
      aria-label={`${name}: ${layer.strategy_text}${isBad ? `, ${t("has_problem")}` : ""}`}
      className={`strip-cell kind-${layer.kind} ${isBad ? "bad" : ""}`}
      style={{ background: `var(--strategy-${strategy?.color ?? 0})` }}
      data-cell={cell.id}
    >
      <span className="strip-letter">{strategy?.letter}</span>
      <span className="strip-index">{count === 1 ? index : `×${count}`}</span>
    </ListBoxItem>
  );
}

/** What fits a cell: "emb", "head". */
function shortKind(kind: string): string {
  return kind.length <= 4 ? kind : kind.slice(0, 3);
}

/** What letters and colours mean; each chooses its layers. */
export function StripLegend(props: { layers: LayerView[]; onSelect?: (layers: number[]) => void }) {
  const { layers, onSelect } = props;
  const t = useText();
  return (
    <ul className="strip-legend">
      {strategiesOf(layers).map((key) => (
        <li key={key.text}>
          <Button
            isDisabled={!onSelect}
            onPress={() => onSelect?.(key.layers)}
            aria-label={t("choose_layers_of", { strategy: key.text, count: key.layers.length })}
          >
            <span className="strip-key" style={{ background: `var(--strategy-${key.color})` }}>
              {key.letter}
            </span>
            {key.text}{" "}
            <span className="help">{t("layer_count", { count: key.layers.length })}</span>
          </Button>
        </li>
      ))}
    </ul>
  );
}

function keysByLayer(layers: LayerView[]): Map<number, StrategyKey> {
  return new Map(
    strategiesOf(layers).flatMap((key) => key.layers.map((index) => [index, key] as const)),
  );
}

function idsOf(selection: Selection, strip: StripStages[]): Set<string> {
  const ids = selection === "all" ? cellsOf(strip).map((cell) => cell.id) : [...selection];
  return new Set(ids.map(String));
}

function cellAt(target: EventTarget): string | null {
  return (target as Element).closest("[data-cell]")?.getAttribute("data-cell") ?? null;
}

/** Ranges that the kit's list does not know: by dragging, and to the first or last layer by shift+Home and shift+End. */
function useRanges(
  strip: StripStages[],
  selected: readonly number[],
  onSelect?: (layers: number[]) => void,
) {
  const from = useRef<string | null>(null);
  if (!onSelect) return {};
  const choose = (one: string, other: string) =>
    onSelect(layersOf(strip, cellsBetween(strip, one, other)));
  return {
    onPointerDownCapture: (event: React.PointerEvent) => {
      const fits = event.pointerType === "mouse" && !event.shiftKey && !event.ctrlKey;
      from.current = fits ? cellAt(event.target) : null;
    },
    onPointerOver: (event: React.PointerEvent) => {
      const to = cellAt(event.target);
      if (event.buttons !== 1 || from.current === null || to === null) return;
      choose(from.current, to);
    },
    onKeyDownCapture: (event: React.KeyboardEvent) => {
      const place = { Home: 0, End: -1 }[event.key];
      const here = cellAt(event.target);
      if (place === undefined || here === null || !event.shiftKey || event.ctrlKey) return;
      const end = cellsOf(strip).at(place);
      if (!end) return;
      event.preventDefault();
      event.stopPropagation();
      choose(anchorOf(chosenCells(strip, selected), here), end.id);
      event.currentTarget.querySelector<HTMLElement>(`[data-cell="${end.id}"]`)?.focus();
    },
  };
}

/** Where a range began that has come to `here`. */
function anchorOf(chosen: string[], here: string): string {
  const [first] = chosen;
  const last = chosen.at(-1);
  return (here === last ? first : here === first ? last : here) ?? here;
}
