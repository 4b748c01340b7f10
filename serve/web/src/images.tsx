// A playground for models that see: which of some labels pictures have, and search among them by words.
import { useEffect, useRef, useState } from "preact/hooks";
import { cosine } from "./embed.tsx";
import { filesOf, gallery, mostOfOne, type Picture } from "./gallery.ts";
import { t } from "./i18n.ts";
import { store } from "./store.ts";
import { IconButton, Nothing, useModel, useWork } from "./ui.tsx";

const shownLabels = 6; // of a picture
const shownFound = 200; // pictures of a search

/** A picture in small, drawn when it comes into sight. It needs no address of its own, so the page's policy stays as narrow as it is. */
function Thumb({ picture, size }: { picture: Picture; size: number }) {
  const ref = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const canvas = ref.current!;
    let gone = false;
    const draw = async () => {
      const whole = await createImageBitmap(picture.file).catch(() => undefined); // the browser may not know what the server knows
      if (!whole || gone) return whole?.close();
      const scale = Math.min(1, (size * devicePixelRatio) / Math.max(whole.width, whole.height));
      canvas.width = Math.max(1, Math.round(whole.width * scale));
      canvas.height = Math.max(1, Math.round(whole.height * scale));
      canvas.getContext("2d")?.drawImage(whole, 0, 0, canvas.width, canvas.height);
      whole.close();
      canvas.dataset["drawn"] = "";
    };
    const seen = new IntersectionObserver((entries) => {
      if (!entries.some((e) => e.isIntersecting)) return;
      seen.disconnect();
      void draw();
    });
    seen.observe(canvas);
    return () => {
      gone = true;
      seen.disconnect();
    };
  }, [picture]);
  return <canvas ref={ref} class="thumb" width={size} height={size} role="img" aria-label={picture.name} />;
}

function Labelled({ picture }: { picture: Picture }) {
  return (
    <section class="card labelled">
      <Thumb picture={picture} size={160} />
      <div>
        <div class="row"><span class="quoted grow">{picture.name}</span><IconButton icon="close" label={t("removePicture")} onClick={() => gallery.remove(picture)} /></div>
        {picture.fault && <p class="error" role="alert">{picture.fault}</p>}
        {picture.said?.slice(0, shownLabels).map((l, i) => <div class={"bar-row" + (i === 0 ? " taken" : "")}><span>{l.label}</span><meter min={0} max={1} value={l.probability} /><b>{(100 * l.probability).toFixed(1)} %</b></div>)}
      </div>
    </section>
  );
}

/** The pictures in the order of a search; those without a vector, or all where nothing was searched for, as they came. */
function ranked(model: string): { picture: Picture; score?: number }[] {
  const sought = gallery.sought?.model === model ? gallery.sought.vector : undefined;
  if (!sought) return gallery.pictures.map((picture) => ({ picture }));
  const scored = gallery.pictures.flatMap((picture) => {
    const vector = picture.vectors.get(model);
    return vector ? [{ picture, score: cosine(sought, vector) }] : [];
  });
  return scored.sort((a, b) => b.score - a.score);
}

function Found({ model }: { model: string }) {
  const list = ranked(model);
  return (
    <div class="found">
      {list.slice(0, shownFound).map(({ picture, score }) => (
        <figure key={picture.id} class={picture.fault ? "faulty" : ""} title={picture.fault ?? picture.name}>
          <Thumb picture={picture} size={200} />
          <figcaption><span>{picture.name.split("/").at(-1)}</span>{score !== undefined && <b>{score.toFixed(3)}</b>}</figcaption>
        </figure>
      ))}
      {list.length > shownFound && <p class="hint">{t("andMore", list.length - shownFound)}</p>}
    </div>
  );
}

