"""OpenAI's own SDK, responses. Each request brings back every item of the answers before it, as the manual says."""

import json
import os

from openai import OpenAI

client = OpenAI(
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
items = []
for prompt in ["Add up.", "And now?"]:
    items.append({"role": "user", "content": prompt})
    while True:
        response = client.responses.create(
            model="composer-2.5", input=items, tools=tools, store=False, include=["reasoning.encrypted_content"]
        )
        items += response.output
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            break
        for call in calls:
            numbers = json.loads(call.arguments)
            items.append(
                {"type": "function_call_output", "call_id": call.call_id, "output": str(numbers["a"] + numbers["b"])}
            )
    print(response.output_text)
