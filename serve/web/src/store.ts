// What the page knows and keeps: conversations in the browser's IndexedDB, choices of the user in localStorage, and the answers that are being written.
import * as api from "./api.ts";
import { preferred, setLanguage, type Language } from "./i18n.ts";
import * as tree from "./tree.ts";
import type { Answer, Conversation, Turn } from "./tree.ts";

export interface Choices {
  language: Language;
  theme: "auto" | "light" | "dark";
  probabilities: boolean; // asked for with every answer
  models: string[]; // chosen last
  sampling: tree.Sampling; // chosen last
}

const choicesName = "plinth.choices";

function readChoices(): Choices {
  const standard: Choices = { language: preferred(), theme: "auto", probabilities: true, models: [], sampling: {} };
  try {
    return { ...standard, ...(JSON.parse(localStorage.getItem(choicesName) ?? "{}") as Partial<Choices>) };
  } catch {
    return standard;
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function openDatabase(): Promise<IDBDatabase> {
  const request = indexedDB.open("plinth", 1);
  request.onupgradeneeded = () => request.result.createObjectStore("conversations", { keyPath: "id" });
  return done(request);
}

export class Store {
  choices: Choices = readChoices();
  models: api.Model[] = [];
  state: "loading" | "ready" | "key" | "down" = "loading";
  conversations: Conversation[] = []; // the newest first
  current: Conversation = tree.newConversation([]);
  notice = "";
  private readonly listeners = new Set<() => void>();
  private database: IDBDatabase | undefined;
  private readonly running = new Map<Answer, AbortController>();
  private readonly dirty = new Set<Conversation>();
  private saving = 0;

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  changed(): void {
    for (const listener of this.listeners) listener();
  }

  choose(change: Partial<Choices>): void {
    Object.assign(this.choices, change);
    this.applyChoices();
    try {
      localStorage.setItem(choicesName, JSON.stringify(this.choices));
    } catch {
      // Without storage they last as long as the page.
    }
    this.changed();
  }

  private applyChoices(): void {
    setLanguage(this.choices.language);
    if (this.choices.theme === "auto") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = this.choices.theme;
  }

  async open(): Promise<void> {
    this.applyChoices();
    try {
      this.database = await openDatabase();
      this.conversations = (await done(this.database.transaction("conversations").objectStore("conversations").getAll())) as Conversation[];
      this.conversations.sort((a, b) => b.updated - a.updated);
    } catch {
      this.database = undefined; // a private window: conversations last as long as the page
    }
    addEventListener("pagehide", () => this.flush());
    await this.connect();
  }

  /** Asks the server for its models. */
  async connect(): Promise<void> {
    try {
      this.models = await api.listModels();
      this.state = "ready";
    } catch (err) {
      this.state = err instanceof api.ServerError && err.status === 401 ? "key" : "down";
    }
    const current = this.current;
    if (this.state === "ready" && current.models.filter((id) => this.model(id)).length === 0) current.models = this.startModels();
    this.changed();
  }

  model(id: string): api.Model | undefined {
    return this.models.find((m) => m.id === id);
  }

  /** The models that are able to do something. */
  able(what: api.Ability): string[] {
    return this.models.filter((m) => m.capabilities.includes(what)).map((m) => m.id);
  }

  private startModels(): string[] {
    const able = this.able("chat");
    const last = this.choices.models.filter((id) => able.includes(id));
    return last.length ? last : able.slice(0, 1);
  }

  newChat(): void {
    this.current = tree.newConversation(this.startModels(), "", { ...this.choices.sampling });
    this.changed();
  }

  show(c: Conversation): void {
    this.current = c;
    if (this.state === "ready" && !c.models.some((id) => this.able("chat").includes(id))) c.models = this.startModels();
    this.changed();
  }

  /** Notes that a conversation has changed; it is written soon. */
  touch(c: Conversation): void {
    if (!this.conversations.includes(c) && c.roots.length > 0) this.conversations.unshift(c);
    this.dirty.add(c);
    if (!this.saving) this.saving = window.setTimeout(() => this.flush(), 400);
    this.changed();
  }

  flush(): void {
    clearTimeout(this.saving);
    this.saving = 0;
    if (!this.database) return;
    const store = this.database.transaction("conversations", "readwrite").objectStore("conversations");
    for (const c of this.dirty) if (this.conversations.includes(c)) store.put(c);
    this.dirty.clear();
  }

  removeConversation(c: Conversation): void {
    for (const turn of Object.values(c.turns)) for (const a of turn.answers ?? []) this.stop(a);
    this.conversations = this.conversations.filter((other) => other !== c);
    this.database?.transaction("conversations", "readwrite").objectStore("conversations").delete(c.id);
    if (this.current === c) this.newChat();
    else this.changed();
  }

  importConversations(list: Conversation[]): void {
    this.conversations.unshift(...list);
    for (const c of list) this.touch(c);
    if (list[0]) this.show(list[0]);
  }

  isRunning(a: Answer): boolean {
    return this.running.has(a);
  }

  /** Whether any answer of the shown conversation is being written. */
  busy(): boolean {
    return tree.path(this.current).some((turn) => turn.answers?.some((a) => this.running.has(a)));
  }

  stop(a?: Answer): void {
    const which = a ? [a] : tree.path(this.current).flatMap((turn) => turn.answers ?? []);
    for (const one of which) this.running.get(one)?.abort();
  }

  /** Says something in the shown conversation, below parent, and lets its models answer. */
  say(text: string, parent: string | null): void {
    const c = this.current;
    if (!c.title) c.title = tree.titleOf(text);
    this.answer(c, tree.add(c, parent, { text }), c.models);
  }

  /** Lets models answer a turn of the user, beside the answers that are there. */
  answer(c: Conversation, said: Turn, models: string[]): void {
    const answers = models.map((model): Answer => ({ model, text: "" }));
    tree.add(c, said.id, { answers });
    for (const a of answers) void this.write(c, said, a);
    this.touch(c);
  }

  /** Lets one of several models answer anew; the other answers stand in the new version as well. */
  answerAgain(c: Conversation, turn: Turn, old: Answer): void {
    const said = turn.parent === null ? undefined : c.turns[turn.parent];
    if (!said || !turn.answers) return;
    const fresh: Answer = { model: old.model, text: "" };
    tree.add(c, said.id, { answers: turn.answers.map((a) => (a === old ? fresh : a)) });
    void this.write(c, said, fresh);
    this.touch(c);
  }

  private async write(c: Conversation, said: Turn, a: Answer): Promise<void> {
    const controller = new AbortController();
    this.running.set(a, controller);
    let drawn = 0;
    const hear = (w: api.Written) => {
      a.text = w.text;
      a.stats = { ...w.stats };
      if (w.tokens.length) a.tokens = w.tokens;
      if (w.finish) a.finish = w.finish;
      drawn ||= requestAnimationFrame(() => {
        drawn = 0;
        this.touch(c);
      });
    };
    try {
      hear(await api.chat(a.model, tree.history(c, said, a.model), c.sampling, this.choices.probabilities ? 5 : 0, controller.signal, hear));
    } catch (err) {
      if (controller.signal.aborted) {
        a.finish = "stopped";
      } else {
        a.finish = "error";
        a.error = err instanceof Error ? err.message : String(err);
        if (err instanceof api.ServerError && err.status === 401) this.state = "key";
      }
    }
    this.running.delete(a);
    c.updated = Date.now();
    this.touch(c);
  }
}

export const store = new Store();
