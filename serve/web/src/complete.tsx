// A playground for continuing text, and for the probabilities of a text's own tokens.
import { complete, score, speed, type Written } from "./api.ts";
import { short, t } from "./i18n.ts";
import { Tokens } from "./tokens.tsx";
import type { Sampling, Token } from "./tree.ts";
import { Nothing, SamplingFields, useKept, useModel, useWork } from "./ui.tsx";

const top = 5; // alternatives of each token

/** The mean of -log2 p over the tokens that something stands before. */
function bits(tokens: Token[]): number {
  const known = tokens.map(([, lp]) => lp).filter((lp) => !Number.isNaN(lp));
  return known.length ? -known.reduce((a, b) => a + b, 0) / known.length / Math.LN2 : 0;
}

export function Complete() {
  const { id, select } = useModel("completions");
  const [prompt, setPrompt] = useKept("complete.prompt", "");
  const [sampling, setSampling] = useKept<Sampling>("complete.sampling", { max_tokens: 128 });
  const [written, setWritten] = useKept<Written | undefined>("complete.written", undefined);
  const [scored, setScored] = useKept<Token[] | undefined>("complete.scored", undefined);
  const { busy, error, start, stop } = useWork();
  if (!select) return <Nothing title={t("complete")} why={t("noWriter")} />;
  const hear = (w: Written) => setWritten({ ...w });
  const go = () => {
    if (busy) return;
    setScored(undefined);
    setWritten(undefined);
    start(async (signal) => hear(await complete(id, prompt, sampling, top, signal, hear)));
  };
  const rate = () => {
    setWritten(undefined);
    start(async (signal) => setScored(await score(id, prompt, top, signal)));
  };
  const take = () => {
    setPrompt(prompt + (written?.text ?? ""));
    setWritten(undefined);
  };
  const keys = (e: KeyboardEvent) => {
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) {
      e.preventDefault();
      go();
    }
  };
  const fast = written && speed(written.stats);
  const cost = scored && bits(scored);
  return (
    <main class="tab split">
      <div>
        <div class="row">{select}<span class="spring" />
          <button disabled={busy || !prompt} onClick={rate}>{t("score")}</button>
          {busy ? <button class="primary" onClick={stop}>{t("stop")}</button> : <button class="primary" onClick={go} title="Ctrl Enter">{t("go")}</button>}
        </div>
        <textarea class="prompt" rows={8} aria-label={t("prompt")} placeholder={t("prompt")} value={prompt} onInput={(e) => setPrompt(e.currentTarget.value)} onKeyDown={keys} spellcheck={false} />
        {error && <p class="error" role="alert">{error}</p>}
        {written && (
          <section class="output">
            <Tokens tokens={written.tokens} />
            <footer class="row">
              {!busy && written.text && <button class="quiet" onClick={take}>{t("take")}</button>}
              <span class="facts"><span>{t("tokensUsed", written.stats.completion)}</span>{fast !== undefined && <span>{t("perSecond", short(fast))}</span>}</span>
            </footer>
          </section>
        )}
        {scored && (
          <section class="output">
            <Tokens tokens={scored} />
            <footer class="row"><span class="facts"><span>{t("tokensUsed", scored.length)}</span><span>{t("scored", short(cost!), short(2 ** cost!))}</span></span></footer>
          </section>
        )}
      </div>
      <aside><h2>{t("sampling")}</h2><SamplingFields value={sampling} set={setSampling} /></aside>
    </main>
  );
}
