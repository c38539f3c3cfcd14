// Changes the strategy of the layers that are chosen; a field that refuses says why in its place.
import { useState } from "react";
import type { Json, PlanView, StrategyField } from "../api/types";
import { Said } from "../i18n/Said";
import { useText } from "../i18n/useText";
import { Choice, Toggle } from "../kit/controls";
import { sameJson } from "../state/page";
import { useSession } from "../state/session";
import { commonValue, divisors, layersThatFit, withStrategy } from "./edit";

export function StrategyEditor({ view, layers }: { view: PlanView; layers: number[] }) {
  const t = useText();
  const { start } = useSession();
  if (layers.length === 0) return null;
  return (
    <fieldset className="editor">
      <legend>{legendOf(view, layers, t)}</legend>
      {(start?.strategy_fields ?? [])
        .filter((field) => field.supported)
        .map((field) => (
          <FieldEditor key={field.name} {...{ view, layers, field }} />
        ))}
    </fieldset>
  );
}

function legendOf(view: PlanView, layers: number[], t: ReturnType<typeof useText>): string {
  const [first] = layers;
  const last = layers.at(-1);
  if (layers.length === 1) {
    return t("layer_name", { index: first, kind: view.layers[first ?? 0]?.kind ?? "" });
  }
  const isRange = Number(last) - Number(first) === layers.length - 1;
  return isRange
    ? t("layer_range", { first, last, count: layers.length })
    : t("layers_chosen", { count: layers.length });
}

function FieldEditor(props: { view: PlanView; layers: number[]; field: StrategyField }) {
  const { view, layers, field } = props;
  const t = useText();
  const { editPlan } = useSession();
  const [changed, setChanged] = useState<{ layers: number[]; leftOut: number } | null>(null);
  const value = commonValue(view, layers, field.name);
  const set = (next: Json) => {
    const fitting = layersThatFit(view, layers, field, next);
    // Where none can have it, the planner says why.
    const all = fitting.length > 0 ? fitting : layers;
    setChanged({ layers, leftOut: layers.length - all.length });
    editPlan(withStrategy(view.plan, all, field, next));
  };
  const leftOut = changed && sameJson(changed.layers, layers) ? changed.leftOut : 0;
  const problem = view.problem?.field === field.name ? view.problem.sentence : null;
  if (typeof field.default === "boolean") {
    return (
      <div>
        <Toggle
          label={field.name}
          description={<Said>{field.help}</Said>}
          isOn={value === true}
          onChange={set}
        />
        {problem && (
          <p className="problem" lang="en">
            {problem}
          </p>
        )}
      </div>
    );
  }
  const values = field.choices ?? degrees(view, field, value);
  return (
    <div>
      <Choice
        label={field.name}
        description={<Said>{field.help}</Said>}
        placeholder={t("they_differ")}
        options={values.map((one) => ({ key: String(one), text: String(one) }))}
        value={value === undefined ? null : String(value)}
        onChange={(key) => set(values.find((one) => String(one) === key) ?? field.default)}
      />
      <p className="help" role="status">
        {leftOut > 0 && t("layers_left_out", { count: leftOut, all: layers.length })}
      </p>
      {problem && (
        <p className="problem" lang="en">
          {problem}
        </p>
      )}
    </div>
  );
}

/** What divides the ranks of a stage, and what the layers have now, as wrong as it may be. */
function degrees(view: PlanView, field: StrategyField, value: Json | undefined): Json[] {
  const known = new Set<Json>([field.default, ...divisors(view.ranks.per_stage)]);
  if (value !== undefined) known.add(value);
  return [...known].sort((a, b) => Number(a) - Number(b));
}
