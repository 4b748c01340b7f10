"""Drives a server with OpenAI's Python client. Standard input: {"base": URL, "key": KEY}; standard output: the names of the checks that passed."""
import asyncio
import base64
import json
import struct
import sys
import time
import typing

import openai
import pydantic

job = json.load(sys.stdin)
client = openai.OpenAI(base_url=job["base"], api_key=job["key"], max_retries=0)
PLAIN = "Hello there, my friend. How are you today?"
HI = [{"role": "user", "content": "hi"}]
WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "now", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
checks = []


def check(f):
    checks.append(f)
    return f


def chat(**more):
    return client.chat.completions.create(**{"model": "taught", "messages": HI, **more})


def fails(kind, f):
    try:
        f()
    except kind as e:
        return e
    raise AssertionError(f"no {kind.__name__}")


@check
def models():
    ids = [m.id for m in client.models.list()]
    assert {"taught", "tiny", "reader"} <= set(ids), ids
    assert client.models.retrieve("tiny").object == "model"


@check
def chat_whole():
    r = chat(temperature=0, seed=1)
    c = r.choices[0]
    assert (c.message.content, c.message.role, c.finish_reason, r.object) == (PLAIN, "assistant", "stop", "chat.completion"), r
    assert r.usage.completion_tokens == 6 and r.usage.total_tokens == r.usage.prompt_tokens + 6, r.usage


@check
def chat_streamed():
    text, finish, usage = "", None, None
    for piece in chat(stream=True, stream_options={"include_usage": True}):
        for c in piece.choices:
            text += c.delta.content or ""
            finish = c.finish_reason or finish
        usage = piece.usage or usage
    assert (text, finish, usage.completion_tokens) == (PLAIN, "stop", 6)


@check
def chat_stream_helper():
    with client.chat.completions.stream(model="taught", messages=HI) as s:
        kinds = {e.type for e in s}
        assert "content.delta" in kinds and "content.done" in kinds, kinds
        assert s.get_final_completion().choices[0].message.content == PLAIN


@check
def choices_and_seeds():
    def texts(seed):
        r = chat(model="tiny", n=3, seed=seed, max_completion_tokens=8)
        return [c.message.content for c in r.choices]
    a, b, c = texts(5), texts(5), texts(6)
    assert a == b and a != c and len(set(a)) > 1, (a, b, c)


@check
def stops_and_bias():
    c = chat(stop=["my"], temperature=0).choices[0]
    assert (c.message.content, c.finish_reason) == ("Hello there, ", "stop"), c
    c = chat(max_tokens=2, temperature=0).choices[0]
    assert (c.message.content, c.finish_reason) == ("Hello there,", "length"), c


@check
def logprobs():
    c = chat(logprobs=True, top_logprobs=2, temperature=0).choices[0]
    tokens = c.logprobs.content
    assert "".join(t.token for t in tokens) == PLAIN and all(len(t.top_logprobs) == 2 and t.logprob <= 0 for t in tokens), tokens
    assert bytes(b for t in tokens for b in t.bytes).decode() == PLAIN


