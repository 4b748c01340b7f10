// The pictures of the tab Images, and what the server says of them. They stay in the browser: the server gets them one batch at a time and keeps nothing.
import { classifyImages, embed, embedImages, ServerError, type Classified } from "./api.ts";

export interface Picture {
  id: number;
  file: File;
  name: string;
  said?: NonNullable<Classified["labels"]> | undefined; // of the labels that were asked for last
  vectors: Map<string, number[]>; // by model
  fault?: string; // why the server does not take it
}

// Bounds of a request; the server's are a little wider.
const mostPictures = 8;
const mostBytes = 4_000_000;
export const mostOfOne = 6_000_000; // bytes of a file, which are a third more in a request

const kinds = /\.(png|jpe?g|gif|webp)$/i;

/** Divides pictures into batches for a request each. */
export function* batches<T extends { file: { size: number } }>(list: T[]): Generator<T[]> {
  let batch: T[] = [];
  let bytes = 0;
  for (const p of list) {
    if (batch.length && (batch.length === mostPictures || bytes + p.file.size > mostBytes)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(p);
    bytes += p.file.size;
  }
  if (batch.length) yield batch;
}

function dataURL(file: File): Promise<string> {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(String(reader.result));
    reader.onerror = () => failed(reader.error ?? new Error(file.name));
    reader.readAsDataURL(file);
  });
}

/** Asks for a batch. A picture that the server refuses is told so and left out; a batch that is too much is halved. */
export async function askFor<P extends { fault?: string }, T>(batch: P[], send: (batch: P[]) => Promise<T[]>, take: (p: P, answer: T) => void): Promise<void> {
  if (!batch.length) return;
  let answers: T[];
  try {
    answers = await send(batch);
  } catch (err) {
    const at = err instanceof ServerError && err.status === 400 ? /^input(?:\[(\d+)\])?/.exec(err.param) : null;
    if (!(err instanceof ServerError) || !at) throw err;
    if (at[1] === undefined && batch.length > 1) {
      const half = batch.length >> 1;
      await askFor(batch.slice(0, half), send, take);
      return askFor(batch.slice(half), send, take);
    }
    const bad = batch[Number(at[1] ?? 0)];
    if (!bad) throw err;
    bad.fault = err.message.slice(err.message.indexOf(": ") + 2);
    return askFor(batch.filter((p) => p !== bad), send, take);
  }
  batch.forEach((p, i) => take(p, answers[i]!));
}

/** The files of what was dropped, folders included. */
export async function filesOf(transfer: DataTransfer): Promise<File[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter((e) => !!e); // before anything is waited for: then they are gone
  if (!entries.length) return [...transfer.files];
  const files: File[] = [];
  const walk = async (entry: FileSystemEntry): Promise<void> => {
    if (entry.isFile) files.push(await new Promise<File>((done, failed) => (entry as FileSystemFileEntry).file(done, failed)));
    if (!entry.isDirectory) return;
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    for (;;) {
      const some = await new Promise<FileSystemEntry[]>((done, failed) => reader.readEntries(done, failed)); // a hundred at a time
      if (!some.length) return;
      for (const e of some) await walk(e);
    }
  };
  for (const e of entries) await walk(e);
  return files;
}

export type Mode = "label" | "search";

class Gallery {
  pictures: Picture[] = [];
  mode: Mode = "label";
  labels = "";
  template = "";
  query = "";
  skipped = 0; // files that are no pictures, of those added last
  sought: { model: string; vector: number[] } | undefined; // what the pictures are ranked by
  private next = 0;
  private readonly listeners = new Set<() => void>();

  subscribe(f: () => void): () => void {
    this.listeners.add(f);
    return () => this.listeners.delete(f);
  }

  changed(): void {
    for (const f of this.listeners) f();
  }

  /** Sets fields, at once: who reads them next need not wait until they are drawn. */
  set(fields: Partial<Pick<Gallery, "mode" | "labels" | "template" | "query">>): void {
    Object.assign(this, fields);
    this.changed();
  }

  add(files: File[]): void {
    const pictures = files.filter((f) => f.type.startsWith("image/") || kinds.test(f.name));
    this.skipped = files.length - pictures.length;
    for (const file of pictures) this.pictures.push({ id: this.next++, file, name: file.webkitRelativePath || file.name, vectors: new Map() });
    this.changed();
  }

  remove(p: Picture): void {
    this.pictures = this.pictures.filter((o) => o !== p);
    this.changed();
  }

  clear(): void {
    this.pictures = [];
    this.skipped = 0;
    this.sought = undefined;
    this.changed();
  }

  names(): string[] {
    return [...new Set(this.labels.split(/[,，]/).map((l) => l.trim()).filter((l) => l !== ""))];
  }

  /** Asks which label each picture has. */
  async classify(model: string, tooLarge: (bytes: number) => string, signal: AbortSignal): Promise<void> {
    const names = this.names();
    const template = this.template.trim();
    for (const p of this.pictures) p.said = undefined;
    await this.work(this.pictures, tooLarge, signal, (images) => classifyImages(model, images, names, template, signal), (p, c) => {
      p.said = c.labels ?? [];
    });
  }

  /** Has vectors made of the pictures that have none by the model. */
  async embed(model: string, tooLarge: (bytes: number) => string, signal: AbortSignal): Promise<void> {
    await this.work(this.pictures.filter((p) => !p.vectors.has(model)), tooLarge, signal, (images) => embedImages(model, images, signal), (p, v) => p.vectors.set(model, v));
  }

  /** Ranks the pictures by words. */
  async search(model: string, signal: AbortSignal): Promise<void> {
    const [vector] = await embed(model, [this.query.trim()], "query", signal);
    this.sought = { model, vector: vector! };
    this.changed();
  }

  private async work<T>(list: Picture[], tooLarge: (bytes: number) => string, signal: AbortSignal, send: (images: string[]) => Promise<T[]>, take: (p: Picture, answer: T) => void): Promise<void> {
    for (const p of list) {
      delete p.fault;
      if (p.file.size > mostOfOne) p.fault = tooLarge(p.file.size);
    }
    this.changed();
    for (const batch of batches(list.filter((p) => !p.fault))) {
      await askFor(batch, async (some) => send(await Promise.all(some.map((p) => dataURL(p.file)))), take);
      signal.throwIfAborted();
      this.changed();
    }
  }
}

export const gallery = new Gallery();
