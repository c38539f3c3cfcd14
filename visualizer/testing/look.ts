// What pictures are drawn with where there is no page: the real tokens and texts.
import { readFileSync } from "node:fs";
import { type Language, text } from "../src/i18n/texts";
import { echarts } from "../src/pictures/echarts";
import type { Frame, Picture } from "../src/pictures/frame";
import type { Look } from "../src/pictures/look";
import type { Words } from "../src/pictures/words";

const css = readFileSync(new URL("../src/theme/tokens.css", import.meta.url), "utf8");

/** Unknown tokens are an error, as they would be black on a canvas. */
export function lookOf(theme: "light" | "dark"): Look {
  const [light = "", dark = ""] = css.split('[data-theme="dark"]');
  const color = (token: string) => {
    const find = (block: string) => new RegExp(`--${token}:\\s*([^;]+);`).exec(block)?.[1];
    const value = (theme === "dark" ? find(dark) : undefined) ?? find(light);
    if (value === undefined) throw new Error(`theme/tokens.css has no --${token}`);
    return value.trim();
  };
  return { color, dark: theme === "dark", font: "sans-serif" };
}

export function wordsOf(language: Language = "en"): Words {
  return { language, t: (key, values) => text(language, key, values) };
}

export function frameOf(
  width = 900,
  theme: "light" | "dark" = "light",
  language: Language = "en",
): Frame {
  return { width, look: lookOf(theme), ...wordsOf(language) };
}

/** The picture as ECharts draws it: SVG text. */
export function svgOf(picture: Picture, frame: Frame): string {
  const { option, height } = picture.draw(frame);
  const chart = echarts.init(null, undefined, {
    renderer: "svg",
    ssr: true,
    width: frame.width,
    height,
  });
  try {
    chart.setOption(option);
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}
