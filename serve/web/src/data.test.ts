// Conversations, their files, streams and series of runs.
import assert from "node:assert/strict";
import test from "node:test";
import { EventSplitter } from "./api.ts";
import { fromJSON, toJSON, toMarkdown } from "./files.ts";
import { addLine, axisNumber, nearest, newRun, smooth, thin, ticks } from "./series.ts";
import * as tree from "./tree.ts";

/** A conversation with an edited message and an answer of two models. */
function sample(): tree.Conversation {
  const c = tree.newConversation(["a", "b"], "be brief", { temperature: 0.5, stop: ["x"], schema: { type: "object" } });
  c.tools = [{ type: "function", function: { name: "f" } }];
  c.title = "T";
  const first = tree.add(c, null, { text: "one" });
  const said = tree.add(c, first.id, { answers: [{ model: "a", text: "A1", tokens: [["A1", -0.1, [["A1", -0.1], ["B", -3]]]] }, { model: "b", text: "B1", calls: [{ id: "1", name: "f", arguments: "{}" }] }] });
  tree.add(c, said.id, { text: "two" });
  tree.add(c, said.id, { text: "two, edited" });
  return c;
}

const texts = (c: tree.Conversation) => tree.path(c).map((t) => t.text ?? t.answers!.map((a) => a.text).join("+"));

test("an edit is another version, and each model hears its own answers", () => {
  const c = sample();
  assert.deepEqual(texts(c), ["one", "A1+B1", "two, edited"]);
  const last = tree.path(c)[2]!;
  assert.deepEqual(tree.version(c, last), { at: 1, of: 2 });
  assert.deepEqual(tree.history(c, last, "b").map((m) => m.content), ["be brief", "one", "B1", "two, edited"]);
  assert.deepEqual(tree.history(c, last, "new").map((m) => m.content), ["be brief", "one", "A1", "two, edited"]);
  tree.choose(c, last, 0);
  assert.deepEqual(texts(c), ["one", "A1+B1", "two"]);
  tree.choose(c, last, 99);
  assert.deepEqual(texts(c), ["one", "A1+B1", "two, edited"]);
});

test("two tabs that went on with one conversation both keep all of it", () => {
  const a = sample();
  const b = structuredClone(a);
  const base = tree.fields(b);
  const leaf = tree.path(a)[2]!.id;
  tree.add(a, leaf, { answers: [{ model: "a", text: "written fur" }] });
  tree.merge(b, structuredClone(a), base);
  tree.path(a)[3]!.answers![0]!.text = "written further";
  tree.add(a, leaf, { answers: [{ model: "a", text: "of a" }] });
  tree.add(b, leaf, { answers: [{ model: "a", text: "of b" }] });
  a.title = "named by a";
  b.system = "system of b";
  b.title = "named by b";
  tree.merge(b, structuredClone(a), base);
  tree.merge(a, structuredClone(b), tree.fields(a));
  for (const [c, shown] of [[a, "of a"], [b, "of b"]] as const) {
    assert.deepEqual(c.turns[leaf]!.children.map((id) => c.turns[id]!.answers![0]!.text), ["written further", "of a", "of b"]);
    assert.equal(tree.path(c)[3]!.answers![0]!.text, shown);
    assert.deepEqual([c.title, c.system], ["named by b", "system of b"]);
  }
});

test("what was exported can be imported, with new ids", () => {
  const c = sample();
  const [back] = fromJSON(toJSON([c]));
  assert(back && back.id !== c.id);
  assert.deepEqual(texts(back), texts(c));
  assert.deepEqual(tree.fields(back), tree.fields(c));
  assert.deepEqual(tree.path(back)[1]!.answers, tree.path(c)[1]!.answers);
  assert.equal(toMarkdown(c), "# T\n\n**System**\n\nbe brief\n\n**User**\n\none\n\n**a**\n\nA1\n\n**b**\n\nB1\n\n```json\n{\"id\":\"1\",\"name\":\"f\",\"arguments\":\"{}\"}\n```\n\n**User**\n\ntwo, edited\n");
});

test("files that are none are refused", () => {
  for (const file of ["", "[]", "{}", '{"format":"x"}', '{"format":"plinth conversations 1","conversations":[7]}', '{"format":"plinth conversations 1","conversations":[{"roots":["a"]}]}']) assert.throws(() => fromJSON(file));
  const loop = { format: "plinth conversations 1", conversations: [{ roots: ["a"], turns: { a: { children: ["a"] } } }] };
  assert.throws(() => fromJSON(JSON.stringify(loop)), /there twice/);
  const odd = { format: "plinth conversations 1", conversations: [{ title: 7, roots: ["__proto__"], turns: {} }] };
  assert.throws(() => fromJSON(JSON.stringify(odd)), /missing/);
});

test("events cut anywhere are the same events", () => {
  const stream = "data: {\"a\":1}\n\n: note\n\nevent: x\ndata: two\r\n\r\ndata: [DONE]\n\n";
  for (let n = 1; n < stream.length; n++) {
    const s = new EventSplitter();
    const got: string[] = [];
    for (let i = 0; i < stream.length; i += n) got.push(...s.push(stream.slice(i, i + n)));
    assert.deepEqual(got, ['{"a":1}', "two", "[DONE]"]);
  }
});

test("a rewind takes back what came after it", () => {
  const run = newRun("r");
  for (const line of [{ step: 1, loss: 4, tokens: 10, terms: { mlm: 3 } }, { step: 2, loss: 3, sample: "x" }, { step: 3, loss: 9, sample: "y" }, { event: "rewind", step: 2, from: 3 }, { step: 3, loss: 2.5 }, { step: 4, loss: "bad", lr: Number.NaN }, null, 7]) addLine(run, line);
  assert.deepEqual(run.series.get("loss"), { x: [1, 2, 3], y: [4, 3, 2.5] });
  assert.deepEqual(run.series.get("terms.mlm"), { x: [1], y: [3] });
  assert.deepEqual(run.samples, [{ step: 2, text: "x" }]);
  assert.equal(run.tokens, 10);
});

test("curves keep their extremes when they are thinned, and smoothing keeps a constant", () => {
  const s = { x: Array.from({ length: 10_000 }, (_, i) => i), y: Array.from({ length: 10_000 }, (_, i) => (i === 777 ? 50 : i === 5001 ? -50 : Math.sin(i))) };
  const t = thin(s, 100);
  assert(t.x.length <= 200 && Math.max(...t.y) === 50 && Math.min(...t.y) === -50);
  assert(t.x.every((x, i) => i === 0 || x > t.x[i - 1]!));
  assert(smooth({ x: [1, 2, 3], y: [5, 5, 5] }, 8).y.every((v) => Math.abs(v - 5) < 1e-12));
  assert.equal(nearest([1, 5, 9], 6), 1);
  assert.equal(nearest([], 6), -1);
});

test("ticks are round and within", () => {
  assert.deepEqual(ticks(0, 10, false), [0, 5, 10]);
  assert.deepEqual(ticks(1, 1000, true), [1, 10, 100, 1000]);
  assert.deepEqual(ticks(2, 6, true), [2, 5]);
  assert.deepEqual([0, 12345, 1.5e6, 0.0003, 3.14159].map(axisNumber), ["0", "12.3k", "1.5M", "3e-4", "3.142"]);
});
