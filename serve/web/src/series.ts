// What the lines of a run's metrics say, as series to draw.

export interface Series {
  x: number[]; // steps, ascending
  y: number[];
}

export interface Run {
  name: string;
  series: Map<string, Series>; // by the name of the value; of a loss's terms "terms.NAME"
  samples: { step: number; text: string }[];
  notes: { step: number; text: string }[]; // rewinds and the like
  step: number;
  tokens: number;
}

export const newRun = (name: string): Run => ({ name, series: new Map(), samples: [], notes: [], step: 0, tokens: 0 });

const drawn = ["loss", "val_loss", "val_bits_per_byte", "tokens_per_second", "lr", "grad_norm"];

/** Adds a line of metrics.jsonl. A line that says less than it should adds what it says. */
export function addLine(run: Run, line: unknown): void {
  if (typeof line !== "object" || line === null) return;
  const l = line as Record<string, unknown>;
  const step = typeof l["step"] === "number" ? l["step"] : run.step;
  if (l["event"] === "rewind") {
    for (const s of run.series.values()) {
      let n = s.x.length;
      while (n > 0 && s.x[n - 1]! > step) n--;
      s.x.length = s.y.length = n;
    }
    run.samples = run.samples.filter((s) => s.step <= step);
    run.notes.push({ step, text: `${l["from"] ?? "?"} → ${step}` });
  }
  run.step = step;
  if (typeof l["tokens"] === "number") run.tokens = l["tokens"];
  const add = (name: string, v: unknown) => {
    if (typeof v !== "number" || !Number.isFinite(v)) return;
    let s = run.series.get(name);
    if (!s) run.series.set(name, (s = { x: [], y: [] }));
    s.x.push(step);
    s.y.push(v);
  };
  for (const name of drawn) add(name, l[name]);
  if (typeof l["terms"] === "object" && l["terms"] !== null) for (const [name, v] of Object.entries(l["terms"])) add("terms." + name, v);
  if (typeof l["sample"] === "string" && l["sample"]) run.samples.push({ step, text: l["sample"] });
}

/** An exponential average that counts n values, without the pull of the first towards zero. */
export function smooth(s: Series, n: number): Series {
  if (n <= 1) return s;
  const keep = 1 - 1 / n;
  let sum = 0;
  let weight = 0;
  return { x: s.x, y: s.y.map((v) => (sum = sum * keep + v) / (weight = weight * keep + 1)) };
}

/** At most about 2n points: of each stretch of the x axis its lowest and its highest. */
export function thin(s: Series, n: number): Series {
  if (s.x.length <= 2 * n) return s;
  const out: Series = { x: [], y: [] };
  const size = s.x.length / n;
  for (let i = 0; i < n; i++) {
    const from = Math.floor(i * size);
    const to = Math.floor((i + 1) * size);
    let lo = from;
    let hi = from;
    for (let j = from; j < to; j++) {
      if (s.y[j]! < s.y[lo]!) lo = j;
      if (s.y[j]! > s.y[hi]!) hi = j;
    }
    for (const j of lo === hi ? [lo] : lo < hi ? [lo, hi] : [hi, lo]) {
      out.x.push(s.x[j]!);
      out.y.push(s.y[j]!);
    }
  }
  return out;
}

/** The place of the value of xs, ascending, that is nearest to x; -1 of none. */
export function nearest(xs: number[], x: number): number {
  let lo = 0;
  let hi = xs.length - 1;
  while (hi - lo > 1) {
    const mid = (lo + hi) >> 1;
    if (xs[mid]! < x) lo = mid;
    else hi = mid;
  }
  return hi < 0 ? -1 : Math.abs(xs[lo]! - x) <= Math.abs(xs[hi]! - x) ? lo : hi;
}

/** Round numbers within an axis, some five of them; of a logarithmic one powers of ten, with 2 and 5 where there are few. */
export function ticks(lo: number, hi: number, log: boolean): number[] {
  if (!(hi > lo)) return [lo];
  if (log && lo > 0) {
    const out: number[] = [];
    const few = Math.log10(hi / lo) < 2.5;
    for (let e = Math.floor(Math.log10(lo)); e <= Math.ceil(Math.log10(hi)); e++) for (const m of few ? [1, 2, 5] : [1]) out.push(m * 10 ** e);
    const inside = out.filter((v) => v >= lo * 0.999 && v <= hi * 1.001);
    if (inside.length >= 2) return inside;
  }
  const raw = (hi - lo) / 4;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = unit * ([1, 2, 5, 10].find((m) => m * unit >= raw) ?? 10);
  const out: number[] = [];
  for (let i = Math.ceil(lo / step - 1e-9); i * step <= hi + step * 1e-9; i++) out.push(i * step + 0); // no -0
  return out;
}

/** A number as an axis shows it. */
export function axisNumber(v: number): string {
  const a = Math.abs(v);
  if (a === 0) return "0";
  if (a >= 1e9) return +(v / 1e9).toPrecision(3) + "G";
  if (a >= 1e6) return +(v / 1e6).toPrecision(3) + "M";
  if (a >= 1e4) return +(v / 1e3).toPrecision(3) + "k";
  if (a < 1e-3) return v.toExponential(Number.isInteger(+(v / 10 ** Math.floor(Math.log10(a))).toPrecision(3)) ? 0 : 1);
  return String(+v.toPrecision(4));
}
