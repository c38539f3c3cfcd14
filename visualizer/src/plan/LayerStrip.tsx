// The layers of a plan, stage by stage, each with the letter and colour of its strategy. With `onSelect` a
// range is chosen by click and shift+click, by dragging, or by arrows with shift (the kit's list).
import { useMemo, useRef } from "react";
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
import { ranksText } from "../pictures/words";
import { type StrategyKey, strategiesOf, stripOf } from "./strategies";
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
  const { layers, stages, selected = [], onSelect, problemLayer } = props;
  const t = useText();
  const keyOf = useMemo(() => keysByLayer(layers), [layers]);
  const drag = useDragSelect(onSelect);
  const strip = stripOf(layers, stages);
  const select = (selection: Selection) => onSelect?.(layersOf(selection, layers));
  return (
    <ListBox
      className="strip"
      aria-label={t("layers_of_plan")}
      layout="grid"
      orientation="horizontal"
      selectionMode={onSelect ? "multiple" : "none"}
      selectionBehavior="replace"
      selectedKeys={selected.map(String)}
      onSelectionChange={select}
      items={strip}
      dependencies={[keyOf, problemLayer, t]}
      {...drag}
    >
      {({ id, stage, layers: inStage }) => (
        <ListBoxSection id={id} className="strip-stage">
          <Header className="strip-head">
            <b>{t("stage", { stage: stage.stage })}</b>{" "}
            <span className="help">{ranksText(t, stage.ranks)}</span>
          </Header>
          <Collection items={inStage} dependencies={[keyOf, problemLayer, t]}>
            {(layer) => (
              <Cell
                layer={layer}
                strategy={keyOf.get(layer.index)}
                isBad={layer.index === problemLayer}
              />
            )}
          </Collection>
        </ListBoxSection>
      )}
    </ListBox>
  );
}

function Cell(props: { layer: LayerView; strategy: StrategyKey | undefined; isBad: boolean }) {
  const { layer, strategy, isBad } = props;
  const t = useText();
  const name = t("layer_name", { index: layer.index, kind: layer.kind });
  return (
    <ListBoxItem
      id={String(layer.index)}
      textValue={`${name} ${layer.strategy_text}`}
      aria-label={`${name}: ${layer.strategy_text}${isBad ? `, ${t("has_problem")}` : ""}`}
      className={`strip-cell kind-${layer.kind} ${isBad ? "bad" : ""}`}
      style={{ background: `var(--strategy-${strategy?.color ?? 0})` }}
      data-layer={layer.index}
    >
      <span className="strip-letter">{strategy?.letter}</span>
      <span className="strip-index">
        {layer.kind === "block" ? layer.index : shortKind(layer.kind)}
      </span>
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

function layersOf(selection: Selection, layers: LayerView[]): number[] {
  if (selection === "all") return layers.map((layer) => layer.index);
  return [...selection].map(Number).sort((a, b) => a - b);
}

/** From the layer on which the button goes down to the one over which it is. */
function useDragSelect(onSelect?: (layers: number[]) => void) {
  const from = useRef<number | null>(null);
  if (!onSelect) return {};
  const layerAt = (target: EventTarget): number | null => {
    const cell = (target as Element).closest("[data-layer]");
    return cell ? Number(cell.getAttribute("data-layer")) : null;
  };
  return {
    onPointerDownCapture: (event: React.PointerEvent) => {
      const fits = event.pointerType === "mouse" && !event.shiftKey && !event.ctrlKey;
      from.current = fits ? layerAt(event.target) : null;
    },
    onPointerOver: (event: React.PointerEvent) => {
      const to = layerAt(event.target);
      if (event.buttons !== 1 || from.current === null || to === null) return;
      const first = Math.min(from.current, to);
      const count = Math.abs(from.current - to) + 1;
      onSelect(Array.from({ length: count }, (_, i) => first + i));
    },
  };
}
