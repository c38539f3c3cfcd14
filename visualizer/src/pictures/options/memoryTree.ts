// What fills a pipeline rank: part > layer > tensor, areas as large as the bytes.
import type { MemoryDetail, MemoryNode } from "../../api/types";
import { common, FONT_SIZE, tooltip } from "../base";
import type { Drawing, Frame, Picture } from "../frame";
import { partKind } from "../kinds";
import { decal, inkOn } from "../look";
import { nameOf } from "../names";
import { cell, type Cell, type Table } from "../table";
import { tip } from "../tip";
import type { Words } from "../words";

/** Node of the picture; `path`: its names from the part down. */
interface Area {
  name: string;
  value: number;
  text: string;
  path: string[];
  children?: Area[];
}

function areas(nodes: MemoryNode[], path: string[]): Area[] {
  return nodes
    .filter(({ bytes }) => bytes > 0)
    .map(({ name, bytes, text, children }) => {
      const here = [...path, name];
      const inner = children ? areas(children, here) : [];
      return {
        name,
        value: bytes,
        text,
        path: here,
        ...(inner.length > 0 ? { children: inner } : {}),
      };
    });
}

/** Every node that has no children, with the names above it. */
export function leaves(nodes: MemoryNode[]): { path: string[]; bytes: number; text: string }[] {
  const walk = (node: MemoryNode, path: string[]): ReturnType<typeof leaves> => {
    const here = [...path, node.name];
    if (!node.children || node.children.length === 0) {
      return [{ path: here, bytes: node.bytes, text: node.text }];
    }
    return node.children.flatMap((child) => walk(child, here));
  };
  return nodes.flatMap((node) => walk(node, []));
}

function tableOf(detail: MemoryDetail, { t, language }: Words): Table {
  const columns = [
    { title: t("part_word"), key: "part" },
    { title: t("layer_word"), key: "layer" },
    { title: t("tensor_word"), key: "tensor" },
    { title: t("memory_of"), key: "bytes", numeric: true },
  ];
  const rows = leaves(detail.tree).map(({ path, bytes, text }): Cell[] => {
    const [part = "", layer = "", ...tensor] = path;
    return [
      cell(nameOf(language, part), part),
      cell(layer),
      cell(tensor.join(" ")),
      cell(text, bytes),
    ];
  });
  return { columns, rows };
}

function coloured(part: Area, { look, language }: Frame): object {
  const kind = partKind(part.name);
  const color = look.color(kind.color);
  const label = { color: inkOn(color) };
  const paint = (area: Area): object => ({
    ...area,
    itemStyle: { color, decal: area.children ? undefined : decal(look, kind.pattern) },
    label,
    ...(area.children ? { children: area.children.map(paint) } : {}),
  });
  return { ...paint(part), name: nameOf(language, part.name) };
}

function levels({ look }: Frame): object[] {
  const ground = look.color("ground");
  const head = { show: true, height: 22, color: look.color("text"), fontWeight: "bold" };
  return [
    {
      itemStyle: { borderColor: ground, borderWidth: 0, gapWidth: 3 },
      upperLabel: { show: false },
    },
    { itemStyle: { borderColor: ground, borderWidth: 2, gapWidth: 1 }, upperLabel: head },
    { itemStyle: { borderColor: ground, borderWidth: 1, gapWidth: 1 } },
    { itemStyle: { borderColor: ground, borderWidth: 1, gapWidth: 1 } },
  ];
}

function draw(tree: Area[], title: string, frame: Frame): Drawing {
  const { look, language } = frame;
  const height = 420;
  const series = {
    type: "treemap",
    name: title,
    left: 0,
    right: 0,
    top: 0,
    bottom: 34,
    roam: false,
    nodeClick: "zoomToNode",
    leafDepth: 2,
    drillDownIcon: "",
    visibleMin: 60, // square pixels
    breadcrumb: {
      bottom: 0,
      left: 0,
      height: 26,
      itemStyle: {
        color: look.color("sunken"),
        borderColor: look.color("line-strong"),
        textStyle: { color: look.color("text"), fontSize: FONT_SIZE },
      },
      emphasis: { itemStyle: { color: look.color("accent-ground") } },
    },
    label: {
      formatter: ({ name, data }: { name: string; data: Area }) => `${name}\n${data.text}`,
      overflow: "truncate",
      fontSize: FONT_SIZE,
      lineHeight: 16,
    },
    upperLabel: {
      formatter: ({ name, data }: { name: string; data: Area }) => `${name}  ${data.text}`,
      overflow: "truncate",
    },
    levels: levels(frame),
    data: tree.map((part) => coloured(part, frame)),
  };
  const formatter = ({ data }: { data: Area | null }) => {
    if (!data?.path) return "";
    const [part = "", ...inner] = data.path;
    const title = [nameOf(language, part), ...inner].join(" › ");
    return tip(title, [{ name: "", text: data.text, color: look.color(partKind(part).color) }]);
  };
  const option = { ...common(frame), tooltip: { ...tooltip(look), formatter }, series: [series] };
  return { option, height };
}

/** Null: nothing is there. */
export function memoryTree(detail: MemoryDetail, words: Words): Picture | null {
  const tree = areas(detail.tree, []);
  if (tree.length === 0) return null;
  const title = words.t("memory_tree", { rank: detail.pp_rank });
  const said = tree.map((part) => `${nameOf(words.language, part.name)} ${part.text}`).join(", ");
  return {
    summary: `${words.t("named", { name: title, text: said })}.`,
    table: tableOf(detail, words),
    draw: (frame) => draw(tree, title, frame),
  };
}
