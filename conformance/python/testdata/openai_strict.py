"""OpenAI's own SDK told to check every answer and every event against their declared types, on whatever can be asked
for beside a loop of tools. POST /responses/compact is not among it: its answer holds the user's messages, by the
manual, and the SDK's declared type has no place for them."""

import os
import time

import openai
from pydantic import BaseModel

client = openai.OpenAI(
    base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], max_retries=0, _strict_response_validation=True
)
model = "composer-2.5"
messages = [{"role": "user", "content": "Two numbers, please."}]


class Numbers(BaseModel):
    a: int
    b: int


numbers = Numbers(a=1, b=2)

# Models.
names = [m.id for m in client.models.list()]
assert model in names, names
assert client.models.retrieve(model).id == model

# Chat: structured output, every setting, a stream with each kind of chunk, custom tools, an answer that is cut short.
completion = client.chat.completions.parse(model=model, messages=messages, response_format=Numbers)
assert completion.choices[0].message.parsed == numbers, completion
completion = client.chat.completions.create(
    model=model,
    messages=[{"role": "developer", "content": "Be brief."}, *messages],
    reasoning_effort="high",
    seed=1,
    stop=["never"],
    temperature=0,
    top_p=1,
    user="somebody",
    metadata={"a": "b"},
    max_completion_tokens=1000,
    service_tier="auto",
    verbosity="low",
    response_format={"type": "json_object"},
)
assert completion.choices[0].finish_reason == "stop", completion
chunks = list(
    client.chat.completions.create(model=model, messages=messages, stream=True, stream_options={"include_usage": True})
)
assert chunks[-1].usage.total_tokens > 0, chunks
completion = client.chat.completions.create(model=model, messages=messages, max_completion_tokens=1)
assert completion.choices[0].finish_reason == "length", completion
patch = {"name": "patch", "description": "Takes a patch as it is."}
asked = [{"role": "user", "content": "Call patch."}]
tools = [{"type": "custom", "custom": patch}]
call = client.chat.completions.create(model=model, messages=asked, tools=tools).choices[0].message.tool_calls[0]
assert call.custom.input == "*** a patch", call

# Chat: what is kept.
kept = client.chat.completions.create(model=model, messages=messages, store=True, metadata={"kept": "yes"})
assert [c.id for c in client.chat.completions.list(metadata={"kept": "yes"})] == [kept.id]
assert client.chat.completions.retrieve(kept.id).choices == kept.choices
assert client.chat.completions.update(kept.id, metadata={"kept": "changed"}).id == kept.id
assert client.chat.completions.delete(kept.id).deleted

# Legacy completions. Their streams are left out: the SDK's declared type has no null for a finish reason, which OpenAI sends.
completion = client.completions.create(
    model=model, prompt=["Two numbers, please."], temperature=0, top_p=1, seed=1, stop="never", user="somebody", best_of=1
)
assert completion.choices[0].finish_reason == "stop", completion

# Responses: structured output, every setting, what is kept of it, its end.
response = client.responses.parse(model=model, input="Two numbers, please.", text_format=Numbers)
assert response.output_parsed == numbers, response
response = client.responses.create(
    model=model,
    input="Two numbers, please.",
    instructions="Be brief.",
    reasoning={"effort": "high", "summary": "auto"},
    include=["reasoning.encrypted_content"],
    metadata={"a": "b"},
    temperature=0.5,
    top_p=0.5,
    max_output_tokens=1000,
    truncation="auto",
    user="somebody",
    safety_identifier="somebody",
    prompt_cache_key="key",
    service_tier="auto",
    text={"verbosity": "low"},
)
assert response.status == "completed" and response.metadata == {"a": "b"}, response
assert client.responses.retrieve(response.id).output_text == response.output_text
assert [item.role for item in client.responses.input_items.list(response.id)] == ["user"]
client.responses.delete(response.id)
try:
    client.responses.retrieve(response.id)
    raise AssertionError("a deleted response is still there")
