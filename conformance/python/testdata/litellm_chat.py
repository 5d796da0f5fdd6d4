"""LiteLLM's completion function. With STREAM, it puts the message together from the pieces. For the surface messages it
speaks Anthropic's API."""

import json
import os

import litellm

litellm.suppress_debug_info = True  # it prints hints about models that it has no prices of

provider, address = "openai", os.environ["BASE_URL"]
if os.environ["SURFACE"] == "messages":
    provider, address = "anthropic", os.environ["ROOT_URL"]
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
        answer = litellm.completion(
            model=provider + "/composer-2.5",
            api_base=address,
            api_key=os.environ["API_KEY"],
            max_retries=0,
            messages=messages,
            tools=tools,
            stream=bool(os.environ.get("STREAM")),
        )
        if os.environ.get("STREAM"):
            answer = litellm.stream_chunk_builder(list(answer), messages=messages)
        message = answer.choices[0].message
        messages.append(message.model_dump())
        if not message.tool_calls:
            break
        for call in message.tool_calls:
            numbers = json.loads(call.function.arguments)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": str(numbers["a"] + numbers["b"])})
    print(message.content)
