import { InLanguage } from "../i18n/InLanguage";
import type { Kept } from "../state/permalink";
import { Page } from "./Page";
import "./app.css";

/** `kept`: the state that the address held; `brokenLink`: it held something else. */
export function App(props: { kept: Kept | null; brokenLink: boolean }) {
  return <InLanguage>{(choice) => <Page {...props} {...choice} />}</InLanguage>;
}
