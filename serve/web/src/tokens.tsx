// Tokens coloured by their probability, with what else could have stood there on hover, focus or tap.
import { useState } from "preact/hooks";
import type { Token } from "./tree.ts";

/** The steps of colour: how sure the model was. */
export function shade(logprob: number): string {
  const p = Math.exp(logprob);
  return Number.isNaN(p) ? "" : p >= 0.9 ? "p5" : p >= 0.6 ? "p4" : p >= 0.3 ? "p3" : p >= 0.1 ? "p2" : p >= 0.01 ? "p1" : "p0";
}

export function percent(logprob: number): string {
  const p = 100 * Math.exp(logprob);
  return Number.isNaN(p) ? "–" : p >= 99.95 ? "100 %" : p >= 10 ? p.toFixed(1) + " %" : p >= 0.01 ? p.toFixed(2) + " %" : "< 0.01 %";
}

/** A token's text with what cannot be seen made visible. */
const visible = (text: string): string => text.replaceAll("\n", "⏎").replaceAll("\t", "⇥").replaceAll(" ", "␣") || "∅";

function Alternatives({ token }: { token: Token }) {
  const [text, logprob, top] = token;
  const rows = top.some(([other]) => other === text) ? top : [...top, [text, logprob] as [string, number]];
  return (
    <div class="alternatives" role="tooltip">
      {rows.map(([other, lp]) => (
        <div class={"alternative" + (other === text ? " taken" : "")}>
          <code>{visible(other)}</code>
          <meter min={0} max={1} value={Math.exp(lp) || 0} />
          <span>{percent(lp)}</span>
        </div>
      ))}
    </div>
  );
}

export function Tokens({ tokens }: { tokens: Token[] }) {
  const [at, show] = useState<{ i: number; x: number; y: number; below: boolean }>();
  const point = (e: Event, i: number) => {
    const box = (e.currentTarget as HTMLElement).getClientRects()[0];
    if (!box) return;
    const below = box.top < 230;
    show({ i, x: Math.max(8, Math.min(box.left, innerWidth - 268)), y: below ? box.bottom + 4 : innerHeight - box.top + 4, below });
  };
  const token = at && tokens[at.i];
  const place = at && (at.below ? { left: `${at.x}px`, top: `${at.y}px` } : { left: `${at.x}px`, bottom: `${at.y}px` });
  return (
    <div class="tokens" onMouseLeave={() => show(undefined)}>
      {tokens.map((token, i) => (
        <span class={"token " + shade(token[1])} tabIndex={0} onMouseEnter={(e) => point(e, i)} onFocus={(e) => point(e, i)} onBlur={() => show(undefined)} onClick={(e) => point(e, i)}>
          {token[0]}
        </span>
      ))}
      {token && <div class="popup" style={place!}><Alternatives token={token} /></div>}
    </div>
  );
}
