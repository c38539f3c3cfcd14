// Every picture with data made up, to look at while one works on them: npx vite testing/gallery. In the address:
// ?theme=dark, ?language=zh, ?only=timeline.
import { createRoot } from "react-dom/client";
import "../../src/theme/tokens.css";
import "../../src/kit/kit.css";
import type { ReactNode } from "react";
import { I18nProvider } from "react-aria-components";
import { LanguageContext } from "../../src/i18n/useText";
import {
  CompareBars,
  Frontier,
  MemoryBars,
  MemoryOverTime,
  MemoryTreemap,
  Metrics,
  RunMemory,
  Sweep,
  Timeline,
  TimeParts,
} from "../../src/pictures";
import { chooseTheme } from "../../src/theme/theme";
import * as examples from "./examples";

const GIB = 2 ** 30;
const run = examples.runView();
const ignore = () => undefined;
const shown: Record<string, ReactNode> = {
  bars: <MemoryBars memory={examples.memoryView(4)} selected={1} onSelect={ignore} />,
  over: <MemoryBars memory={examples.memoryView(2, 47 * GIB)} />,
  small: <MemoryBars memory={examples.memoryView(2, 0.4 * GIB)} />,
  many: <MemoryBars memory={examples.memoryView(128)} />,
  none: <MemoryBars memory={examples.memoryView(0)} />,
  tree: <MemoryTreemap detail={examples.memoryDetail()} />,
  overtime: <MemoryOverTime detail={examples.memoryDetail()} budget={examples.bytes(40 * GIB)} />,
  parts: <TimeParts time={examples.timeView()} />,
  timeline: <Timeline timeline={examples.timelineView(4, 8)} />,
  large: (
    <Timeline timeline={{ ...examples.timelineView(16, 128, 5), left_out_ms: [1500, 2200] }} />
  ),
  frontier: <Frontier results={examples.frontierView()} budget={examples.bytes(40 * GIB)} />,
  sweep: <Sweep results={examples.sweepView()} />,
  compare: <CompareBars comparison={examples.comparison()} />,
  metrics: <Metrics run={run} />,
  run: <RunMemory memory={run.memory} />,
  ranks: <RunMemory memory={examples.runView(2, 4096).memory} />,
};

const asked = new URLSearchParams(window.location.search);
chooseTheme(asked.get("theme") === "dark" ? "dark" : "light");
const language = asked.get("language") === "zh" ? "zh" : "en";
document.documentElement.lang = language;
const only = asked.get("only");
const gallery = document.getElementById("gallery");
if (gallery) {
  createRoot(gallery).render(
    <I18nProvider locale={language === "zh" ? "zh-CN" : "en-US"}>
      <LanguageContext value={language}>
        <main style={{ maxWidth: 1000, margin: "0 auto", padding: 12 }}>
          <h1>Pictures</h1>
          {Object.entries(shown)
            .filter(([name]) => only === null || only === name)
            .map(([name, picture]) => (
              <section key={name} id={name} style={{ margin: "24px 0" }}>
                <h2>{name}</h2>
                {picture}
              </section>
            ))}
        </main>
      </LanguageContext>
    </I18nProvider>,
  );
}
