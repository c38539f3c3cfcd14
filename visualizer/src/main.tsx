import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "./theme/tokens.css";
import "./kit/kit.css";
import { App } from "./app/App";
import { fromLink, type Kept } from "./state/permalink";

async function keptState(): Promise<{ kept: Kept | null; brokenLink: boolean }> {
  try {
    return { kept: await fromLink(window.location.hash), brokenLink: false };
  } catch {
    return { kept: null, brokenLink: true };
  }
}

const root = document.getElementById("page");
if (root) {
  const state = await keptState();
  createRoot(root).render(
    <StrictMode>
      <App {...state} />
    </StrictMode>,
  );
}
// Another link pasted into the address of the open page: begin anew with it.
window.addEventListener("hashchange", () => window.location.reload());
