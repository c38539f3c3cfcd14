import type { Table } from "./texts";

export const common = {
  title: { en: "Galvatron: parallel training plans", zh: "Galvatron:并行训练计划" },
  language: { en: "Language", zh: "语言" },
  theme: { en: "Theme", zh: "主题" },
  theme_system: { en: "System", zh: "跟随系统" },
  theme_light: { en: "Light", zh: "浅色" },
  theme_dark: { en: "Dark", zh: "深色" },
} satisfies Table;
