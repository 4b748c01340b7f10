// What the page knows and keeps: conversations in the browser's IndexedDB, choices of the user in localStorage, and the answers that are being written.
import * as api from "./api.ts";
import { preferred, setLanguage, t, type Language } from "./i18n.ts";
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

function finished(change: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    change.oncomplete = () => resolve();
    change.onabort = () => reject(change.error);
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
  private readonly stored = new Map<string, tree.Fields>(); // of each stored conversation, as this tab read or wrote it last
  private readonly tabs = new BroadcastChannel("plinth.conversations"); // the ids of conversations that a tab wrote or deleted
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
      await this.read();
    } catch {
      this.database = undefined; // a private window: conversations last as long as the page
    }
    this.tabs.onmessage = (e) => void this.hear(String(e.data));
    addEventListener("pagehide", () => this.leave());
    addEventListener("pageshow", (e) => e.persisted && void this.read().then(() => this.changed())); // it heard nothing while it was away
    addEventListener("storage", (e) => {
      if (e.key !== choicesName) return;
      this.choices = readChoices();
      this.applyChoices();
      this.changed();
    });
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
    this.current = tree.newConversation(this.startModels(), "", this.choices.sampling);
    this.changed();
  }

  show(c: Conversation): void {
    this.current = c;
    if (this.state === "ready" && !c.models.some((id) => this.able("chat").includes(id))) c.models = this.startModels();
    this.changed();
  }

  /** Notes that a conversation has changed; it is written soon. One that was removed stays so. */
  touch(c: Conversation): void {
    if (c === this.current && !this.conversations.includes(c) && c.roots.length > 0) this.conversations.unshift(c);
    this.dirty.add(c);
    if (!this.saving) this.saving = window.setTimeout(() => void this.flush(), 400);
    this.changed();
  }

  /** The changed conversations, which then count as written. */
  private takeDirty(): Conversation[] {
    clearTimeout(this.saving);
    this.saving = 0;
    const list = [...this.dirty].filter((c) => this.conversations.includes(c));
    this.dirty.clear();
    return list;
  }

  /** Writes what has changed, joined with what other tabs wrote meanwhile. A conversation that another tab deleted is not written again. */
  private async flush(): Promise<void> {
    const list = this.takeDirty();
    if (!this.database || list.length === 0) return;
    try {
      const change = this.database.transaction("conversations", "readwrite");
      const all = finished(change);
      const store = change.objectStore("conversations");
      const written = new Map<string, tree.Fields>();
      for (const c of list) {
        this.take(c.id, (await done(store.get(c.id))) as Conversation | undefined);
        if (!this.conversations.includes(c)) continue;
        store.put(c);
        written.set(c.id, tree.fields(c));
      }
      await all;
      for (const [id, fields] of written) {
        this.stored.set(id, fields);
        this.tabs.postMessage(id);
      }
    } catch (err) {
      this.notice = t("notSaved", err instanceof Error ? err.message : String(err));
    }
    this.changed();
  }

  /** Writes what has changed as the page goes, when there is no time to read first. */
  private leave(): void {
    const store = this.database?.transaction("conversations", "readwrite").objectStore("conversations");
    for (const c of store ? this.takeDirty() : []) {
      store!.put(c);
      this.stored.set(c.id, tree.fields(c));
      this.tabs.postMessage(c.id);
    }
  }

  /** Reads all that is stored. */
  private async read(): Promise<void> {
    const list = (await done(this.database!.transaction("conversations").objectStore("conversations").getAll())) as Conversation[];
    const there = new Map(list.map((c) => [c.id, c]));
    for (const id of new Set([...this.stored.keys(), ...there.keys()])) this.take(id, there.get(id));
    this.conversations.sort((a, b) => b.updated - a.updated);
  }

  /** Another tab has written or deleted a conversation. */
  private async hear(id: string): Promise<void> {
    if (!this.database) return;
    this.take(id, (await done(this.database.transaction("conversations").objectStore("conversations").get(id))) as Conversation | undefined);
    this.changed();
  }

  /** Takes over what is stored of a conversation; undefined: nothing. */
  private take(id: string, stored: Conversation | undefined): void {
    const mine = this.conversations.find((c) => c.id === id);
    if (stored) {
      if (mine) tree.merge(mine, stored, this.stored.get(id));
      else this.conversations.unshift(stored);
      this.stored.set(id, tree.fields(stored));
    } else if (mine && this.stored.has(id)) {
      this.forget(mine);
    }
  }

  /** Takes a conversation off the page. */
  private forget(c: Conversation): void {
    for (const turn of Object.values(c.turns)) for (const a of turn.answers ?? []) this.stop(a);
    this.conversations = this.conversations.filter((other) => other !== c);
    this.stored.delete(c.id);
    if (this.current === c) this.newChat();
    else this.changed();
  }

  async removeConversation(c: Conversation): Promise<void> {
    this.forget(c);
    if (!this.database) return;
    const change = this.database.transaction("conversations", "readwrite");
    change.objectStore("conversations").delete(c.id);
    await finished(change);
    this.tabs.postMessage(c.id);
  }

  /** Gives a conversation another title; an empty one changes nothing. */
  rename(c: Conversation, title: string): void {
    if (!title.trim() || title.trim() === c.title) return;
    c.title = title.trim();
    this.touch(c);
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
      if (w.calls.length) a.calls = w.calls;
      if (w.finish) a.finish = w.finish;
      drawn ||= requestAnimationFrame(() => {
        drawn = 0;
        this.touch(c);
      });
    };
    try {
      hear(await api.chat(a.model, tree.history(c, said, a.model), c.sampling, c.tools, this.choices.probabilities ? 5 : 0, controller.signal, hear));
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
