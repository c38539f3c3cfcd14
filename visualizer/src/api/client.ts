// Asks the server. Every failure is one of three, each with a sentence for the page: refused (the server
// says why), gone (nobody answers), unreadable (somebody else answers).
import type { Failure } from "./types";

export type FailureKind = "refused" | "gone" | "unreadable";

export class AskError extends Error {
  constructor(
    readonly kind: FailureKind,
    /** Of the server where it refused. */
    readonly sentence: string,
  ) {
    super(sentence);
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** GET without a body, POST with one. */
export async function ask<Answer>(
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<Answer> {
  const response = await send(path, body, signal);
  return parse<Answer>(await read(response));
}

/** A stream of lines: progress is handed on, the result resolves. */
export async function askLines<Progress, Result>(
  path: string,
  body: unknown,
  onProgress: (progress: Progress) => void,
  signal?: AbortSignal,
): Promise<Result> {
  const response = await send(path, body, signal);
  for await (const line of lines(response)) {
    const said = parse<{ progress: Progress } | { result: Result } | Failure>(line);
    if ("error" in said) throw new AskError("refused", said.error.sentence);
    if ("result" in said) return said.result;
    onProgress(said.progress);
  }
  throw new AskError("gone", "");
}

async function send(path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  const request: RequestInit =
    body === undefined
      ? { signal }
      : {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify(body),
          signal,
        };
  for (let times = 0; ; times++) {
    let response: Response;
    try {
      response = await fetch(path, request);
    } catch (error) {
      throw isAbort(error) ? error : new AskError("gone", "");
    }
    if (response.ok) return response;
    // A search that the page went away from ends a moment later than its reader.
    if (response.status !== busy || times === patience) throw await refusal(response);
    await pause(signal);
  }
}

const busy = 429;
const patience = 8; // times
const rest = 400; // ms

function pause(signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, rest);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("no longer asked", "AbortError"));
    });
  });
}

async function refusal(response: Response): Promise<AskError> {
  const said = await read(response);
  try {
    return new AskError("refused", (JSON.parse(said) as Failure).error.sentence);
  } catch {
    // A proxy between us and the server answers so when the server is gone.
    return new AskError(response.status >= 502 ? "gone" : "unreadable", String(response.status));
  }
}

async function read(response: Response): Promise<string> {
  try {
    return await response.text();
  } catch (error) {
    throw isAbort(error) ? error : new AskError("gone", "");
  }
}

function parse<Value>(text: string): Value {
  try {
    return JSON.parse(text) as Value;
  } catch {
    throw new AskError("unreadable", text.slice(0, 80));
  }
}

async function* lines(response: Response): AsyncGenerator<string> {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const piece = await next(reader);
    if (piece.done) break;
    const parts = (rest + piece.value).split("\n");
    rest = parts.pop() ?? "";
    yield* parts.filter((line) => line !== "");
  }
  if (rest !== "") yield rest;
}

async function next(reader: ReadableStreamDefaultReader<string>) {
  try {
    return await reader.read();
  } catch (error) {
    throw isAbort(error) ? error : new AskError("gone", "");
  }
}
