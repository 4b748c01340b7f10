// Drives a server with OpenAI's client for Node, whose index.mjs is the argument. Standard input: {"base": URL, "key": KEY}; standard output: the names of
// the checks that passed.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { default: OpenAI } = await import(pathToFileURL(process.argv[2]).href);
const job = JSON.parse(readFileSync(0, "utf8"));
const client = new OpenAI({ baseURL: job.base, apiKey: job.key, maxRetries: 0 });
const plain = "Hello there, my friend. How are you today?";
const hi = [{ role: "user", content: "hi" }];
const weather = { type: "function", function: { name: "get_weather", parameters: { type: "object", properties: { city: { type: "string" } } } } };
const chat = (more) => client.chat.completions.create({ model: "taught", messages: hi, ...more });

const checks = {
  async models() {
    const ids = [];
    for await (const m of client.models.list()) ids.push(m.id);
    assert(ids.includes("taught") && ids.includes("tiny"), ids.join());
    assert.equal((await client.models.retrieve("tiny")).object, "model");
  },
  async chatWhole() {
    const r = await chat({ temperature: 0, seed: 1 });
    assert.equal(r.choices[0].message.content, plain);
    assert.equal(r.choices[0].finish_reason, "stop");
    assert.equal(r.usage.completion_tokens, 6);
  },
  async chatStreamed() {
    let text = "", usage;
    for await (const p of await chat({ stream: true, stream_options: { include_usage: true } })) {
      text += p.choices[0]?.delta?.content ?? "";
      usage = p.usage ?? usage;
    }
    assert.equal(text, plain);
    assert.equal(usage.completion_tokens, 6);
  },
  async chatStreamHelper() {
    const s = client.chat.completions.stream({ model: "taught", messages: hi });
    assert.equal(await s.finalContent(), plain);
  },
  async choicesAndSeeds() {
    const texts = async (seed) => (await chat({ model: "tiny", n: 3, seed, max_completion_tokens: 8 })).choices.map((c) => c.message.content);
    const [a, b, c] = [await texts(5), await texts(5), await texts(6)];
    assert.deepEqual(a, b);
    assert.notDeepEqual(a, c);
  },
  async stops() {
    const c = (await chat({ stop: ["my"], temperature: 0 })).choices[0];
    assert.equal(c.message.content, "Hello there, ");
  },
  async logprobs() {
    const l = (await chat({ logprobs: true, top_logprobs: 2 })).choices[0].logprobs.content;
    assert.equal(l.map((t) => t.token).join(""), plain);
  },
  async strictTools() {
    const parameters = { type: "object", properties: { city: { enum: ["Rome", "Paris"] } }, required: ["city"], additionalProperties: false };
    const of = async (strict) => {
      const r = await chat({ messages: [{ role: "user", content: "seven" }], temperature: 0, tools: [{ type: "function", function: { name: "get_weather", parameters, strict } }] });
      return JSON.parse(r.choices[0].message.tool_calls[0].function.arguments).city;
    };
    assert.equal(await of(false), 7);
    assert(["Rome", "Paris"].includes(await of(true)));
    const format = { type: "json_schema", name: "x", schema: parameters, strict: true };
    const r = await client.responses.create({ model: "taught", input: "hi", temperature: 0, text: { format } });
    assert(["Rome", "Paris"].includes(JSON.parse(r.output_text).city));
  },
  async tools() {
    const r = await chat({ tools: [weather] });
    const call = r.choices[0].message.tool_calls[0];
    assert.deepEqual([call.function.name, JSON.parse(call.function.arguments)], ["get_weather", { city: "Rome" }]);
    const after = await chat({ tools: [weather], messages: [...hi, r.choices[0].message, { role: "tool", tool_call_id: call.id, content: "sunny" }] });
    assert.equal(after.choices[0].message.content, "It is sunny in Rome.");
    const s = client.chat.completions.stream({ model: "taught", messages: [{ role: "user", content: "both" }], tools: [weather] });
    const calls = (await s.finalChatCompletion()).choices[0].message.tool_calls;
    assert.deepEqual(calls.map((c) => c.function.name), ["get_weather", "get_time"]);
  },
  async completions() {
    const r = await client.completions.create({ model: "tiny", prompt: ["some words", "more"], max_tokens: 4, temperature: 0, logprobs: 2, echo: true });
    assert(r.choices[0].text.startsWith("some words") && r.choices[1].index === 1);
    const one = { model: "tiny", prompt: [100, 101], max_tokens: 6, seed: 3 };
    let text = "";
    for await (const p of await client.completions.create({ ...one, stream: true })) text += p.choices[0].text;
    assert.equal(text, (await client.completions.create(one)).choices[0].text);
  },
  async embeddings() {
    const r = await client.embeddings.create({ model: "reader", input: ["aab", "b"] });
    assert.deepEqual(r.data.map((d) => Array.from(d.embedding)), [[2, 1, 0], [0, 1, 0]]);
  },
  async responses() {
    const r = await client.responses.create({ model: "taught", input: "hi" });
    assert.equal(r.output_text, plain);
    const tools = [{ type: "function", name: "get_weather", strict: false, parameters: { type: "object", properties: { city: { type: "string" } } } }];
    const s = client.responses.stream({ model: "taught", input: "both", tools });
    assert.deepEqual((await s.finalResponse()).output.map((o) => o.name), ["get_weather", "get_time"]);
    let text = "";
    for await (const e of await client.responses.create({ model: "taught", input: "hi", stream: true })) if (e.type === "response.output_text.delta") text += e.delta;
    assert.equal(text, plain);
  },
  async errors() {
    await assert.rejects(chat({ temperature: -1 }), (e) => e instanceof OpenAI.BadRequestError && e.param === "temperature");
    await assert.rejects(chat({ model: "nothing" }), (e) => e instanceof OpenAI.NotFoundError && e.code === "model_not_found");
    await assert.rejects(new OpenAI({ baseURL: job.base, apiKey: "wrong-key", maxRetries: 0 }).models.list(), (e) => e instanceof OpenAI.AuthenticationError);
  },
  async timeoutsAndCancels() {
    const slow = { model: "tiny", prompt: "some words", max_tokens: 200, logit_bias: { 0: -100 }, n: 100 };
    await assert.rejects(client.completions.create(slow, { timeout: 10 }), (e) => e instanceof OpenAI.APIConnectionTimeoutError);
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 50);
    await assert.rejects(client.completions.create(slow, { signal: stop.signal }), (e) => e instanceof OpenAI.APIUserAbortError);
    assert((await chat({ max_tokens: 2 })).choices[0].message.content);
  },
};

for (const [name, check] of Object.entries(checks)) {
  await check().catch((e) => { console.error(name); throw e; });
}
console.log(JSON.stringify(Object.keys(checks)));
