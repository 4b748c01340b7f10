"""Drives a server with LangChain's OpenAI package. Standard input: {"base": URL, "key": KEY}; standard output: the names of the checks that passed."""
import asyncio
import json
import sys
import typing

import pydantic
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings

job = json.load(sys.stdin)
PLAIN = "Hello there, my friend. How are you today?"
to = {"base_url": job["base"], "api_key": job["key"], "max_retries": 0}
model = ChatOpenAI(model="taught", temperature=0, max_tokens=500, **to)


class Weather(pydantic.BaseModel):
    """The weather in a city."""
    city: typing.Literal["Rome", "Paris"]


@tool
def get_weather(city: typing.Literal["Rome", "Paris"]) -> str:
    """The weather in a city."""
    return "sunny in " + city


def invoke():
    r = model.invoke([SystemMessage("be brief"), HumanMessage("hi")])
    assert (r.content, r.usage_metadata["output_tokens"], r.response_metadata["finish_reason"]) == (PLAIN, 6, "stop"), r


def stream():
    pieces = list(ChatOpenAI(model="taught", stream_usage=True, **to).stream("hi"))
    whole = pieces[0]
    for p in pieces[1:]:
        whole += p
    assert whole.content == PLAIN and whole.usage_metadata["output_tokens"] == 6 and len(pieces) > 4, whole


def batch():
    assert [r.content for r in model.batch(["a", "b", "c"])] == [PLAIN] * 3

    async def one():
        return [p.content async for p in model.astream("hi")]
    assert "".join(asyncio.run(one())) == PLAIN


def log_probabilities():
    r = model.bind(logprobs=True, top_logprobs=2).invoke("hi")
    assert "".join(t["token"] for t in r.response_metadata["logprobs"]["content"]) == PLAIN


def tools():
    agent = model.bind_tools([get_weather])
    said = [HumanMessage("weather?")]
    r = agent.invoke(said)
    assert [(c["name"], c["args"]) for c in r.tool_calls] == [("get_weather", {"city": "Rome"})], r
    said += [r, ToolMessage(get_weather.invoke(r.tool_calls[0]).content, tool_call_id=r.tool_calls[0]["id"])]
    assert agent.invoke(said).content == "It is sunny in Rome."
    whole = None
    for p in agent.stream("both"):
        whole = p if whole is None else whole + p
    assert [c["name"] for c in whole.tool_calls] == ["get_weather", "get_time"], whole


def strict_and_forced_tools():
    assert model.bind_tools([get_weather]).invoke("seven").tool_calls[0]["args"] == {"city": 7}
    for more in ({"strict": True}, {"tool_choice": "any"}, {"tool_choice": "get_weather"}, {"strict": True, "parallel_tool_calls": False}):
        calls = model.bind_tools([get_weather], **more).invoke("seven").tool_calls
        assert calls and all(c["args"]["city"] in ("Rome", "Paris") for c in calls[:1]), (more, calls)


def structured_output():
    for method in ("json_schema", "function_calling"):
        assert model.with_structured_output(Weather, method=method).invoke("hi").city in ("Rome", "Paris"), method
    r = model.with_structured_output(Weather, method="json_schema", include_raw=True).invoke("hi")
    assert r["parsing_error"] is None, r


def completions():
    assert OpenAI(model="taught", temperature=0, max_tokens=8, **to).bind(extra_body={"guided_choice": ["yes", "no"]}).invoke("a") in ("yes", "no")


def embeddings():
    e = OpenAIEmbeddings(model="reader", check_embedding_ctx_length=False, **to)
    assert e.embed_documents(["aab", "b"]) == [[2, 1, 0], [0, 1, 0]] and e.embed_query("b") == [0, 1, 0]


def responses():
    r = ChatOpenAI(model="taught", use_responses_api=True, **to).invoke("hi")
    assert r.text == PLAIN, r


checks = [invoke, stream, batch, log_probabilities, tools, strict_and_forced_tools, structured_output, completions, embeddings, responses]
for f in checks:
    f()
json.dump([f.__name__ for f in checks], sys.stdout)