@check
def tools():
    r = chat(tools=[WEATHER], tool_choice="auto")
    call = r.choices[0].message.tool_calls[0]
    assert (r.choices[0].finish_reason, call.function.name, json.loads(call.function.arguments)) == ("tool_calls", "get_weather", {"city": "Rome"})
    said = HI + [r.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    assert chat(messages=said, tools=[WEATHER]).choices[0].message.content == "It is sunny in Rome."
    with client.chat.completions.stream(model="taught", messages=[{"role": "user", "content": "both"}], tools=[WEATHER]) as s:
        final = s.get_final_completion().choices[0]
    assert [c.function.name for c in final.message.tool_calls] == ["get_weather", "get_time"], final


class Weather(pydantic.BaseModel):
    city: typing.Literal["Rome", "Paris"]
    days: list[int] = pydantic.Field(max_length=3)


SEVEN = [{"role": "user", "content": "seven"}]  # the model calls with a number for the city, where it may


@check
def structured():
    c = client.chat.completions.parse(model="taught", messages=HI, response_format=Weather, temperature=0, max_tokens=300).choices[0].message
    assert c.parsed.city in ("Rome", "Paris") and json.loads(c.content)["days"] == c.parsed.days
    r = client.responses.parse(model="taught", input="hi", text_format=Weather, temperature=0, max_output_tokens=300)
    assert r.output_parsed.city in ("Rome", "Paris"), r
    text = client.completions.create(model="taught", prompt="a", temperature=0, extra_body={"structured_outputs": {"choice": ["yes", "no"]}}).choices[0].text
    assert text in ("yes", "no"), text


@check
def strict_tools():
    assert json.loads(chat(messages=SEVEN, tools=[WEATHER]).choices[0].message.tool_calls[0].function.arguments) == {"city": 7}
    tool = openai.pydantic_function_tool(Weather, name="get_weather")
    c = client.chat.completions.parse(model="taught", messages=SEVEN, tools=[tool], temperature=0).choices[0]
    assert c.finish_reason == "tool_calls" and c.message.content == "Let me see." and c.message.tool_calls[0].function.parsed_arguments.city in ("Rome", "Paris"), c
    with client.chat.completions.stream(model="taught", messages=SEVEN, tools=[tool], temperature=0) as s:
        assert s.get_final_completion().choices[0].message.tool_calls[0].function.parsed_arguments.city in ("Rome", "Paris")
    flat = {"type": "function", **tool["function"]}
    r = client.responses.create(model="taught", input="seven", tools=[flat], temperature=0)
    assert [o.type for o in r.output] == ["message", "function_call"] and Weather(**json.loads(r.output[1].arguments)), r


@check
def completions():
    r = client.completions.create(model="tiny", prompt=["some words", "more"], max_tokens=4, temperature=0, logprobs=2, echo=True)
    assert [c.index for c in r.choices] == [0, 1] and r.choices[0].text.startswith("some words"), r
    assert r.choices[0].logprobs.token_logprobs[0] is None and len(r.choices[0].logprobs.tokens) == len(r.choices[0].logprobs.text_offset)
    whole = client.completions.create(model="tiny", prompt=[100, 101], max_tokens=6, seed=3).choices[0].text
    assert whole == "".join(p.choices[0].text for p in client.completions.create(model="tiny", prompt=[100, 101], max_tokens=6, seed=3, stream=True))


@check
def embeddings():
    texts = ["aab", "b"]
    r = client.embeddings.create(model="reader", input=texts)  # the client asks for base64
    plain = client.embeddings.create(model="reader", input=texts, encoding_format="float")
    assert [d.embedding for d in r.data] == [d.embedding for d in plain.data] == [[2, 1, 0], [0, 1, 0]], r
    raw = client.embeddings.create(model="reader", input=texts, encoding_format="base64", dimensions=2).data[0].embedding
    assert [round(x, 4) for x in struct.unpack("<2f", base64.b64decode(raw))] == [0.8944, 0.4472]
    assert fails(openai.BadRequestError, lambda: client.embeddings.create(model="reader", input="a", dimensions=9)).param == "dimensions"


@check
def image_embeddings():
    url = "data:image/gif;base64,R0lGODlhAQABAIAAAP8AAAAAACwAAAAAAQABAAACAkQBADs="  # one red pixel
    part = {"type": "image_url", "image_url": {"url": url}}
    r = client.embeddings.create(model="seer", input=[part, "green", {"image": url}])
    assert [d.embedding for d in r.data] == [[1, 0, 0], [0, 1, 0], [1, 0, 0]], r
    assert client.embeddings.create(model="seer", input=[url], extra_body={"modality": "image"}).data[0].embedding == [1, 0, 0]
    asked = client.post("/embeddings", body={"model": "seer", "messages": [{"role": "user", "content": [part]}], "encoding_format": "float"},
                        cast_to=openai.types.CreateEmbeddingResponse)  # as vLLM's examples do
    assert asked.data[0].embedding == [1, 0, 0], asked
    found = client.post("/classify", body={"model": "seer", "input": [part], "labels": ["green", "red"]}, cast_to=object)
    assert found["data"][0]["label"] == "red", found
    assert fails(openai.BadRequestError, lambda: client.embeddings.create(model="seer", input=[{"image": "http://127.0.0.1/"}])).param == "input[0].image"


@check
def responses():
    r = client.responses.create(model="taught", input="hi", instructions="be brief", metadata={"a": "b"})
    assert (r.output_text, r.status, r.usage.output_tokens, r.metadata) == (PLAIN, "completed", 6, {"a": "b"}), r
    after = client.responses.create(model="taught", input="and?", previous_response_id=r.id)
    assert after.usage.input_tokens > 2 * r.usage.input_tokens - 10
    assert client.responses.retrieve(r.id).output_text == PLAIN
    client.responses.delete(r.id)
    fails(openai.NotFoundError, lambda: client.responses.retrieve(r.id))
    with client.responses.stream(model="taught", input="hi", include=["message.output_text.logprobs"], top_logprobs=2) as s:
        kinds = [e.type for e in s]
        final = s.get_final_response()
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed" and final.output_text == PLAIN, kinds
    assert "".join(t.token for t in final.output[0].content[0].logprobs) == PLAIN
    assert client.responses.create(model="taught", input="hi", max_output_tokens=2).incomplete_details.reason == "max_output_tokens"


@check
def response_tools():
    tool = {"type": "function", "name": "get_weather", "parameters": WEATHER["function"]["parameters"], "strict": False}
    said = [{"role": "user", "content": "weather?"}]
    r = client.responses.create(model="taught", input=said, tools=[tool])
    call = r.output[0]
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "get_weather", {"city": "Rome"}), r
    said += r.output
    said.append({"type": "function_call_output", "call_id": call.call_id, "output": "sunny"})
    assert client.responses.create(model="taught", input=said, tools=[tool]).output_text == "It is sunny in Rome."
    with client.responses.stream(model="taught", input="both", tools=[tool]) as s:
        assert [o.name for o in s.get_final_response().output] == ["get_weather", "get_time"]
    assert fails(openai.BadRequestError, lambda: client.responses.create(model="taught", input="a", truncation="some")).param == "truncation"


