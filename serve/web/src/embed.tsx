// A playground for vectors of texts: search by meaning, and how alike texts are.
import { embed, rerank } from "./api.ts";
import { lines } from "./classify.tsx";
import { download } from "./files.ts";
import { t } from "./i18n.ts";
import { store } from "./store.ts";
import { Nothing, useKept, useModel, useWork } from "./ui.tsx";

interface Found {
  texts: string[];
  vectors: number[][]; // of the texts; none by a model that only ranks
  scores?: number[] | undefined; // of the texts for a query
}

export function cosine(a: number[], b: number[]): number {
  let ab = 0;
  let aa = 0;
  let bb = 0;
  a.forEach((v, i) => {
    ab += v * b[i]!;
    aa += v * v;
    bb += b[i]! * b[i]!;
  });
  return ab / Math.sqrt(aa * bb || 1);
}

const tableOf = 24; // texts whose pairs are shown

export function Embed() {
  const { id, select } = useModel("embeddings", "rerank");
  const [query, setQuery] = useKept("embed.query", "");
  const [text, setText] = useKept("embed.text", "");
  const [found, setFound] = useKept<Found | undefined>("embed.found", undefined);
  const { busy, error, start, stop } = useWork();
  if (!select) return <Nothing title={t("embed")} why={t("noEmbedder")} />;
  const embeds = store.able("embeddings").includes(id);
  const texts = lines(text);
  const go = () => start(async (signal) => {
    if (!embeds) return setFound({ texts, vectors: [], scores: await rerank(id, query, texts, signal) });
    const vectors = await embed(id, texts, "document", signal);
    const [q] = query.trim() ? await embed(id, [query], "query", signal) : [];
    setFound({ texts, vectors, scores: q && vectors.map((v) => cosine(q, v)) });
  });
  const keys = (e: KeyboardEvent) => e.key === "Enter" && !e.isComposing && texts.length > 0 && go();
  const ranked = found?.scores?.map((score, i) => ({ score, text: found.texts[i]! })).sort((a, b) => b.score - a.score);
  const highest = ranked ? Math.max(1e-9, ...ranked.map((r) => r.score)) : 1;
  const few = found?.vectors.slice(0, tableOf) ?? [];
  return (
    <main class="tab">
      <div class="row">{select}<input class="grow" aria-label={t("query")} placeholder={t("query")} value={query} onInput={(e) => setQuery(e.currentTarget.value)} onKeyDown={keys} />
        {busy ? <button class="primary" onClick={stop}>{t("stop")}</button> : <button class="primary" disabled={texts.length === 0 || (!embeds && !query.trim())} onClick={go}>{t(query.trim() ? "find" : "embed")}</button>}
      </div>
      <textarea rows={8} aria-label={t("documents")} placeholder={t("documents")} value={text} onInput={(e) => setText(e.currentTarget.value)} />
      {error && <p class="error" role="alert">{error}</p>}
      {ranked && <section class="card">{ranked.map((r) => <div class="bar-row wide"><span>{r.text}</span><meter min={0} max={Math.max(1, highest)} value={Math.max(0, r.score)} /><b>{r.score.toFixed(3)}</b></div>)}</section>}
      {found && found.vectors.length > 0 && (
        <section>
          <div class="row"><span class="hint">{t("vectors", found.vectors.length, found.vectors[0]!.length)}</span><button class="quiet" onClick={() => download("vectors.json", "application/json", JSON.stringify(found.texts.map((text, i) => ({ text, embedding: found.vectors[i] }))))}>{t("exportVectors")}</button></div>
          {few.length > 1 && <>
            <h2>{t("similarity")} <span class="hint">({t("cosine")})</span></h2>
            <div class="table"><table class="pairs">{few.map((a, i) => <tr><th title={found.texts[i]}>{found.texts[i]}</th>{few.map((b, j) => {
              const c = cosine(a, b);
              return <td class={"p" + Math.max(0, Math.min(5, Math.floor(c * 6)))} title={`${found.texts[i]} / ${found.texts[j]}`}>{c.toFixed(2)}</td>;
            })}</tr>)}</table></div>
          </>}
        </section>
      )}
    </main>
  );
}
