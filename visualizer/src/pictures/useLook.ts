import { useMemo } from "react";
import { useColors, useTheme } from "../theme/theme";
import type { Look } from "./look";

/** Of the theme shown; another value with each change of it. */
export function useLook(): Look {
  const color = useColors();
  const theme = useTheme();
  return useMemo(
    // ECharts writes the font into attributes of its SVG as it is: double quotes would end them.
    () => ({ color, dark: theme === "dark", font: color("font").replaceAll('"', "'") }),
    [color, theme],
  );
}
