// Training runs as they go on: curves, speed and samples, from the run directories that the server was given.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ask, ServerError } from "./api.ts";
import { Chart, type Line } from "./chart.tsx";
import { t } from "./i18n.ts";
import { store } from "./store.ts";
import { addLine, axisNumber, newRun, smooth, type Run } from "./series.ts";

interface Listed {
  name: string;
  bytes: number;
  modified: number;
}

interface Piece {
  from: number;
  next: number;
  check: string;
  more: boolean;
  lines: unknown[];
}

const period = 2000; // milliseconds between questions
const most = 8; // runs that are drawn together: as many as there are colours

/** Reads a run on from where it was read to. Says whether there was anything new. */
async function readOn(name: string, kept: Map<string, { run: Run; next: number; check: string }>, signal: AbortSignal): Promise<boolean> {
  let news = false;
  for (;;) {
    const known = kept.get(name);
    const where = known ? `?from=${known.next}&check=${known.check}` : "";
    const piece = (await (await ask(`runs/${encodeURIComponent(name)}/metrics${where}`, undefined, signal)).json()) as Piece;
    const run = known && piece.from > 0 ? known.run : newRun(name);
    for (const line of piece.lines) addLine(run, line);
    if (piece.lines.length || !known || piece.from === 0) {
      news = news || piece.next !== known?.next;
      kept.set(name, { run: { ...run }, next: piece.next, check: piece.check });
    }
    if (!piece.more) return news;
  }
}

