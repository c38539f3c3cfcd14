import { ask, AskError } from "../api/client";
import type { JsonObject } from "../api/types";
import { describeError } from "../app/describeError";
import { saveText } from "../files/save";
import { useText } from "../i18n/useText";
import { Action } from "../kit/controls";
import { type PlanQuestion, useSession } from "../state/session";

/** The plan file that `galvatron train --plan` takes, with its prediction. */
export function ExportPlan({ question, plan }: PlanQuestion) {
  const t = useText();
  const { say } = useSession();
  const save = async () => {
    try {
      const file = await ask<JsonObject>("/api/export", { question, plan });
      saveText("plan.json", "application/json", `${JSON.stringify(file, null, 2)}\n`);
    } catch (error) {
      say("bad", error instanceof AskError ? describeError(error, t) : String(error));
    }
  };
  return <Action onPress={() => void save()}>{t("export_plan")}</Action>;
}
