import type { AskError } from "../api/client";
import type { Text } from "../i18n/useText";

/** What happened, and what to do about it. */
export function describeError(error: AskError, t: Text): string {
  switch (error.kind) {
    case "refused":
      return error.sentence;
    case "gone":
      return t("server_gone");
    case "unreadable":
      return t("server_unreadable", { said: error.sentence });
  }
}
