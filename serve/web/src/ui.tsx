// Small pieces that every tab uses.
import type { ComponentChildren, VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Ability } from "./api.ts";
import { t } from "./i18n.ts";
import { store, type Store } from "./store.ts";
import type { Sampling } from "./tree.ts";

/** The store; the component is drawn again when it changes. */
export function useStore(): Store {
  const [, draw] = useState(0);
  useEffect(() => store.subscribe(() => draw((n) => n + 1)), []);
  return store;
}

/** An icon by its path in a square of 24. */
export function Icon({ d }: { d: string }) {
  return <svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d={d} /></svg>;
}

export const icons = {
  plus: "M12 5v14M5 12h14",
  menu: "M4 7h16M4 12h16M4 17h16",
  settings: "M4 8h9m5 0h2M4 16h2m5 0h9M15.5 5.5v5M8.5 13.5v5",
  send: "M12 19V5m-6 6 6-6 6 6",
  stop: "M7 7h10v10H7z",
  close: "M6 6l12 12M18 6 6 18",
  help: "M9 9a3 3 0 1 1 4.5 2.6c-1 .6-1.5 1-1.5 2.4m0 3v.5",
  pencil: "M5 19l1-4L16 5l3 3L9 18z",
  left: "M14 6l-6 6 6 6",
  right: "M10 6l6 6-6 6",
};

export function IconButton({ icon, label, onClick, disabled, active }: { icon: keyof typeof icons; label: string; onClick: () => void; disabled?: boolean; active?: boolean }) {
  return <button class={"icon-button" + (active ? " active" : "")} title={label} aria-label={label} onClick={onClick} disabled={disabled}><Icon d={icons[icon]} /></button>;
}

/** A box over the page; Escape and a click beside it close it. */
export function Dialog({ title, close, children }: { title: string; close: () => void; children: ComponentChildren }) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => ref.current?.showModal(), []);
  return (
    <dialog ref={ref} onClose={close} onClick={(e) => e.target === ref.current && close()} aria-label={title}>
      <header><h2>{title}</h2><IconButton icon="close" label={t("close")} onClick={close} /></header>
      {children}
    </dialog>
  );
}

/** A field for a number that may be left empty. */
export function NumberField({ label, value, set, min, max, step, hint }: { label: string; value: number | undefined; set: (v: number | undefined) => void; min: number; max: number; step: number; hint?: string }) {
  const change = (e: Event) => {
    const input = e.currentTarget as HTMLInputElement;
    const n = input.valueAsNumber;
    set(Number.isNaN(n) ? undefined : Math.max(min, Math.min(max, step >= 1 ? Math.round(n) : n)));
  };
  return (
    <label class="field">
      <span>{label}</span>
      <input type="number" inputMode="decimal" min={min} max={max} step={step} value={value ?? ""} placeholder={hint ?? t("byServer")} onChange={change} />
    </label>
  );
}

/** What keeps a text from being an object (or a list of objects), undefined: nothing. */
function fault(text: string, many: boolean): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (err) {
    return t("notJSON", err instanceof Error ? err.message : String(err));
  }
  const isObject = (v: unknown) => typeof v === "object" && v !== null && !Array.isArray(v);
  if (many) return Array.isArray(value) && value.every(isObject) ? undefined : t("notArray");
  return isObject(value) ? undefined : t("notObject");
}

/** A field for a JSON object, or a list of objects, that may be left empty. What is no such thing is kept in the field, with what is wrong below it, and the value stays. */
export function JSONField({ label, value, set, many = false, hint }: { label: string; value: object | undefined; set: (v: object | undefined) => void; many?: boolean; hint: string }) {
  const [draft, write] = useState<string>();
  const wrong = draft?.trim() ? fault(draft, many) : undefined;
  const change = (e: Event) => {
    const text = (e.currentTarget as HTMLTextAreaElement).value;
    write(text);
    if (!text.trim()) set(undefined);
    else if (!fault(text, many)) set(JSON.parse(text) as object);
  };
  return (
    <label class="field wide">
      <span>{label}</span>
      <textarea class="json" rows={3} spellcheck={false} placeholder={hint} value={draft ?? (value ? JSON.stringify(value, null, 1) : "")} onInput={change} onBlur={() => !wrong && write(undefined)} aria-invalid={wrong !== undefined} />
      {wrong && <span class="error" role="alert">{wrong}</span>}
    </label>
  );
}

