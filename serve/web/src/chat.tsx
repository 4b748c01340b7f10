// The chat: conversations at the side, the shown one in the middle, its settings at the other side.
import { useEffect, useRef, useState } from "preact/hooks";
import { download, fromJSON, toJSON, toMarkdown } from "./files.ts";
import { t } from "./i18n.ts";
import { Answers, Said } from "./message.tsx";
import { store } from "./store.ts";
import { path, type Conversation } from "./tree.ts";
import { Area, Icon, icons, IconButton, JSONField, SamplingFields, useStore } from "./ui.tsx";

/** A name of a file from a title. */
const fileName = (c: Conversation): string => c.title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 40) || "conversation";

function pickFile(): void {
  const input = document.createElement("input");
  input.type = "file";
  input.accept = ".json,application/json";
  input.onchange = async () => {
    const file = input.files?.[0];
    if (file) await readFile(file);
  };
  input.click();
}

export async function readFile(file: File): Promise<void> {
  try {
    const list = fromJSON(await file.text());
    store.importConversations(list);
    store.notice = t("imported", list.length);
  } catch (err) {
    store.notice = `${file.name}: ${err instanceof Error ? err.message : String(err)}`;
  }
  store.changed();
}

/** The field for a conversation's title: Enter and a click elsewhere keep what was typed, Escape does not. */
function Title({ c, done }: { c: Conversation; done: () => void }) {
  const ref = useRef<HTMLInputElement>(null);
  useEffect(() => {
    ref.current?.focus();
    ref.current?.select();
  }, []);
  const keys = (e: KeyboardEvent) => {
    if (e.key === "Escape") {
      e.stopPropagation();
      ref.current!.value = c.title;
    }
    if (e.key === "Escape" || (e.key === "Enter" && !e.isComposing)) ref.current!.blur();
  };
  const keep = () => {
    store.rename(c, ref.current!.value);
    done();
  };
  return <input ref={ref} aria-label={t("rename")} defaultValue={c.title} maxLength={200} onKeyDown={keys} onBlur={keep} />;
}

export function Sidebar({ close }: { close: () => void }) {
  const s = useStore();
  const [wanted, want] = useState("");
  const [renamed, rename] = useState<Conversation>();
  const list = s.conversations.filter((c) => !wanted || c.title.toLowerCase().includes(wanted.toLowerCase()));
  const go = (run: () => void) => () => {
    run();
    close();
  };
  return (
    <nav class="sidebar" aria-label={t("chats")}>
      <button class="new" onClick={go(() => s.newChat())}><Icon d={icons.plus} />{t("newChat")}</button>
      {s.conversations.length > 8 && <input type="search" placeholder={t("searchChats")} aria-label={t("searchChats")} value={wanted} onInput={(e) => want(e.currentTarget.value)} />}
      <ul>
        {list.map((c) => (
          <li key={c.id} class={c === s.current ? "current" : ""}>
            {c === renamed ? <Title c={c} done={() => rename(undefined)} /> : <>
              <button class="title" onClick={go(() => s.show(c))} title={c.title}>{c.title || t("untitled")}</button>
              <IconButton icon="pencil" label={t("rename")} onClick={() => rename(c)} />
              <IconButton icon="close" label={t("remove")} onClick={() => confirm(t("removeAsk")) && void s.removeConversation(c)} />
            </>}
          </li>
        ))}
      </ul>
      <div class="row">
        <button class="quiet" onClick={pickFile}>{t("importFile")}</button>
        {s.conversations.length > 0 && <button class="quiet" onClick={() => download("plinth-conversations.json", "application/json", toJSON(s.conversations))}>{t("exportAll")}</button>}
      </div>
    </nav>
  );
}

function Models() {
  const s = useStore();
  const c = s.current;
  const all = s.able("chat");
  const toggle = (id: string) => {
    const next = c.models.includes(id) ? c.models.filter((m) => m !== id) : [...c.models, id];
    c.models = next.length ? next : [id];
    s.choose({ models: c.models });
    s.touch(c);
  };
  if (all.length === 0) return <span class="hint">{t("noModels")}</span>;
  if (all.length === 1) return <span class="only-model">{all[0]}</span>;
  return (
    <div class="models" role="group" aria-label={t("models")} title={t("modelsHint")}>
      {all.map((id) => <button aria-pressed={c.models.includes(id)} onClick={() => toggle(id)}>{id}</button>)}
    </div>
  );
}

