"""OpenAI's own SDK, responses, asynchronous, by way of its stream helper. Each request names the answer before it and
brings nothing but the new results."""

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
        "name": "add",
        "description": "Adds two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
            "required": ["a", "b"],
            "additionalProperties": False,
        },
        "strict": True,
    }
]


async def main():
    last = None
    for prompt in ["Add up.", "And now?"]:
        last = await loop({"input": prompt, "previous_response_id": last})


async def loop(more):
    """Gives the model what it asks for until it has said its last words, and returns the id of the last answer."""
    while True:
        text = ""
        async with client.responses.stream(model="composer-2.5", tools=tools, **more) as stream:
            async for event in stream:
                if event.type == "response.output_text.delta":
                    text += event.delta
            response = await stream.get_final_response()
        assert text == response.output_text, (text, response)
        assert response.usage.total_tokens > 0, response
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            print(text)
            return response.id
        results = []
        for call in calls:
            numbers = json.loads(call.arguments)
            results.append(
                {"type": "function_call_output", "call_id": call.call_id, "output": str(numbers["a"] + numbers["b"])}
            )
        more = {"input": results, "previous_response_id": response.id}


asyncio.run(main())