except openai.NotFoundError:
    pass
response = client.responses.create(model=model, input="Two numbers, please.", max_output_tokens=16)
assert response.status in ("completed", "incomplete"), response
assert client.responses.input_tokens.count(model=model, input="Two numbers, please.").input_tokens > 0

# A chain whose input is listed whole, images included; OpenAI's shell, which we run; a call goes back with its result.
pixel = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
picture = {"role": "user", "content": [{"type": "input_text", "text": "See."}, {"type": "input_image", "image_url": pixel, "detail": "auto"}]}
first = client.responses.create(model=model, input=[picture])
shell = client.responses.create(model=model, input="Call shell.", previous_response_id=first.id, tools=[{"type": "shell"}])
call = shell.output[-1]
assert call.type == "shell_call" and call.action.commands == ["ls"], shell
result = {"type": "shell_call_output", "call_id": call.call_id, "output": [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]}
last = client.responses.create(model=model, input=[result], previous_response_id=shell.id, tools=[{"type": "shell"}])
include = ["message.input_image.image_url"]
items = list(client.responses.input_items.list(last.id, order="asc", limit=2, include=include))
assert [i.type for i in items if i.type != "reasoning"] == ["message", "message", "message", "shell_call", "shell_call_output"], items
assert items[0].content[1].image_url == pixel, items

# A conversation.
conversation = client.conversations.create(items=[{"type": "message", "role": "user", "content": "Hello."}], metadata={"a": "b"})
response = client.responses.create(model=model, input="Two numbers, please.", conversation=conversation.id)
assert response.conversation.id == conversation.id, response
items = list(client.conversations.items.list(conversation.id, order="asc"))
assert [i.type for i in items if i.type != "reasoning"] == ["message", "message", "message"], items
item = client.conversations.items.retrieve(items[0].id, conversation_id=conversation.id)
assert item == items[0], item
assert client.conversations.items.delete(item.id, conversation_id=conversation.id).id == conversation.id
assert client.conversations.update(conversation.id, metadata={"a": "c"}).metadata == {"a": "c"}
assert client.conversations.retrieve(conversation.id).id == conversation.id
assert client.conversations.delete(conversation.id).deleted

# In the background: waited for, and as a stream that is read a second time from its middle.
response = client.responses.create(model=model, input="Two numbers, please.", background=True)
while response.status in ("queued", "in_progress"):
    time.sleep(0.05)
    response = client.responses.retrieve(response.id)
assert response.status == "completed", response
response = client.responses.create(model=model, input="Two numbers, please.", background=True, store=False)
while response.status in ("queued", "in_progress"):
    time.sleep(0.05)
    response = client.responses.retrieve(response.id)
assert response.status == "completed" and response.output_text, response
events = list(client.responses.create(model=model, input="Two numbers, please.", background=True, stream=True))
assert events[-1].type == "response.completed", events
response = events[-1].response
again = list(client.responses.retrieve(response.id, stream=True, starting_after=events[4].sequence_number))
assert again == events[5:], (events, again)

# A stream of calls, to a function and to a custom tool.
tools = [
    {"type": "custom", **patch},
    {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}, "strict": False},
]
events = list(client.responses.create(model=model, input="Call patch.", tools=tools, stream=True))
assert [item.type for item in events[-1].response.output] == ["custom_tool_call", "function_call"], events[-1]

# A stream that fails: the SDK throws, and what is kept says why.
id = None
try:
    for event in client.responses.create(model=model, input="Fail.", stream=True):
        id = event.response.id if event.type == "response.created" else id
    raise AssertionError("the stream did not fail")
except openai.APIError as e:
    assert e.message == os.environ["FAILURE"], e
response = client.responses.retrieve(id)
assert response.status == "failed" and response.error.message == os.environ["FAILURE"], response
print("done")
