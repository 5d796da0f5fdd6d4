"""Anthropic's own SDK told to check every answer and every event against their declared types, on whatever can be asked
for beside a loop of tools."""

import os

import anthropic
from pydantic import BaseModel

client = anthropic.Anthropic(
    base_url=os.environ["ROOT_URL"], api_key=os.environ["API_KEY"], max_retries=0, _strict_response_validation=True
)
model = "composer-2.5"
asked = {"model": model, "max_tokens": 4096, "messages": [{"role": "user", "content": "Two numbers, please."}]}


class Numbers(BaseModel):
    a: int
    b: int


numbers = Numbers(a=1, b=2)

# Models, and how long a prompt is.
names = [m.id for m in client.models.list(limit=1)]
assert model in names, names
assert client.models.retrieve(model).display_name == "Composer 2.5"
assert client.messages.count_tokens(model=model, messages=asked["messages"], system="Be brief.").input_tokens > 0

# Every setting.
message = client.messages.create(
    **asked,
    system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    metadata={"user_id": "somebody"},
    stop_sequences=["never"],
    service_tier="auto",
    extra_body={"temperature": 0.5, "top_p": 0.5, "top_k": 5},
    output_config={"effort": "high"},
)
assert message.stop_reason == "end_turn" and message.model == model, message
assert message.usage.input_tokens == 30 and message.usage.cache_read_input_tokens == 5, message
assert message._request_id and message._request_id.startswith("req_"), message

# Structured output.
message = client.messages.parse(**asked, output_format=Numbers)
assert message.parsed_output == numbers, message

# Thinking, whole and streamed, with each kind of event.
thinking = {"type": "enabled", "budget_tokens": 1024}
message = client.messages.create(**asked, thinking=thinking)
assert [b.type for b in message.content] == ["thinking", "text"] and message.content[0].signature, message
with client.messages.stream(**asked, thinking=thinking) as stream:
    events = [event.type for event in stream]
    final = stream.get_final_message()
assert [b.type for b in final.content] == ["thinking", "text"] and final.content[0].signature, final
assert {"thinking", "signature", "text", "content_block_stop", "message_stop"} <= set(events), events
assert final.usage.output_tokens == message.usage.output_tokens, (final, message)

# An answer that is cut short, by a limit and by a sequence.
message = client.messages.create(**{**asked, "max_tokens": 1})
assert message.stop_reason == "max_tokens", message
message = client.messages.create(**asked, stop_sequences=['"b"'])
assert message.stop_reason == "stop_sequence" and message.stop_sequence == '"b"', message


# What goes wrong.
def fails(kind, words, **request):
    try:
        client.messages.create(**{**asked, **request})
    except anthropic.APIStatusError as e:
        assert type(e) is kind and words in e.message and e.request_id.startswith("req_"), e
        return
    raise AssertionError(f"no {kind}")


def say(text):
    return [{"role": "user", "content": text}]


fails(anthropic.NotFoundError, "does not exist", model="claude-imaginary")
fails(anthropic.BadRequestError, "prefill", messages=[*asked["messages"], {"role": "assistant", "content": "{"}])
fails(anthropic.RateLimitError, "Too much.", messages=say("Refuse."))
fails(anthropic.OverloadedError, "Busy.", messages=say("Be busy."))
try:
    anthropic.Anthropic(base_url=os.environ["ROOT_URL"], api_key="crsr_bad_key", max_retries=0).messages.create(**asked)
    raise AssertionError("a bad key is taken")
except anthropic.AuthenticationError as e:
    assert "The API key is not valid." in e.message, e
try:
    with client.messages.stream(**{**asked, "messages": say("Fail.")}) as stream:
        for event in stream:
            pass
    raise AssertionError("the stream did not fail")
except anthropic.APIStatusError as e:
    assert os.environ["FAILURE"] in e.message, e
print("done")
