// The server's API as the page uses it.
import type { Call, Message, Sampling, Stats, Token } from "./tree.ts";

export interface Model {
  id: string;
  max_model_len?: number;
  capabilities: Ability[];
  labels?: string[]; // of a classifier
  dimensions?: number; // of its vectors
}

export type Ability = "completions" | "chat" | "embeddings" | "classify" | "rerank" | "image_embeddings" | "image_classify";

/** An answer of the server that is an error, in its words. */
export class ServerError extends Error {
  constructor(message: string, readonly status: number, readonly param = "") {
    super(message);
  }
}

const keyName = "plinth.key";
let forgetful = ""; // the key where the browser lends no storage

/** The API key, kept until the tab is closed. */
export function apiKey(): string {
  try {
    return sessionStorage.getItem(keyName) ?? forgetful;
  } catch {
    return forgetful;
  }
}

export function setApiKey(key: string): void {
  forgetful = key;
  try {
    if (key) sessionStorage.setItem(keyName, key);
    else sessionStorage.removeItem(keyName);
  } catch {
    // It is kept in memory.
  }
}

/** Asks the server; what is no success is thrown as ServerError. 304 is a success. */
export async function ask(path: string, body?: unknown, signal?: AbortSignal, headers: Record<string, string> = {}): Promise<Response> {
  const all: Record<string, string> = { ...headers };
  const key = apiKey();
  if (key) all["Authorization"] = "Bearer " + key;
  if (body !== undefined) all["Content-Type"] = "application/json";
  const response = await fetch(path, { method: body === undefined ? "GET" : "POST", headers: all, ...(body === undefined ? {} : { body: JSON.stringify(body) }), ...(signal ? { signal } : {}) });
  if (response.ok || response.status === 304) return response;
  let message = `${response.status} ${response.statusText}`;
  let param = "";
  try {
    const { error } = (await response.json()) as { error: { message: string; param?: string } };
    message = error.message || message;
    param = error.param ?? "";
  } catch {
    // The status says what there is to say.
  }
  throw new ServerError(message, response.status, param);
}

export async function listModels(): Promise<Model[]> {
  return ((await (await ask("v1/models")).json()) as { data: Model[] }).data;
}

/** Splits a stream of server-sent events into their data. It is fed texts cut anywhere. */
export class EventSplitter {
  private rest = "";

  push(text: string): string[] {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    return lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim());
  }
}

interface TokenLogProb {
  token: string;
  logprob: number;
  bytes?: number[];
  top_logprobs?: TokenLogProb[];
}

interface Piece {
  error?: { message: string };
  choices?: {
    text?: string;
    delta?: { content?: string; tool_calls?: { id: string; function: { name: string; arguments: string } }[] }; // each call in one piece
    finish_reason?: string | null;
    logprobs?: { content?: TokenLogProb[]; tokens?: string[]; token_logprobs?: (number | null)[]; top_logprobs?: (Record<string, number> | null)[] } | null;
  }[];
  usage?: { prompt_tokens: number; completion_tokens: number };
}

/** A token's text; what is no whole text is shown by its bytes. */
function tokenText(t: TokenLogProb): string {
  if (!t.token.includes("\ufffd") || !t.bytes) return t.token;
  return t.bytes.map((b) => (b < 128 ? String.fromCharCode(b) : "\\x" + b.toString(16).toUpperCase().padStart(2, "0"))).join("");
}

/** What is heard of a text while it is written. */
export interface Written {
  text: string;
  tokens: Token[];
  calls: Call[];
  stats: Stats;
  finish?: string;
}

/** The tokens of a piece of either API. */
function tokensOf(logprobs: NonNullable<NonNullable<Piece["choices"]>[number]["logprobs"]>): Token[] {
  if (logprobs.content) return logprobs.content.map((t) => [tokenText(t), t.logprob, (t.top_logprobs ?? []).map((o) => [tokenText(o), o.logprob])]);
  return (logprobs.tokens ?? []).map((text, i) => {
    const top = Object.entries(logprobs.top_logprobs?.[i] ?? {}).sort((a, b) => b[1] - a[1]);
    return [text, logprobs.token_logprobs?.[i] ?? Number.NaN, top];
  });
}

