"""Drives a server with Anthropic's Python client. Standard input: {"base": URL, "key": KEY}; standard output: the names of the checks that passed."""
import json
import sys

import anthropic

job = json.load(sys.stdin)
client = anthropic.Anthropic(base_url=job["base"].removesuffix("/v1"), api_key=job["key"], max_retries=0)
PLAIN = "Hello there, my friend. How are you today?"
HI = [{"role": "user", "content": "hi"}]
WEATHER = {"name": "get_weather", "description": "now", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


def ask(**more):
    return client.messages.create(**{"model": "taught", "max_tokens": 50, "messages": HI, **more})


def fails(kind, f):
    try:
        f()
    except kind as e:
        return e
    raise AssertionError(f"no {kind.__name__}")


def whole():
    r = ask(system="be brief", extra_body={"temperature": 0})
    assert (r.content[0].text, r.stop_reason, r.usage.output_tokens) == (PLAIN, "end_turn", 6), r
    assert ask(stop_sequences=["my"]).stop_sequence == "my"
    assert ask(max_tokens=2).stop_reason == "max_tokens"


def streamed():
    with client.messages.stream(model="taught", max_tokens=50, messages=HI) as s:
        assert "".join(s.text_stream) == PLAIN
        m = s.get_final_message()
    assert (m.content[0].text, m.stop_reason, m.usage.output_tokens) == (PLAIN, "end_turn", 6), m


def tools():
    r = ask(tools=[WEATHER])
    use = r.content[0]
    assert (r.stop_reason, use.type, use.name, use.input) == ("tool_use", "tool_use", "get_weather", {"city": "Rome"}), r
    said = HI + [{"role": "assistant", "content": r.content}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}]}]
    assert ask(messages=said, tools=[WEATHER]).content[0].text == "It is sunny in Rome."
    with client.messages.stream(model="taught", max_tokens=50, messages=[{"role": "user", "content": "both"}], tools=[WEATHER]) as s:
        m = s.get_final_message()
    assert [(b.name, b.input) for b in m.content] == [("get_weather", {"city": "Rome"}), ("get_time", {})], m


def structured():
    cities = {"type": "object", "properties": {"city": {"enum": ["Rome", "Paris"]}}, "required": ["city"], "additionalProperties": False}
    r = ask(output_config={"format": {"type": "json_schema", "schema": cities}}, extra_body={"temperature": 0}, max_tokens=300)
    assert json.loads(r.content[0].text)["city"] in ("Rome", "Paris"), r
    seven = [{"role": "user", "content": "seven"}]
    assert ask(messages=seven, tools=[{**WEATHER, "input_schema": cities}]).content[1].input == {"city": 7}
    r = ask(messages=seven, tools=[{**WEATHER, "input_schema": cities, "strict": True}], extra_body={"temperature": 0}, max_tokens=500)
    assert (r.content[0].text, r.stop_reason) == ("Let me see.", "tool_use") and r.content[1].input["city"] in ("Rome", "Paris"), r


def counting():
    n = client.messages.count_tokens(model="taught", messages=HI).input_tokens
    u = ask().usage
    assert n == u.input_tokens + u.cache_read_input_tokens, (n, u)


def errors():
    assert "temperature" in str(fails(anthropic.BadRequestError, lambda: ask(extra_body={"temperature": -1})))
    fails(anthropic.NotFoundError, lambda: ask(model="nothing"))
    stranger = anthropic.Anthropic(base_url=job["base"].removesuffix("/v1"), api_key="wrong-key", max_retries=0)
    fails(anthropic.AuthenticationError, lambda: stranger.messages.create(model="taught", max_tokens=5, messages=HI))


checks = [whole, streamed, tools, structured, counting, errors]
for f in checks:
    f()
json.dump([f.__name__ for f in checks], sys.stdout)
