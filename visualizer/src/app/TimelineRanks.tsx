import { useText } from "../i18n/useText";
import { Choice, NumberInput } from "../kit/controls";
import { laneCounts, type Lanes } from "./shownLanes";

/** Says which pipeline ranks are drawn, and lets others be chosen. */
export function TimelineRanks(props: {
  shown: Lanes;
  numRanks: number;
  onChange: (lanes: Lanes) => void;
}) {
  const t = useText();
  const { shown, numRanks, onChange } = props;
  const isPart = shown.count < numRanks;
  return (
    <div className="row end lanes">
      <Choice
        label={t("lanes_count")}
        options={laneCounts(numRanks).map((count) => ({
          key: String(count),
          text: count === numRanks ? t("lanes_all", { count }) : String(count),
        }))}
        value={String(shown.count)}
        onChange={(count) => onChange({ ...shown, count: Number(count) })}
      />
      {isPart && (
        <NumberInput
          label={t("lanes_from")}
          value={shown.from}
          onChange={(from) => onChange({ ...shown, from })}
        />
      )}
      {isPart && (
        <p role="status">
          {t("lanes_shown", {
            from: shown.from,
            to: shown.from + shown.count - 1,
            all: numRanks,
          })}
        </p>
      )}
    </div>
  );
}