/** Reads a streamed answer to its end, and tells `hear` of all there is after each piece that came. */
async function readStream(path: string, body: object, signal: AbortSignal, hear: (w: Written) => void): Promise<Written> {
  const begin = performance.now();
  const w: Written = { text: "", tokens: [], calls: [], stats: { completion: 0, first: 0, seconds: 0 } };
  const response = await ask(path, { ...body, stream: true, stream_options: { include_usage: true } }, signal);
  const reader = response.body?.getReader();
  if (!reader) throw new Error("the answer has no body");
  const decoder = new TextDecoder();
  const events = new EventSplitter();
  let first = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    for (const data of events.push(decoder.decode(value, { stream: true }))) {
      if (data === "[DONE]") return w;
      const piece = JSON.parse(data) as Piece;
      if (piece.error) throw new ServerError(piece.error.message, 500);
      const choice = piece.choices?.[0];
      const text = choice?.delta?.content ?? choice?.text ?? "";
      const tokens = choice?.logprobs ? tokensOf(choice.logprobs) : [];
      w.text += text;
      w.tokens.push(...tokens);
      for (const { id, function: f } of choice?.delta?.tool_calls ?? []) w.calls.push({ id, name: f.name, arguments: f.arguments });
      if (choice?.finish_reason) w.finish = choice.finish_reason;
      if (text || tokens.length) {
        const now = performance.now();
        if (!first) {
          first = now;
          w.stats.first = (now - begin) / 1000;
        }
        w.stats.completion += tokens.length || 1;
        w.stats.seconds = (now - first) / 1000;
      }
      if (piece.usage) {
        w.stats.prompt = piece.usage.prompt_tokens;
        w.stats.completion = piece.usage.completion_tokens;
      }
    }
    hear(w);
  }
  throw new Error("the connection ended before the answer did");
}

/** The fields of sampling as the API has them. */
function sampled({ schema, ...rest }: Sampling): object {
  return schema ? { ...rest, response_format: { type: "json_schema", json_schema: { name: "answer", schema } } } : rest;
}

/** Lets a model answer a conversation. `top` is how many alternatives of each token are asked for, 0: no probabilities. */
export function chat(model: string, messages: Message[], sampling: Sampling, tools: object[] | undefined, top: number, signal: AbortSignal, hear: (w: Written) => void): Promise<Written> {
  const probabilities = top > 0 ? { logprobs: true, top_logprobs: top } : {};
  return readStream("v1/chat/completions", { model, messages, ...sampled(sampling), ...(tools ? { tools } : {}), ...probabilities }, signal, hear);
}

/** Lets a model continue a text. */
export function complete(model: string, prompt: string, sampling: Sampling, top: number, signal: AbortSignal, hear: (w: Written) => void): Promise<Written> {
  return readStream("v1/completions", { model, prompt, ...sampled(sampling), ...(top > 0 ? { logprobs: top } : {}) }, signal, hear);
}

/** The tokens of a text, each with its log-probability after those before it; the first has NaN. */
export async function score(model: string, prompt: string, top: number, signal?: AbortSignal): Promise<Token[]> {
  const response = await ask("v1/completions", { model, prompt, max_tokens: 0, echo: true, logprobs: top, temperature: 0 }, signal);
  const choice = ((await response.json()) as Piece).choices?.[0];
  return choice?.logprobs ? tokensOf(choice.logprobs) : [];
}

export interface Classified {
  label?: string;
  number?: number; // of a model that says numbers
  labels?: { label: string; probability: number }[];
}

/** The labels of texts; `own` are labels for models that take any. */
export async function classify(model: string, input: string[], own: { labels: string[]; multi_label: boolean } | undefined, signal: AbortSignal): Promise<Classified[]> {
  return ((await (await ask("v1/classify", { model, input, ...(own ?? {}), truncate: true }, signal)).json()) as { data: Classified[] }).data;
}

/** The vectors of texts. */
export async function embed(model: string, input: string[], kind: "query" | "document", signal: AbortSignal): Promise<number[][]> {
  const body = { model, input, input_type: kind, encoding_format: "float", truncate: true };
  return ((await (await ask("v1/embeddings", body, signal)).json()) as { data: { embedding: number[] }[] }).data.map((d) => d.embedding);
}

const asPictures = (urls: string[]) => urls.map((image) => ({ image }));

/** The vectors of pictures, which are data: URLs. */
export async function embedImages(model: string, urls: string[], signal: AbortSignal): Promise<number[][]> {
  const body = { model, input: asPictures(urls), encoding_format: "float" };
  return ((await (await ask("v1/embeddings", body, signal)).json()) as { data: { embedding: number[] }[] }).data.map((d) => d.embedding);
}

/** The labels of pictures, which are data: URLs; an empty template is the server's. */
export async function classifyImages(model: string, urls: string[], labels: string[], template: string, signal: AbortSignal): Promise<Classified[]> {
  const body = { model, input: asPictures(urls), labels, ...(template ? { template } : {}) };
  return ((await (await ask("v1/classify", body, signal)).json()) as { data: Classified[] }).data;
}

/** How well documents answer a query, by a model made for that. */
export async function rerank(model: string, query: string, documents: string[], signal: AbortSignal): Promise<number[]> {
  const answer = (await (await ask("v1/rerank", { model, query, documents, return_documents: false, truncate: true }, signal)).json()) as { results: { index: number; relevance_score: number }[] };
  const scores: number[] = [];
  for (const r of answer.results) scores[r.index] = r.relevance_score;
  return scores;
}

/** Tokens a second after the first; undefined where the time is too short to say. */
export function speed(s: Stats): number | undefined {
  return s.completion > 1 && s.seconds >= 0.02 ? (s.completion - 1) / s.seconds : undefined;
}
