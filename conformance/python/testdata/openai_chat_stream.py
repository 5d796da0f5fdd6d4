"""OpenAI's own SDK, chat completions, asynchronous, by way of its stream helper."""

import asyncio
import json
import os

from openai import AsyncOpenAI

client = AsyncOpenAI(
    base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], max_retries=0, _strict_response_validation=True
)

tools = [
    {
        "type": "function",
        "function": {
            "name": "add",
            "description": "Adds two numbers.",
            "strict": True,  # the helper refuses other tools
            "parameters": {
                "type": "object",
                "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
                "required": ["a", "b"],
                "additionalProperties": False,
            },
        },
    }
]


async def main():
    messages = []
    for prompt in ["Add up.", "And now?"]:
        messages.append({"role": "user", "content": prompt})
        await loop(messages)


async def loop(messages):
    while True:
        text = ""
        async with client.chat.completions.stream(
            model="composer-2.5", messages=messages, tools=tools, stream_options={"include_usage": True}
        ) as stream:
            async for event in stream:
                if event.type == "content.delta":
                    text += event.delta
            completion = await stream.get_final_completion()
        message = completion.choices[0].message
        assert text == (message.content or ""), (text, message)
        assert completion.usage.total_tokens > 0, completion
        messages.append(message.model_dump(exclude_none=True))
        if not message.tool_calls:
            return print(text)
        for call in message.tool_calls:
            numbers = json.loads(call.function.arguments)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": str(numbers["a"] + numbers["b"])})


asyncio.run(main())
