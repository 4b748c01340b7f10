// A playground for classification: texts in, a probability for each label out.
import { classify, type Classified } from "./api.ts";
import { t } from "./i18n.ts";
import { store } from "./store.ts";
import { Nothing, useKept, useModel, useWork } from "./ui.tsx";

const shown = 8; // labels of a text

export const lines = (text: string): string[] => text.split("\n").map((l) => l.trim()).filter((l) => l !== "");

export function Classify() {
  const { id, select } = useModel("classify");
  const [text, setText] = useKept("classify.text", "");
  const [own, setOwn] = useKept("classify.own", "");
  const [multi, setMulti] = useKept("classify.multi", false);
  const [found, setFound] = useKept<{ texts: string[]; data: Classified[] } | undefined>("classify.found", undefined);
  const { busy, error, start, stop } = useWork();
  if (!select) return <Nothing title={t("classify")} why={t("noClassifier")} />;
  const needsOwn = !store.model(id)?.labels?.length;
  const texts = lines(text);
  const labels = own.split(/[,，]/).map((l) => l.trim()).filter((l) => l !== "");
  const go = () => start(async (signal) => setFound({ texts, data: await classify(id, texts, labels.length ? { labels, multi_label: multi } : undefined, signal) }));
  return (
    <main class="tab">
      <div class="row">{select}<span class="spring" />
        {busy ? <button class="primary" onClick={stop}>{t("stop")}</button> : <button class="primary" disabled={texts.length === 0 || (needsOwn && labels.length < 2)} onClick={go}>{t("classify")}</button>}
      </div>
      <textarea rows={5} aria-label={t("texts")} placeholder={t("texts")} value={text} onInput={(e) => setText(e.currentTarget.value)} />
      <div class="row">
        <label class="field grow"><span>{t("ownLabels")} ({t(needsOwn ? "ownLabelsNeeded" : "ownLabelsHint")})</span><input value={own} onInput={(e) => setOwn(e.currentTarget.value)} /></label>
        {labels.length > 0 && <label class="check"><input type="checkbox" checked={multi} onChange={(e) => setMulti(e.currentTarget.checked)} />{t("multi")}</label>}
      </div>
      {error && <p class="error" role="alert">{error}</p>}
      {found?.data.map((d, i) => (
        <section class="card">
          <p class="quoted">{found.texts[i]}</p>
          {d.number !== undefined && <p><b>{d.number.toPrecision(5)}</b></p>}
          {d.labels?.slice(0, shown).map((l) => <div class={"bar-row" + (l.label === d.label ? " taken" : "")}><span>{l.label}</span><meter min={0} max={1} value={l.probability} /><b>{(100 * l.probability).toFixed(1)} %</b></div>)}
        </section>
      ))}
    </main>
  );
}
