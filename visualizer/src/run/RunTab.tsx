// A finished or running run: predicted and measured side by side (the report's own view).
import { useState } from "react";
import { RunPage } from "../app/pictures";
import { describeError } from "../app/describeError";
import { Section } from "../app/Section";
import { OpenFiles } from "../files/DropArea";
import { useText } from "../i18n/useText";
import { Choice } from "../kit/controls";
import type { OpenRun } from "../state/page";
import { useSession } from "../state/session";
import { useWatch } from "./useWatch";

export function RunTab() {
  const t = useText();
  const { page } = useSession();
  const [chosen, setChosen] = useState<number | null>(null);
  const { runs } = page;
  const index = chosen !== null && chosen < runs.length ? chosen : runs.length - 1;
  const open = runs[index];
  if (!open) {
    return (
      <Section title={t("run_title")} help={t("run_help")}>
        <OpenFiles />
      </Section>
    );
  }
  const tools = runs.length > 1 && (
    <Choice
      bare
      label={t("run_title")}
      options={runs.map((one, i) => ({ key: String(i), text: titleOf(one) }))}
      value={String(index)}
      onChange={(key) => setChosen(Number(key))}
    />
  );
  return (
    <Section title={titleOf(open)} tools={tools}>
      <OneRun key={index} open={open} />
    </Section>
  );
}

function OneRun({ open }: { open: OpenRun }) {
  const t = useText();
  const error = useWatch(open);
  return (
    <>
      <div role="alert">
        {error && (
          <p className="alert">
            {describeError(error, t)} {open.run && t("run_as_read_last")}
          </p>
        )}
      </div>
      {open.run ? (
        <div className={error ? "old" : ""}>
          <RunPage run={open.run} />
        </div>
      ) : (
        <p className="waiting">{t("run_waiting")}</p>
      )}
    </>
  );
}

function titleOf({ run, name }: OpenRun): string {
  return run?.title ?? name;
}
