"""Anthropic's own SDK, with a loop of tools by hand that sends the thinking back. With STREAM, by its helper for
streams."""

import os

import anthropic

client = anthropic.Anthropic(base_url=os.environ["ROOT_URL"], api_key=os.environ["API_KEY"], max_retries=0)
tools = [
    {
        "name": "add",
        "description": "Adds two numbers.",
        "input_schema": {
            "type": "object",
            "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
            "required": ["a", "b"],
        },
    }
]


def send(messages):
    request = {
        "model": "composer-2.5",
        "max_tokens": 4096,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "messages": messages,
        "tools": tools,
    }
    if not os.environ.get("STREAM"):
        return client.messages.create(**request)
    with client.messages.stream(**request) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert text == "".join(b.text for b in message.content if b.type == "text"), (text, message)
    return message


messages = []
for prompt in ["Add up.", "And now?"]:
    messages.append({"role": "user", "content": prompt})
    while True:
        message = send(messages)
        messages.append({"role": "assistant", "content": message.content})
        for block in message.content:
            assert block.type != "thinking" or block.signature, block
        calls = [b for b in message.content if b.type == "tool_use"]
        if not calls:
            break
        messages.append(
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": c.id, "content": str(c.input["a"] + c.input["b"])}
                    for c in calls
                ],
            }
        )
    print("".join(b.text for b in message.content if b.type == "text"))