/** The fields of sampling; what is left empty is the server's default. */
export function SamplingFields({ value, set }: { value: Sampling; set: (s: Sampling) => void }) {
  const put = (name: keyof Sampling) => (v: number | string[] | object | undefined) => {
    const next: Record<string, unknown> = { ...value, [name]: v };
    if (v === undefined) delete next[name];
    set(next as Sampling);
  };
  const stops = (e: Event) => {
    const lines = (e.currentTarget as HTMLTextAreaElement).value.split("\n").filter((line) => line !== "").slice(0, 16);
    put("stop")(lines.length ? lines : undefined);
  };
  return (
    <div class="fields">
      <NumberField label={t("temperature")} value={value.temperature} set={put("temperature")} min={0} max={2} step={0.1} />
      <NumberField label={t("topP")} value={value.top_p} set={put("top_p")} min={0} max={1} step={0.05} />
      <NumberField label={t("topK")} value={value.top_k} set={put("top_k")} min={0} max={100000} step={1} />
      <NumberField label={t("minP")} value={value.min_p} set={put("min_p")} min={0} max={1} step={0.01} />
      <NumberField label={t("maxTokens")} value={value.max_tokens} set={put("max_tokens")} min={1} max={10000000} step={1} />
      <NumberField label={t("seed")} value={value.seed} set={put("seed")} min={0} max={Number.MAX_SAFE_INTEGER} step={1} hint={t("random")} />
      <label class="field wide"><span>{t("stopTexts")}</span><textarea rows={2} value={(value.stop ?? []).join("\n")} onChange={stops} /></label>
      <JSONField label={t("schema")} value={value.schema} set={put("schema")} hint='{"type": "object", "properties": {"city": {"type": "string"}}}' />
    </div>
  );
}

/** A text area that grows with its text. */
export function Area({ value, set, onKeyDown, placeholder, label, focus, most = 220 }: { value: string; set: (v: string) => void; onKeyDown?: (e: KeyboardEvent) => void; placeholder?: string; label: string; focus?: boolean; most?: number }) {
  const ref = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    const area = ref.current!;
    area.style.height = "auto";
    area.style.height = `${Math.min(most, area.scrollHeight + 2)}px`;
  }, [value, most]);
  useEffect(() => {
    if (!focus) return;
    ref.current!.focus();
    ref.current!.setSelectionRange(value.length, value.length);
  }, []);
  return <textarea ref={ref} rows={1} value={value} aria-label={label} placeholder={placeholder ?? ""} onInput={(e) => set(e.currentTarget.value)} onKeyDown={onKeyDown} />;
}

const kept = new Map<string, unknown>();

/** State that is still there when a tab is come back to. */
export function useKept<T>(name: string, first: T): [T, (v: T) => void] {
  const [value, set] = useState<T>(kept.has(name) ? (kept.get(name) as T) : first);
  const keep = (v: T) => {
    kept.set(name, v);
    set(v);
  };
  return [value, keep];
}

/** A choice of one model among those that are able to do something. */
export function useModel(...able: Ability[]): { id: string; select: VNode | null } {
  const s = useStore();
  const ids = [...new Set(able.flatMap((a) => s.able(a)))];
  const [wanted, want] = useKept("model of " + able.join(), "");
  const id = ids.includes(wanted) ? wanted : (ids[0] ?? "");
  const select = ids.length ? <select aria-label={t("models")} value={id} onChange={(e) => want(e.currentTarget.value)}>{ids.map((i) => <option value={i}>{i}</option>)}</select> : null;
  return { id, select };
}

/** What a tab shows where the server has no model for it. */
export function Nothing({ title, why }: { title: string; why: string }) {
  return <main class="tab"><div class="empty"><h1>{title}</h1><p class="hint">{why}</p></div></main>;
}

/** A question to the server that is asked one at a time and can be stopped. */
export function useWork(): { busy: boolean; error: string; start: (run: (signal: AbortSignal) => Promise<void>) => void; stop: () => void } {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const controller = useRef<AbortController | undefined>(undefined);
  const start = (run: (signal: AbortSignal) => Promise<void>) => {
    controller.current?.abort();
    const mine = (controller.current = new AbortController());
    setBusy(true);
    setError("");
    run(mine.signal)
      .catch((err: unknown) => {
        if (!mine.signal.aborted) setError(err instanceof Error ? err.message : String(err));
      })
      .finally(() => controller.current === mine && setBusy(false));
  };
  useEffect(() => () => controller.current?.abort(), []);
  return { busy, error, start, stop: () => controller.current?.abort() };
}