/** Asks for the list of runs and for what is new of the chosen ones, as long as the page is seen. */
function useRuns(chosen: string[]): { list: Listed[] | undefined; enabled: boolean; runs: Run[]; error: string } {
  const [list, setList] = useState<Listed[]>();
  const [enabled, enable] = useState(true);
  const [error, setError] = useState("");
  const [, draw] = useState(0);
  const kept = useRef(new Map<string, { run: Run; next: number; check: string }>()).current;
  const etag = useRef("");
  useEffect(() => {
    const controller = new AbortController();
    let timer = 0;
    const look = async () => {
      try {
        if (!document.hidden) {
          const response = await ask("runs", undefined, controller.signal, etag.current ? { "If-None-Match": etag.current } : {});
          if (response.status !== 304) {
            etag.current = response.headers.get("ETag") ?? "";
            const answer = (await response.json()) as { enabled: boolean; data: Listed[] };
            enable(answer.enabled);
            setList(answer.data.sort((a, b) => b.modified - a.modified));
          }
          for (const name of chosen) if (await readOn(name, kept, controller.signal)) draw((n) => n + 1);
          setError("");
        }
      } catch (err) {
        if (controller.signal.aborted) return;
        if (err instanceof ServerError && err.status === 404) etag.current = "";
        setError(err instanceof Error ? err.message : String(err));
      }
      if (!controller.signal.aborted) timer = window.setTimeout(look, period);
    };
    void look();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [chosen.join("\n")]);
  return { list, enabled, runs: chosen.flatMap((name) => kept.get(name)?.run ?? []), error };
}

/** The charts there are, from the values that runs have. */
function chartsOf(runs: Run[], smoothing: number, colour: (name: string) => number): { title: string; lines: Line[] }[] {
  const terms = [...new Set(runs.flatMap((r) => [...r.series.keys()].filter((k) => k.startsWith("terms."))))];
  const groups: [string, string, string?][] = [["Loss", "loss", "val_loss"], ...terms.map((k): [string, string] => [k.slice(6), k]), ["Validation, bits per byte", "val_bits_per_byte"], [t("throughput"), "tokens_per_second"], [t("learningRate"), "lr"], [t("gradNorm"), "grad_norm"]];
  return groups.flatMap(([title, key, second]) => {
    const lines = runs.flatMap((r): Line[] => {
      const s = r.series.get(key);
      const v = second ? r.series.get(second) : undefined;
      const smoothed = key !== "lr" && key !== "val_bits_per_byte";
      return [
        ...(s ? [{ name: r.name, colour: colour(r.name), series: smoothed ? smooth(s, smoothing) : s, ...(smoothed && smoothing > 1 ? { raw: s } : {}) }] : []),
        ...(v ? [{ name: `${r.name} · ${t("validation")}`, colour: colour(r.name), series: v, dashed: true }] : []),
      ];
    });
    return lines.length ? [{ title, lines }] : [];
  });
}

function Samples({ run }: { run: Run }) {
  const [at, go] = useState<number>();
  if (run.samples.length === 0) return null;
  const i = Math.min(at ?? run.samples.length - 1, run.samples.length - 1);
  const sample = run.samples[i]!;
  return (
    <section class="sample">
      <header><b>{run.name}</b><span class="hint">{t("afterStep", sample.step)}</span></header>
      {run.samples.length > 1 && <input type="range" min={0} max={run.samples.length - 1} value={i} aria-label={t("samples")} onInput={(e) => go(e.currentTarget.valueAsNumber)} />}
      <pre>{sample.text}</pre>
    </section>
  );
}

export function Runs() {
  const [chosen, choose] = useState<string[]>([]);
  const [logX, setLogX] = useState(false);
  const [logY, setLogY] = useState(false);
  const [smoothing, setSmoothing] = useState(1);
  const { list, enabled, runs, error } = useRuns(chosen);
  useEffect(() => {
    const newest = list?.[0];
    if (newest) choose((chosen) => (chosen.length === 0 ? [newest.name] : chosen));
  }, [list]);
  // Of what is chosen by then: two clicks may come before the page is drawn anew.
  const toggle = (name: string) => choose((chosen) => (chosen.includes(name) ? chosen.filter((n) => n !== name) : [...chosen, name].slice(-most)));
  const slots = useRef<string[]>([]); // a run keeps its colour while it is chosen
  slots.current = slots.current.map((n) => (chosen.includes(n) ? n : ""));
  for (const name of chosen) {
    if (slots.current.includes(name)) continue;
    const free = slots.current.indexOf("");
    if (free >= 0) slots.current[free] = name;
    else slots.current.push(name);
  }
  const colour = (name: string) => slots.current.indexOf(name) % most;
  // readOn makes a new object of a run that it adds to, so that these are the ones drawn last unless there is news.
  const charts = useMemo(() => chartsOf(runs, smoothing, colour), [smoothing, store.choices.language, ...runs, ...Array<undefined>(most - runs.length)]);
  const now = Date.now();
  if (!enabled) return <main class="tab"><div class="empty"><h1>{t("runs")}</h1><p class="hint">{t("noRunsFlag")}</p><code>plinth serve --model … --runs runs</code></div></main>;
  return (
    <main class="tab runs">
      <aside>
        <h2>{t("runs")}</h2>
        {list?.length === 0 && <p class="hint">{t("noRuns")}</p>}
        <ul>
          {list?.map((r) => (
            <li key={r.name} class={chosen.includes(r.name) ? "c" + colour(r.name) : ""}>
              <label><input type="checkbox" checked={chosen.includes(r.name)} onChange={() => toggle(r.name)} /><i /><span>{r.name === "." ? t("thisFolder") : r.name}</span></label>
              {now - r.modified < 60_000 ? <b class="live">{t("live")}</b> : <time>{new Date(r.modified).toLocaleDateString()}</time>}
            </li>
          ))}
        </ul>
      </aside>
      <div class="charts">
        <div class="row controls">
          <label class="check"><input type="checkbox" checked={logX} onChange={(e) => setLogX(e.currentTarget.checked)} />{t("logX")}</label>
          <label class="check"><input type="checkbox" checked={logY} onChange={(e) => setLogY(e.currentTarget.checked)} />{t("logY")}</label>
          <label class="check">{t("smoothing")}<input type="range" min={0} max={7} value={Math.log2(smoothing)} onInput={(e) => setSmoothing(2 ** e.currentTarget.valueAsNumber)} /></label>
          <span class="spring" />
          {runs.map((r) => <span class="hint">{r.name}: {t("stepTokens", axisNumber(r.step), axisNumber(r.tokens))}</span>)}
        </div>
        {error && <p class="error" role="alert">{error}</p>}
        <div class="grid">{charts.map((c, i) => <Chart key={c.title} title={c.title} lines={c.lines} logX={logX} logY={logY} height={i === 0 ? 300 : 200} />)}</div>
        {runs.some((r) => r.samples.length > 0) && <h2>{t("samples")}</h2>}
        <div class="grid">{runs.map((r) => <Samples key={r.name} run={r} />)}</div>
      </div>
    </main>
  );
}
