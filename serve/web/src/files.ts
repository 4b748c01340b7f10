// Conversations as files: JSON that can be read back, and Markdown for people.
import { newID, path, titleOf, type Answer, type Call, type Conversation, type Sampling, type Token, type Turn } from "./tree.ts";

const format = "plinth conversations 1";

export function toJSON(list: Conversation[]): string {
  return JSON.stringify({ format, conversations: list }, null, 1) + "\n";
}

/** The shown path of a conversation. */
export function toMarkdown(c: Conversation): string {
  const parts = [`# ${c.title || titleOf(path(c)[0]?.text ?? "")}`];
  if (c.system) parts.push(`**System**\n\n${c.system}`);
  for (const turn of path(c)) {
    if (turn.answers) for (const a of turn.answers) parts.push(`**${a.model}**`, ...(a.text ? [a.text] : []), ...(a.calls ?? []).map((call) => `\`\`\`json\n${JSON.stringify(call)}\n\`\`\``));
    else parts.push(`**User**\n\n${turn.text ?? ""}`);
  }
  return parts.join("\n\n") + "\n";
}

type Loose = Record<string, unknown>;
const isObject = (v: unknown): v is Loose => typeof v === "object" && v !== null && !Array.isArray(v);
const text = (v: unknown, otherwise = ""): string => (typeof v === "string" ? v : otherwise);
const number = (v: unknown): number | undefined => (typeof v === "number" && Number.isFinite(v) ? v : undefined);
const list = (v: unknown): unknown[] => (Array.isArray(v) ? v : []);
const strings = (v: unknown): string[] => list(v).filter((s) => typeof s === "string");

/** The conversations of a file that toJSON wrote, with new ids; every field is checked. */
export function fromJSON(file: string): Conversation[] {
  const all: unknown = JSON.parse(file);
  if (!isObject(all) || all["format"] !== format) throw new Error(`no file of conversations: "format" is not "${format}"`);
  return list(all["conversations"]).map((c, i) => {
    if (!isObject(c)) throw new Error(`conversations[${i}] is no object`);
    return conversation(c, i);
  });
}

function conversation(c: Loose, i: number): Conversation {
  const turns: Record<string, Turn> = {};
  const ids = new Map<string, string>();
  const source = isObject(c["turns"]) ? c["turns"] : {};
  const children = (v: unknown, parent: string | null): string[] => {
    const kept: string[] = [];
    for (const id of strings(v)) {
      const turn = Object.hasOwn(source, id) ? source[id] : undefined;
      if (ids.has(id) || !isObject(turn)) throw new Error(`conversations[${i}]: turn ${id} is missing or there twice`);
      const fresh = newID();
      ids.set(id, fresh);
      pending.push([turn, fresh, parent]);
      kept.push(fresh);
    }
    return kept;
  };
  const pending: [Loose, string, string | null][] = [];
  const roots = children(c["roots"], null);
  for (let next = pending.pop(); next; next = pending.pop()) {
    const [t, id, parent] = next;
    const below = children(t["children"], id);
    const what = Array.isArray(t["answers"]) ? { answers: t["answers"].filter(isObject).map(answer) } : { text: text(t["text"]) };
    turns[id] = { id, parent, children: below, chosen: within(t["chosen"], below.length), ...what };
  }
  const now = Date.now();
  const tools = list(c["tools"]).filter(isObject);
  return { id: newID(), title: text(c["title"]), created: number(c["created"]) ?? now, updated: number(c["updated"]) ?? now, system: text(c["system"]), sampling: sampling(c["sampling"]), ...(tools.length ? { tools } : {}), models: strings(c["models"]), roots, chosen: within(c["chosen"], roots.length), turns };
}

const within = (v: unknown, n: number): number => Math.max(0, Math.min(n - 1, Math.trunc(number(v) ?? 0)));

function answer(a: Loose): Answer {
  const out: Answer = { model: text(a["model"], "?"), text: text(a["text"]) };
  if (Array.isArray(a["tokens"])) out.tokens = a["tokens"].filter(Array.isArray).map((t): Token => [text(t[0]), number(t[1]) ?? -9999, list(t[2]).filter(Array.isArray).map((o): [string, number] => [text(o[0]), number(o[1]) ?? -9999])]);
  const calls = list(a["calls"]).filter(isObject).map((call): Call => ({ id: text(call["id"]), name: text(call["name"]), arguments: text(call["arguments"]) }));
  if (calls.length) out.calls = calls;
  const s = a["stats"];
  if (isObject(s)) {
    const prompt = number(s["prompt"]);
    out.stats = { completion: number(s["completion"]) ?? 0, first: number(s["first"]) ?? 0, seconds: number(s["seconds"]) ?? 0, ...(prompt === undefined ? {} : { prompt }) };
  }
  if (typeof a["finish"] === "string") out.finish = a["finish"];
  if (typeof a["error"] === "string") out.error = a["error"];
  return out;
}

function sampling(v: unknown): Sampling {
  const out: Sampling = {};
  if (!isObject(v)) return out;
  for (const name of ["temperature", "top_p", "top_k", "min_p", "seed", "max_tokens"] as const) {
    const n = number(v[name]);
    if (n !== undefined) out[name] = n;
  }
  const stop = strings(v["stop"]);
  if (stop.length) out.stop = stop;
  if (isObject(v["schema"])) out.schema = v["schema"];
  return out;
}

/** Lets the browser save a text as a file. */
export function download(name: string, kind: string, content: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: kind }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
