// Changes the strategy of the layers that are chosen; a field that refuses says why in its place.
import type { Json, PlanView, StrategyField } from "../api/types";
import { useText } from "../i18n/useText";
import { Choice, Toggle } from "../kit/controls";
import { useSession } from "../state/session";
import { commonValue, divisors, withStrategy } from "./edit";

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
  const value = commonValue(view, layers, field.name);
  const set = (next: Json) => editPlan(withStrategy(view.plan, layers, field, next));
  const problem = view.problem?.field === field.name ? view.problem.sentence : null;
  if (typeof field.default === "boolean") {
    return (
      <div>
        <Toggle label={field.name} description={field.help} isOn={value === true} onChange={set} />
        {problem && <p className="problem">{problem}</p>}
      </div>
    );
  }
  const values = field.choices ?? degrees(view, field, value);
  return (
    <div>
      <Choice
        label={field.name}
        description={field.help}
        placeholder={t("they_differ")}
        options={values.map((one) => ({ key: String(one), text: String(one) }))}
        value={value === undefined ? null : String(value)}
        onChange={(key) => set(values.find((one) => String(one) === key) ?? field.default)}
      />
      {problem && <p className="problem">{problem}</p>}
    </div>
  );
}

/** What divides the ranks of a stage, and what the layers have now, as wrong as it may be. */
function degrees(view: PlanView, field: StrategyField, value: Json | undefined): Json[] {
  const known = new Set<Json>([field.default, ...divisors(view.ranks.per_stage)]);
  if (value !== undefined) known.add(value);
  return [...known].sort((a, b) => Number(a) - Number(b));
}
