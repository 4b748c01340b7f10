// The page: its tabs, what stands above them, and the keyboard.
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { apiKey, setApiKey } from "./api.ts";
import { Chat, readFile, Sidebar } from "./chat.tsx";
import { Classify } from "./classify.tsx";
import { Complete } from "./complete.tsx";
import { Embed } from "./embed.tsx";
import { t, type Word } from "./i18n.ts";
import { Images } from "./images.tsx";
import { Runs } from "./runs.tsx";
import { store } from "./store.ts";
import { path } from "./tree.ts";
import { Dialog, IconButton, useStore } from "./ui.tsx";

const tabs = ["chat", "complete", "classify", "embed", "images", "runs"] as const;
type Tab = (typeof tabs)[number];

const tabOf = (): Tab => tabs.find((name) => location.hash === "#" + name) ?? "chat";

const mac = /Mac|iPhone|iPad/.test(navigator.userAgent);
const alt = mac ? "⌥" : "Alt";
const shortcuts: [string, Word][] = [
  ["Enter", "kSend"], ["Shift Enter", "kLine"], ["Esc", "kStop"], ["↑", "kEdit"], [`${alt} N`, "kNew"], [`${alt} R`, "kAgain"], [`${alt} S`, "kSettings"], [`${alt} 1 … ${tabs.length}`, "kTabs"], ["?", "kHelp"],
];

function Shortcuts({ close }: { close: () => void }) {
  return (
    <Dialog title={t("shortcuts")} close={close}>
      <dl class="shortcuts">{shortcuts.map(([keys, word]) => <div><dt>{keys.split(" ").map((k) => (k === "…" ? k : <kbd>{k}</kbd>))}</dt><dd>{t(word)}</dd></div>)}</dl>
    </Dialog>
  );
}

function KeyAsked() {
  const [key, set] = useState("");
  const wrong = apiKey() !== "";
  const enter = (e: Event) => {
    e.preventDefault();
    setApiKey(key.trim());
    void store.connect();
  };
  return (
    <form class="key" onSubmit={enter}>
      <h1>{t("keyWanted")}</h1>
      <input type="password" autocomplete="off" aria-label={t("key")} placeholder={t("key")} value={key} onInput={(e) => set(e.currentTarget.value)} />
      <button class="primary">{t("enter")}</button>
      <p class={wrong ? "error" : "hint"}>{t(wrong ? "keyWrong" : "keyHint")}</p>
    </form>
  );
}

function Down() {
  return <div class="key"><h1>{t("unreachable")}</h1><button class="primary" onClick={() => void store.connect()}>{t("retry")}</button></div>;
}

/** Whether a key goes into a field and is no command. */
const typing = (e: KeyboardEvent): boolean => e.target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName);

function App() {
  const s = useStore();
  const [tab, setTab] = useState(tabOf());
  const [menu, showMenu] = useState(false);
  const [settings, showSettings] = useState(false);
  const [help, showHelp] = useState(false);
  const go = (to: Tab) => {
    location.hash = to;
  };
  useEffect(() => {
    const moved = () => setTab(tabOf());
    addEventListener("hashchange", moved);
    moved(); // the address may have changed before anybody listened
    return () => removeEventListener("hashchange", moved);
  }, []);
  useEffect(() => {
    const keys = (e: KeyboardEvent) => {
      const command = e.altKey && !e.ctrlKey && !e.metaKey ? e.code : "";
      const number = /^Digit([1-9])$/.exec(command);
      if (e.key === "Escape" && !document.querySelector("dialog[open]")) {
        if (menu) showMenu(false);
        else store.stop();
      } else if (command === "KeyN") {
        store.newChat();
        go("chat");
      } else if (command === "KeyS") {
        showSettings(!settings);
      } else if (command === "KeyR" && !store.busy()) {
        const said = path(store.current).findLast((turn) => turn.text !== undefined);
        if (said) store.answer(store.current, said, store.current.models);
      } else if (number && tabs[Number(number[1]) - 1]) {
        go(tabs[Number(number[1]) - 1]!);
      } else if (e.key === "?" && !typing(e)) {
        showHelp(true);
      } else {
        return;
      }
      if (command) e.preventDefault();
    };
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  }, [menu, settings]);
  useEffect(() => {
    const over = (e: DragEvent) => e.preventDefault();
    const drop = (e: DragEvent) => {
      e.preventDefault();
      const file = e.dataTransfer?.files[0];
      if (file && tabOf() !== "images") void readFile(file);
    };
    addEventListener("dragover", over);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", over);
      removeEventListener("drop", drop);
    };
  }, []);
  const { theme, language } = s.choices;
  const nextTheme = theme === "auto" ? "light" : theme === "light" ? "dark" : "auto";
  return (
    <div class="page">
      <header class="top">
        <a class="brand" href="#chat">Plinth</a>
        <nav class="tabs">{tabs.map((name) => <a href={"#" + name} aria-current={name === tab ? "page" : undefined}>{t(name)}</a>)}</nav>
        <span class="spring" />
        <button class="quiet" title={t("theme")} onClick={() => s.choose({ theme: nextTheme })}>{t(theme)}</button>
        <button class="quiet" lang={language === "zh" ? "en" : "zh"} onClick={() => s.choose({ language: language === "zh" ? "en" : "zh" })}>{language === "zh" ? "English" : "中文"}</button>
        <IconButton icon="help" label={t("shortcuts")} onClick={() => showHelp(true)} />
      </header>
      {s.state === "key" ? <KeyAsked /> : s.state === "down" ? <Down /> : s.state === "ready" && tab === "chat" && (
        <div class={"workspace" + (menu ? " menu-open" : "")}>
          <Sidebar close={() => showMenu(false)} />
          {menu && <div class="veil" onClick={() => showMenu(false)} />}
          <Chat settings={settings} showSettings={showSettings} menu={() => showMenu(!menu)} />
        </div>
      )}
      {s.state === "ready" && tab === "complete" && <Complete />}
      {s.state === "ready" && tab === "classify" && <Classify />}
      {s.state === "ready" && tab === "embed" && <Embed />}
      {s.state === "ready" && tab === "images" && <Images />}
      {s.state === "ready" && tab === "runs" && <Runs />}
      {s.notice && <div class="notice" role="status" onClick={() => { s.notice = ""; s.changed(); }}>{s.notice}</div>}
      {help && <Shortcuts close={() => showHelp(false)} />}
    </div>
  );
}

render(<App />, document.getElementById("app")!);
void store.open();
