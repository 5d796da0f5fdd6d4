"""OpenAI's own SDK, responses, over a WebSocket. Nothing is stored: what one message continues is what the server
remembers of the same socket."""

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


def create(connection, **request):
    """Sends a request and returns the whole response, after its events."""
    connection.response.create(model="composer-2.5", tools=tools, store=False, **request)
    text = ""
    for event in connection:
        if event.type == "response.output_text.delta":
            text += event.delta
        if event.type == "response.completed":
            said = "".join(
                part.text for item in event.response.output if item.type == "message" for part in item.content
            )
            assert text == said, (text, event.response)
            return text, event.response
        assert event.type not in ("error", "response.failed"), event


with client.responses.connect() as connection:
    request = {}
    for prompt in ["Add up.", "And now?"]:
        request["input"] = prompt
        while True:
            text, response = create(connection, **request)
            request = {"previous_response_id": response.id}
            calls = [item for item in response.output if item.type == "function_call"]
            if not calls:
                print(text)
                break
            request["input"] = []
            for call in calls:
                numbers = json.loads(call.arguments)
                total = str(numbers["a"] + numbers["b"])
                request["input"].append({"type": "function_call_output", "call_id": call.call_id, "output": total})

    # An error is an event, and the socket lives on.
    connection.response.create(model="composer-2.5", input="x", previous_response_id="resp_unknown")
    for event in connection:
        assert event.type == "error" and event.code == "previous_response_not_found", event
        break
    connection.response.create(model="no-such-model", input="x")
    for event in connection:
        assert event.type == "error" and event.code == "model_not_found", event
        break
