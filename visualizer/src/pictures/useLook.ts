import { useMemo } from "react";
import { useColors, useTheme } from "../theme/theme";
import type { Look } from "./look";

/** Of the theme shown; another value with each change of it. */
export function useLook(): Look {
  const color = useColors();
  const theme = useTheme();
  return useMemo(() => ({ color, dark: theme === "dark", font: color("font") }), [color, theme]);
}