function Settings({ close }: { close: () => void }) {
  const s = useStore();
  const c = s.current;
  return (
    <aside class="settings" aria-label={t("settings")}>
      <header><h2>{t("settings")}</h2><IconButton icon="close" label={t("close")} onClick={close} /></header>
      <label class="field wide">
        <span>{t("system")}</span>
        <textarea rows={5} value={c.system} placeholder={t("systemHint")} onInput={(e) => {
          c.system = e.currentTarget.value;
          s.touch(c);
        }} />
      </label>
      <h3>{t("sampling")}</h3>
      <SamplingFields value={c.sampling} set={(next) => {
        c.sampling = next;
        const { schema: _, ...rest } = next; // a schema is for one conversation
        s.choose({ sampling: rest });
        s.touch(c);
      }} />
      <JSONField label={t("tools")} value={c.tools} many set={(tools) => {
        if (tools) c.tools = tools as object[];
        else delete c.tools;
        s.touch(c);
      }} hint='[{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]' />
      <label class="check"><input type="checkbox" checked={s.choices.probabilities} onChange={(e) => s.choose({ probabilities: e.currentTarget.checked })} />{t("askTokens")}</label>
      {c.roots.length > 0 && (
        <div class="row">
          <button onClick={() => download(fileName(c) + ".json", "application/json", toJSON([c]))}>{t("exportJSON")}</button>
          <button onClick={() => download(fileName(c) + ".md", "text/markdown", toMarkdown(c))}>{t("exportMarkdown")}</button>
        </div>
      )}
    </aside>
  );
}

function Composer({ onEditLast }: { onEditLast: () => void }) {
  const s = useStore();
  const [text, set] = useState("");
  const busy = s.busy();
  const ready = s.state === "ready" && s.current.models.some((id) => s.able("chat").includes(id));
  const send = () => {
    if (!text.trim() || busy || !ready) return;
    const shown = path(s.current);
    s.say(text, shown[shown.length - 1]?.id ?? null);
    set("");
  };
  const keys = (e: KeyboardEvent) => {
    if (e.key === "Enter" && !e.shiftKey && !e.isComposing) {
      e.preventDefault();
      send();
    } else if (e.key === "ArrowUp" && text === "") {
      e.preventDefault();
      onEditLast();
    }
  };
  return (
    <div class="composer">
      <Area key={s.current.id} value={text} set={set} onKeyDown={keys} label={t("message")} placeholder={t("message")} focus={matchMedia("(hover: hover)").matches} />
      {busy ? <IconButton icon="stop" label={t("stop")} onClick={() => s.stop()} active /> : <IconButton icon="send" label={t("send")} onClick={send} disabled={!text.trim() || !ready} active />}
    </div>
  );
}

/** The shown conversation. It scrolls with what is written as long as its end is in sight. */
export function Chat({ settings, showSettings, menu }: { settings: boolean; showSettings: (on: boolean) => void; menu: () => void }) {
  const s = useStore();
  const c = s.current;
  const [editing, edit] = useState("");
  const scroller = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const shown = path(c);
  useEffect(() => {
    follows.current = true;
    edit("");
  }, [c.id]);
  useEffect(() => {
    const box = scroller.current!;
    if (follows.current) box.scrollTop = box.scrollHeight;
  });
  const scrolled = () => {
    const box = scroller.current!;
    follows.current = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  };
  const last = shown.findLast((turn) => turn.text !== undefined);
  const wide = shown.some((turn) => (turn.answers?.length ?? 0) > 1);
  return (
    <main class={"chat" + (settings ? " with-settings" : "")}>
      <div class="bar">
        <span class="only-narrow"><IconButton icon="menu" label={t("chats")} onClick={menu} /></span>
        <Models />
        <IconButton icon="settings" label={t("settings")} onClick={() => showSettings(!settings)} active={settings} />
      </div>
      <div class="scroll" ref={scroller} onScroll={scrolled}>
        <div class={"conversation" + (wide ? " wide" : "")} role="log" aria-live="off">
          {shown.length === 0 && <div class="hello"><h1>{t("hello")}</h1><p>{t("helloHint")}</p>{s.able("completions").filter((id) => !s.able("chat").includes(id)).map((id) => <p class="hint">{id} {t("noChat")}</p>)}</div>}
          {shown.map((turn) => (turn.answers ? <Answers key={turn.id} c={c} turn={turn} /> : <Said key={turn.id} c={c} turn={turn} editing={editing === turn.id} edit={(on) => edit(on ? turn.id : "")} />))}
        </div>
      </div>
      <Composer onEditLast={() => last && edit(last.id)} />
      {settings && <Settings key={c.id} close={() => showSettings(false)} />}
    </main>
  );
}