@check
def errors():
    assert fails(openai.BadRequestError, lambda: chat(temperature=-1)).param == "temperature"
    assert fails(openai.NotFoundError, lambda: chat(model="nothing")).code == "model_not_found"
    assert fails(openai.BadRequestError, lambda: chat(messages=[{"role": "user", "content": "long " * 3000}])).code == "context_length_exceeded"
    fails(openai.AuthenticationError, lambda: openai.OpenAI(base_url=job["base"], api_key="wrong-key", max_retries=0).models.list())
    assert fails(openai.BadRequestError, lambda: chat(extra_body={"no_such_field": 1})).param == "no_such_field"


@check
def timeouts_and_cancels():
    slow = dict(model="tiny", prompt="some words", max_tokens=200, logit_bias={"0": -100}, n=100)
    fails(openai.APITimeoutError, lambda: client.with_options(timeout=0.01).completions.create(**slow))
    s = client.completions.create(**slow, stream=True)
    next(iter(s))
    s.close()

    async def cancelled():
        async with openai.AsyncOpenAI(base_url=job["base"], api_key=job["key"], max_retries=0) as a:
            t = asyncio.create_task(a.completions.create(**slow))
            await asyncio.sleep(0.05)
            t.cancel()
            try:
                await t
            except asyncio.CancelledError:
                return
            raise AssertionError("not cancelled")
    asyncio.run(cancelled())
    began = time.time()
    assert chat(max_tokens=2).choices[0].message.content and time.time() - began < 20


for f in checks:
    f()
json.dump([f.__name__ for f in checks], sys.stdout)