export function Images() {
  const { id, select } = useModel("image_classify", "image_embeddings");
  const [, draw] = useState(0);
  const [over, setOver] = useState(false);
  const { busy, error, start, stop } = useWork();
  const able = (a: "image_classify" | "image_embeddings") => store.able(a).includes(id);
  const modeOf = () => (!able("image_embeddings") ? "label" : !able("image_classify") ? "search" : gallery.mode);
  const tooLarge = (bytes: number) => t("tooLarge", (bytes / 1e6).toFixed(1), (mostOfOne / 1e6).toFixed(0));
  const go = () => start(async (signal) => {
    if (modeOf() === "label") return gallery.classify(id, tooLarge, signal);
    if (gallery.query.trim()) await gallery.search(id, signal);
    return gallery.embed(id, tooLarge, signal);
  });
  const take = (files: File[]) => {
    gallery.add(files);
    if (modeOf() === "search" && gallery.pictures.length) go();
  };
  useEffect(() => gallery.subscribe(() => draw((n) => n + 1)), []);
  useEffect(() => {
    if (!id) return;
    const pasted = (e: ClipboardEvent) => {
      if (e.clipboardData?.files.length) take([...e.clipboardData.files]);
    };
    const dropped = (e: DragEvent) => {
      setOver(false);
      if (e.dataTransfer) void filesOf(e.dataTransfer).then(take);
    };
    const dragged = (e: DragEvent) => setOver(e.type === "dragover");
    addEventListener("paste", pasted);
    addEventListener("drop", dropped);
    addEventListener("dragover", dragged);
    addEventListener("dragleave", dragged);
    return () => {
      removeEventListener("paste", pasted);
      removeEventListener("drop", dropped);
      removeEventListener("dragover", dragged);
      removeEventListener("dragleave", dragged);
    };
  }, [id]);
  if (!select) return <Nothing title={t("images")} why={t("noSeer")} />;
  const mode = modeOf();
  const { pictures } = gallery;
  const done = mode === "label" ? pictures.filter((p) => p.said || p.fault).length : pictures.filter((p) => p.vectors.has(id) || p.fault).length;
  const ready = mode === "label" ? pictures.length > 0 && gallery.names().length > 1 : gallery.query.trim() !== "" && pictures.length > 0;
  const keys = (e: KeyboardEvent) => {
    if (e.key === "Enter" && !e.isComposing && gallery.pictures.length && (modeOf() === "search" || gallery.names().length > 1)) go();
  };
  const chosen = (e: Event) => {
    const input = e.currentTarget as HTMLInputElement;
    take([...(input.files ?? [])]);
    input.value = "";
  };
  const faults = mode === "search" ? pictures.filter((p) => p.fault) : [];
  return (
    <main class="tab">
      <div class="row">{select}
        {able("image_classify") && able("image_embeddings") && (
          <span class="switch">{(["label", "search"] as const).map((m) => <button aria-pressed={mode === m} onClick={() => gallery.set({ mode: m })}>{t(m === "label" ? "labelPictures" : "searchPictures")}</button>)}</span>
        )}
        <span class="spring" />
        {busy ? <button class="primary" onClick={stop}>{t("stop")}</button> : <button class="primary" disabled={!ready} onClick={go}>{t(mode === "label" ? "classify" : "find")}</button>}
      </div>
      <div class={"drop" + (over ? " over" : "")}>
        <p>{t("dropPictures")}</p>
        <div class="row">
          <label class="button"><input type="file" multiple accept="image/png,image/jpeg,image/gif,image/webp" onChange={chosen} />{t("choosePictures")}</label>
          <label class="button"><input type="file" multiple ref={(e) => e?.setAttribute("webkitdirectory", "")} onChange={chosen} />{t("chooseFolder")}</label>
          {pictures.length > 0 && <button class="quiet" onClick={() => gallery.clear()}>{t("clearPictures")}</button>}
        </div>
        <p class="hint" role="status">{pictures.length > 0 && t("picturesHere", pictures.length)} {gallery.skipped > 0 && t("noPictures", gallery.skipped)}</p>
      </div>
      {mode === "label" ? (
        <div class="row">
          <label class="field grow"><span>{t("ownLabels")}</span><input value={gallery.labels} placeholder={t("labelsExample")} onInput={(e) => gallery.set({ labels: e.currentTarget.value })} onKeyDown={keys} /></label>
          <label class="field grow"><span>{t("pictureTemplate")}</span><input value={gallery.template} placeholder="a photo of a {}." onInput={(e) => gallery.set({ template: e.currentTarget.value })} onKeyDown={keys} /></label>
        </div>
      ) : <input aria-label={t("words")} placeholder={t("words")} value={gallery.query} onInput={(e) => gallery.set({ query: e.currentTarget.value })} onKeyDown={keys} />}
      {busy && <div class="row"><progress class="grow" max={pictures.length} value={done} aria-label={t("progress")} /><span class="hint">{t("ofAll", done, pictures.length)}</span></div>}
      {error && <p class="error" role="alert">{error}</p>}
      {faults.length > 0 && <div class="error" role="alert">{faults.slice(0, 5).map((p) => <p>{p.name}: {p.fault}</p>)}{faults.length > 5 && <p>{t("andMore", faults.length - 5)}</p>}</div>}
      {mode === "label" ? pictures.map((p) => <Labelled key={p.id} picture={p} />) : <Found model={id} />}
    </main>
  );
}
