"""OpenAI's own SDK, chat completions. It has no tool loop of its own."""

import json
import os

from openai import OpenAI

# Strict: an answer that is not of the declared type is an error. No retries: they would hide what went wrong.
client = OpenAI(
    base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], max_retries=0, _strict_response_validation=True
)

tools = [
    {
        "type": "function",
        "function": {
            "name": "add",
            "description": "Adds two numbers.",
            "parameters": {
                "type": "object",
                "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
                "required": ["a", "b"],
            },
        },
    }
]
messages = []
for prompt in ["Add up.", "And now?"]:
    messages.append({"role": "user", "content": prompt})
    while True:
        completion = client.chat.completions.create(model="composer-2.5", messages=messages, tools=tools)
        message = completion.choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        if not message.tool_calls:
            break
        for call in message.tool_calls:
            numbers = json.loads(call.function.arguments)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": str(numbers["a"] + numbers["b"])})
    print(message.content)
