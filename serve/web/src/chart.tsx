// A chart of series over steps, with the values under the pointer.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { axisNumber, nearest, thin, ticks, type Series } from "./series.ts";

export interface Line {
  name: string;
  colour: number; // of the run, 0 to 7
  dashed?: boolean;
  raw?: Series; // drawn faintly behind the smoothed one
  series: Series;
}

const left = 60;
const right = 18;
const top = 8;
const bottom = 22;

/** The least and the greatest of many numbers, on a logarithmic axis of the positive ones. */
function range(lists: number[][], log: boolean): [number, number] {
  let lo = Infinity;
  let hi = -Infinity;
  for (const list of lists) {
    for (const v of list) {
      if (log && v <= 0) continue;
      if (v < lo) lo = v;
      if (v > hi) hi = v;
    }
  }
  return lo <= hi ? [lo, hi] : [0, 1];
}

export function Chart({ title, lines, logX, logY, height = 240 }: { title: string; lines: Line[]; logX: boolean; logY: boolean; height?: number }) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(600);
  const [at, point] = useState<number>(); // the step under the pointer
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => entry && setWidth(Math.max(200, entry.contentRect.width)));
    watch.observe(box.current!);
    return () => watch.disconnect();
  }, []);

  const [x0, x1] = useMemo(() => range(lines.map((l) => l.series.x), logX), [lines, logX]);
  const [low, high] = useMemo(() => range(lines.map((l) => l.series.y), logY), [lines, logY]);
  const pad = logY ? 0 : (high - low || Math.abs(high) || 1) * 0.05;
  const [y0, y1] = logY ? [low / 1.05, high * 1.05] : [low - pad, high + pad];
  const scale = (lo: number, hi: number, log: boolean, from: number, to: number) => {
    const f = log ? Math.log : (v: number) => v;
    const span = f(hi) - f(lo) || 1;
    return { of: (v: number) => from + ((f(v) - f(lo)) / span) * (to - from), back: (p: number) => (log ? Math.exp : (v: number) => v)(f(lo) + ((p - from) / (to - from)) * span) };
  };
  const x = scale(x0, x1, logX, left, width - right);
  const y = scale(y0, y1, logY, height - bottom, top);
  const path = (s: Series) => {
    const p = thin(s, Math.ceil(width));
    let d = "";
    for (let i = 0; i < p.x.length; i++) {
      if ((logX && p.x[i]! <= 0) || (logY && p.y[i]! <= 0)) continue;
      d += `${d ? "L" : "M"}${x.of(p.x[i]!).toFixed(1)} ${y.of(p.y[i]!).toFixed(1)}`;
    }
    return d;
  };
  const drawn = useMemo(
    () => lines.map((l) => (
      <g class={"c" + l.colour}>
        {l.raw && <path class="faint" d={path(l.raw)} />}
        {l.series.x.length === 1 ? <circle cx={x.of(l.series.x[0]!)} cy={y.of(l.series.y[0]!)} r={3} /> : <path class={l.dashed ? "dashed" : ""} d={path(l.series)} />}
      </g>
    )),
    [lines, width, height, logX, logY],
  );
  const values = at === undefined ? [] : lines.flatMap((l) => {
    const i = nearest(l.series.x, at);
    return i < 0 ? [] : [{ line: l, step: l.series.x[i]!, value: l.series.y[i]! }];
  });
  const step = values[0] && values.reduce((best, v) => (Math.abs(v.step - at!) < Math.abs(best - at!) ? v.step : best), values[0].step);
  const move = (e: MouseEvent) => {
    const r = (e.currentTarget as Element).getBoundingClientRect();
    point(x.back(Math.max(left, Math.min(width - right, e.clientX - r.left))));
  };
  return (
    <figure class="chart" ref={box}>
      <figcaption>{title}</figcaption>
      <svg width={width} height={height} onMouseMove={move} onMouseLeave={() => point(undefined)} role="img" aria-label={title}>
        {ticks(y0, y1, logY).map((v) => <g class="tick"><path d={`M${left} ${y.of(v)}H${width - right}`} /><text x={left - 6} y={y.of(v) + 4} text-anchor="end">{axisNumber(v)}</text></g>)}
        {ticks(x0, x1, logX).map((v) => <text class="tick" x={x.of(v)} y={height - 5} text-anchor="middle">{axisNumber(v)}</text>)}
        {drawn}
        {step !== undefined && <path class="cross" d={`M${x.of(step)} ${top}V${height - bottom}`} />}
        {values.map((v) => <circle class={"dot c" + v.line.colour} cx={x.of(v.step)} cy={y.of(v.value)} r={3.5} />)}
      </svg>
      {step !== undefined && (
        <div class={"readout" + (x.of(step) > width / 2 ? " at-left" : "")}>
          <b>{step}</b>
          {values.map((v) => <div class={"c" + v.line.colour}><i class={v.line.dashed ? "dashed" : ""} /><span>{v.line.name}</span><b>{axisNumber(v.value)}</b></div>)}
        </div>
      )}
    </figure>
  );
}
