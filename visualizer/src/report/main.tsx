// The report of a run as one file: the run lies in the page (views/report_page), nothing is asked of anyone.
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "../theme/tokens.css";
import "../kit/kit.css";
import "../app/app.css";
import type { RunView } from "../api/types";
import { Report } from "./Report";

/** Null: the page holds none, as before the planner has put one in. */
function runInPage(): RunView | null {
  const text = document.getElementById("galvatron-run")?.textContent.trim();
  if (!text) return null;
  try {
    return JSON.parse(text) as RunView;
  } catch {
    return null;
  }
}

const root = document.getElementById("page");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <Report run={runInPage()} />
    </StrictMode>,
  );
}
