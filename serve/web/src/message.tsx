// One turn of a conversation: what the user said, or what models answered.
import { useState } from "preact/hooks";
import { speed } from "./api.ts";
import { short, t } from "./i18n.ts";
import { Code, Copy, Markdown } from "./render.tsx";
import { store } from "./store.ts";
import { Tokens } from "./tokens.tsx";
import { choose, version, type Answer, type Conversation, type Turn } from "./tree.ts";
import { Area, IconButton } from "./ui.tsx";

function Versions({ c, turn }: { c: Conversation; turn: Turn }) {
  const { at, of } = version(c, turn);
  if (of < 2) return null;
  const go = (to: number) => {
    choose(c, turn, to);
    store.touch(c);
  };
  return (
    <span class="versions">
      <IconButton icon="left" label={t("previous")} onClick={() => go(at - 1)} disabled={at === 0} />
      <span>{at + 1} / {of}</span>
      <IconButton icon="right" label={t("next")} onClick={() => go(at + 1)} disabled={at === of - 1} />
    </span>
  );
}

export function Said({ c, turn, editing, edit }: { c: Conversation; turn: Turn; editing: boolean; edit: (on: boolean) => void }) {
  return (
    <article class="said">
      {editing ? <Editor text={turn.text ?? ""} done={(text) => {
        edit(false);
        if (text !== undefined && text.trim()) store.say(text, turn.parent);
      }} /> : <div class="bubble">{turn.text}</div>}
      <footer>
        {!editing && <button class="quiet" onClick={() => edit(true)}>{t("edit")}</button>}
        {!editing && <Copy text={turn.text ?? ""} />}
        <Versions c={c} turn={turn} />
      </footer>
    </article>
  );
}

function Editor({ text, done }: { text: string; done: (text?: string) => void }) {
  const [value, set] = useState(text);
  const keys = (e: KeyboardEvent) => {
    if (e.key === "Escape") {
      e.stopPropagation();
      done();
    } else if (e.key === "Enter" && !e.shiftKey && !e.isComposing) {
      e.preventDefault();
      done(value);
    }
  };
  return (
    <div class="editor">
      <Area value={value} set={set} onKeyDown={keys} label={t("edit")} focus most={400} />
      <div class="row"><button onClick={() => done()}>{t("cancel")}</button><button class="primary" onClick={() => done(value)}>{t("save")}</button></div>
    </div>
  );
}

function Facts({ a }: { a: Answer }) {
  const s = a.stats;
  if (!s?.completion) return null;
  const rate = speed(s);
  return (
    <span class="facts">
      <span title={s.prompt === undefined ? "" : t("promptTokens", s.prompt)}>{t("tokensUsed", s.completion)}</span>
      {rate !== undefined && <span>{t("perSecond", short(rate))}</span>}
      <span>{t("firstToken", s.first < 1 ? `${Math.round(s.first * 1000)} ms` : `${short(s.first)} s`)}</span>
      {a.finish === "length" && <span>{t("cutLength")}</span>}
      {a.finish === "stopped" && <span>{t("stopped")}</span>}
    </span>
  );
}

/** JSON with its lines and indents; what is none stays as it is. */
function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}

function One({ c, turn, a, several }: { c: Conversation; turn: Turn; a: Answer; several: boolean }) {
  const [probabilities, show] = useState(false);
  const running = store.isRunning(a);
  const again = () => {
    const said = turn.parent === null ? undefined : c.turns[turn.parent];
    if (several && store.model(a.model)) store.answerAgain(c, turn, a);
    else if (said) store.answer(c, said, c.models);
  };
  return (
    <section class={"answer" + (running ? " running" : "")}>
      <header><span class="model">{a.model}</span>{running && <button class="quiet" onClick={() => store.stop(a)}>{t("stop")}</button>}</header>
      {probabilities ? (a.tokens?.length ? <Tokens tokens={a.tokens} /> : <p class="hint">{t("noTokens")}</p>) : a.text ? <Markdown text={a.text} /> : running && <p class="waiting" aria-label="…"><i /><i /><i /></p>}
      {a.calls?.map((call) => <Code key={call.id} lang="json" head={t("calls", call.name)} text={pretty(call.arguments)} />)}
      {a.error && <p class="error" role="alert">{a.error}</p>}
      <footer>
        {!several && <Versions c={c} turn={turn} />}
        {!running && <button class="quiet" onClick={again}>{t("again")}</button>}
        {a.text && <button class="quiet" aria-pressed={probabilities} onClick={() => show(!probabilities)}>{t(probabilities ? "text" : "tokens")}</button>}
        {a.text && <Copy text={a.text} />}
        <Facts a={a} />
      </footer>
    </section>
  );
}

export function Answers({ c, turn }: { c: Conversation; turn: Turn }) {
  const answers = turn.answers ?? [];
  const several = answers.length > 1;
  return (
    <article class={"answers" + (several ? " several" : "")}>
      <div class="columns">{answers.map((a) => <One key={a.model} c={c} turn={turn} a={a} several={several} />)}</div>
      {several && <footer><Versions c={c} turn={turn} /></footer>}
    </article>
  );
}
