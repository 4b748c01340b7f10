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

/** A call of a tool: arguments is JSON, as the model wrote it. */
export interface Call {
  id: string;
  name: string;
  arguments: string;
}

/** What one model wrote. */
export interface Answer {
  model: string;
  text: string;
  calls?: Call[];
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
  schema?: object; // a JSON schema of the answer
}

export interface Conversation {
  id: string;
  title: string;
  created: number; // milliseconds
  updated: number;
  system: string;
  sampling: Sampling;
  tools?: object[]; // as the API takes them
  models: string[];
  roots: string[];
  chosen: number;
  turns: Record<string, Turn>;
}

export interface Message {
  role: "system" | "user" | "assistant";
  content: string;
  tool_calls?: { id: string; type: "function"; function: { name: string; arguments: string } }[];
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

/** What is no turn: of each of these fields the last writer's value holds. Values are replaced, never changed, so they are compared by identity. */
export type Fields = Pick<Conversation, "title" | "system" | "sampling" | "models"> & { tools: Conversation["tools"] | undefined };

export const fields = ({ title, system, sampling, tools, models }: Conversation): Fields => ({ title, system, sampling, tools, models });

/** Takes into c what another tab has stored of it: all turns, of each answer what was written further, and the fields that were not changed here since
 * both had `base`. What c shows stays shown. Siblings stand in the stored order, those that are not stored yet behind them, so all tabs come to one order. */
export function merge(c: Conversation, stored: Conversation, base: Fields | undefined): void {
  const join = (parent: string | null) => {
    const { list, owner } = family(c, parent);
    const other = family(stored, parent);
    const shown = list[owner.chosen];
    list.splice(0, list.length, ...new Set([...other.list, ...list]));
    owner.chosen = shown === undefined ? other.owner.chosen : list.indexOf(shown);
  };
  join(null);
  for (const turn of Object.values(stored.turns)) {
    const mine = c.turns[turn.id];
    if (!mine) {
      c.turns[turn.id] = turn;
      continue;
    }
    join(turn.id);
    mine.answers?.forEach((a, i) => {
      const other = turn.answers?.[i];
      if (other && !a.finish && (other.finish || other.text.length > a.text.length)) Object.assign(a, other);
    });
  }
  const theirs = fields(stored);
  const own = base ? Object.entries(fields(c)).filter(([name, value]) => value !== base[name as keyof Fields]) : [];
  Object.assign(c, theirs, Object.fromEntries(own), { updated: Math.max(c.updated, stored.updated) });
}

/** What a model is sent to answer a turn of the user: of each earlier turn its own answer, where it has none the first. */
export function history(c: Conversation, turn: Turn, model: string): Message[] {
  const messages: Message[] = [];
  for (let t: Turn | undefined = turn; t; t = t.parent === null ? undefined : c.turns[t.parent]) {
    if (t.answers) {
      const answer = t.answers.find((a) => a.model === model) ?? t.answers[0];
      const calls = answer?.calls?.map(({ id, ...f }) => ({ id, type: "function" as const, function: f }));
      if (answer) messages.push({ role: "assistant", content: answer.text, ...(calls ? { tool_calls: calls } : {}) });
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
