// The page's state as the fragment of its address: JSON, deflated, base64url. The fragment never leaves
// the browser. Contents of files go along while the address stays short enough to be passed on.
import type { Document, NamedContent, View } from "./page";

export interface Kept {
  document: Document;
  view: View;
}

export interface Link {
  fragment: string;
  /** Names of files whose content is not in it. */
  leftOut: string[];
}

export const maxFragment = 30_000;

export async function toLink(kept: Kept): Promise<Link> {
  const whole = await pack(kept);
  if (whole.length <= maxFragment) return { fragment: whole, leftOut: [] };
  const { document, leftOut } = withoutFiles(kept.document);
  return { fragment: await pack({ ...kept, document }), leftOut };
}

/** null: there is none. Throws for a link that is cut off or none of ours. */
export async function fromLink(fragment: string): Promise<Kept | null> {
  const packed = fragment.replace(/^#/, "");
  if (packed === "") return null;
  const kept: unknown = JSON.parse(await unpack(packed));
  if (!isKept(kept)) throw new Error("no state of this page");
  return kept;
}

function withoutFiles(document: Document): { document: Document; leftOut: string[] } {
  const leftOut: string[] = [];
  const drop = (file: NamedContent | null) => {
    if (file?.content) leftOut.push(file.name);
    return file?.content ? null : file;
  };
  const model = drop(document.model) ?? { name: "llama2-13b", content: null };
  const small = { ...document, model, plans: [] };
  leftOut.push(...document.plans.map((plan) => plan.name));
  for (const key of ["cluster", "hardware", "profile"] as const) small[key] = drop(document[key]);
  return { document: small, leftOut };
}

function isKept(value: unknown): value is Kept {
  if (!isObject(value) || !isObject(value.document) || !isObject(value.view)) return false;
  const { document, view } = value;
  return (
    isObject(document.model) &&
    typeof document.model.name === "string" &&
    isObject(document.options) &&
    Array.isArray(document.plans) &&
    typeof view.tab === "string" &&
    Array.isArray(view.selected) &&
    Array.isArray(view.compare)
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

async function pack(value: unknown): Promise<string> {
  const deflated = await through(JSON.stringify(value), new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(deflated).arrayBuffer());
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function unpack(packed: string): Promise<string> {
  const text = atob(packed.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  return new Response(await through(bytes, new DecompressionStream("deflate-raw"))).text();
}

function through(data: BlobPart, stream: CompressionStream | DecompressionStream) {
  return new Blob([data])
    .stream()
    .pipeThrough(stream as ReadableWritablePair<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>);
}
