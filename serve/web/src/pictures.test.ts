import assert from "node:assert/strict";
import test from "node:test";
import { ServerError } from "./api.ts";
import { askFor, batches, gallery } from "./gallery.ts";

test("batches are few pictures and few bytes, and keep their order", () => {
  const list = [1, 2, 3_999_998, 1, 9_000_000, ...Array<number>(20).fill(1)].map((size) => ({ file: { size } }));
  const all = [...batches(list)];
  assert.deepEqual(all.flat(), list);
  assert.deepEqual(all.map((b) => b.length), [2, 2, 1, 8, 8, 4]);
  assert.deepEqual([...batches([])], []);
});

test("a picture that is refused is told so, and the others are asked for again", async () => {
  interface P { n: number; fault?: string }
  const list: P[] = [0, 1, 2, 3, 4].map((n) => ({ n }));
  const asked: number[][] = [];
  const got: [number, number][] = [];
  const send = async (some: P[]) => {
    asked.push(some.map((p) => p.n));
    if (some.length > 3) throw new ServerError("input: too much", 400, "input");
    const bad = some.findIndex((p) => p.n === 1 || p.n === 4);
    if (bad >= 0) throw new ServerError(`input[${bad}].image: no: picture`, 400, `input[${bad}].image`);
    return some.map((p) => 10 * p.n);
  };
  await askFor(list, send, (p, v) => got.push([p.n, v]));
  assert.deepEqual(asked, [[0, 1, 2, 3, 4], [0, 1], [0], [2, 3, 4], [2, 3]]);
  assert.deepEqual(got, [[0, 0], [2, 20], [3, 30]]);
  assert.deepEqual(list.map((p) => p.fault), [undefined, "no: picture", undefined, undefined, "no: picture"]);
  for (const err of [new ServerError("labels: no", 400, "labels"), new ServerError("busy", 429, "input"), new Error("gone")]) assert.equal(await askFor(list, () => Promise.reject(err), () => {}).catch((e: unknown) => e), err);
});

test("labels are named once, and what is no picture is left out", () => {
  gallery.set({ labels: " a, b，a ,, c " });
  assert.deepEqual(gallery.names(), ["a", "b", "c"]);
  gallery.add([new File(["x"], "a.PNG"), new File(["x"], "b.txt"), new File(["x"], "c", { type: "image/webp" })]);
  assert.deepEqual(gallery.pictures.map((p) => p.name), ["a.PNG", "c"]);
  assert.equal(gallery.skipped, 1);
  gallery.remove(gallery.pictures[0]!);
  assert.equal(gallery.pictures.length, 1);
  gallery.clear();
  assert.equal(gallery.pictures.length, 0);
});
