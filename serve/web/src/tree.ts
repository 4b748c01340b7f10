// Conversations: trees whose levels are in turn what the user said and what the models answered. An edited message and an answer written anew are
// siblings of the old ones, so nothing is lost, and `chosen` says which of them is shown.

/** A written token: its text, its log-probability, and what else could have stood there. */
export type Token = [text: string, logprob: number, top: [text: string, logprob: number][]];

export interface Stats {
  prompt?: number; // tokens
  completion: number; // tokens
  first: number; // seconds to the first token
  seconds: number; // from the first token to the last
}

/** What one model wrote. */
export interface Answer {
  model: string;
  text: string;
  tokens?: Token[];
  stats?: Stats;
  finish?: string; // as the API says it, or "stopped" or "error"
  error?: string;
}

/** What the user said (text), or what models answered to it (answers, one a model). */
export interface Turn {
  id: string;
  parent: string | null;
  children: string[];
  chosen: number; // which of children is shown
  text?: string;
  answers?: Answer[];
}

/** Where a field is missing the server's default holds. */
export interface Sampling {
  temperature?: number;
  top_p?: number;
  top_k?: number;
  min_p?: number;
  seed?: number;
  max_tokens?: number;
  stop?: string[];
}

export interface Conversation {
  id: string;
  title: string;
  created: number; // milliseconds
  updated: number;
  system: string;
  sampling: Sampling;
  models: string[];
  roots: string[];
  chosen: number;
  turns: Record<string, Turn>;
}

export interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

export const newID = (): string => crypto.getRandomValues(new Uint32Array(3)).reduce((text, n) => text + n.toString(36).padStart(7, "0"), "");

export function newConversation(models: string[], system = "", sampling: Sampling = {}): Conversation {
  const now = Date.now();
  return { id: newID(), title: "", created: now, updated: now, system, sampling, models, roots: [], chosen: 0, turns: {} };
}

/** The list that holds a turn's siblings, and who chooses among them. */
function family(c: Conversation, parent: string | null): { list: string[]; owner: { chosen: number } } {
  const turn = parent === null ? undefined : c.turns[parent];
  return turn ? { list: turn.children, owner: turn } : { list: c.roots, owner: c };
}

/** The turns that are shown, the first first. */
export function path(c: Conversation): Turn[] {
  const shown: Turn[] = [];
  for (let id = c.roots[c.chosen]; id !== undefined; ) {
    const turn = c.turns[id];
    if (!turn) break;
    shown.push(turn);
    id = turn.children[turn.chosen];
  }
  return shown;
}

/** Adds a turn below parent (null: at the beginning) and shows it. */
export function add(c: Conversation, parent: string | null, what: { text: string } | { answers: Answer[] }): Turn {
  const turn: Turn = { id: newID(), parent, children: [], chosen: 0, ...what };
  const { list, owner } = family(c, parent);
  c.turns[turn.id] = turn;
  list.push(turn.id);
  owner.chosen = list.length - 1;
  c.updated = Date.now();
  return turn;
}

/** Which of how many siblings a turn is. */
export function version(c: Conversation, turn: Turn): { at: number; of: number } {
  const { list } = family(c, turn.parent);
  return { at: list.indexOf(turn.id), of: list.length };
}

/** Shows another sibling of a turn. */
export function choose(c: Conversation, turn: Turn, at: number): void {
  const { list, owner } = family(c, turn.parent);
  owner.chosen = Math.max(0, Math.min(list.length - 1, at));
}

/** Removes a turn and all below it. */
export function remove(c: Conversation, turn: Turn): void {
  const { list, owner } = family(c, turn.parent);
  const at = list.indexOf(turn.id);
  if (at >= 0) list.splice(at, 1);
  owner.chosen = Math.max(0, Math.min(list.length - 1, owner.chosen - (at <= owner.chosen && at > 0 ? 1 : 0)));
  const gone = [turn];
  for (let t = gone.pop(); t; t = gone.pop()) {
    delete c.turns[t.id];
    for (const id of t.children) if (c.turns[id]) gone.push(c.turns[id]);
  }
}

/** What a model is sent to answer a turn of the user: of each earlier turn its own answer, where it has none the first. */
export function history(c: Conversation, turn: Turn, model: string): Message[] {
  const messages: Message[] = [];
  for (let t: Turn | undefined = turn; t; t = t.parent === null ? undefined : c.turns[t.parent]) {
    if (t.answers) {
      const answer = t.answers.find((a) => a.model === model) ?? t.answers[0];
      if (answer) messages.push({ role: "assistant", content: answer.text });
    } else {
      messages.push({ role: "user", content: t.text ?? "" });
    }
  }
  if (c.system) messages.push({ role: "system", content: c.system });
  return messages.reverse();
}

/** A title from the first words of a message. */
export function titleOf(text: string): string {
  const line = text.trim().split("\n", 1)[0] ?? "";
  const runes = [...line];
  return runes.length > 60 ? runes.slice(0, 59).join("") + "…" : line;
}
