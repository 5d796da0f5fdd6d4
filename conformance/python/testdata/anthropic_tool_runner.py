"""The tool runner of Anthropic's own SDK. It first asks for a thread that the server would keep, and goes on without."""

import os

import anthropic
from anthropic import beta_tool

client = anthropic.Anthropic(base_url=os.environ["ROOT_URL"], api_key=os.environ["API_KEY"], max_retries=0)


@beta_tool
def add(a: int, b: int) -> str:
    """Adds two numbers."""
    return str(a + b)


history = []
for prompt in ["Add up.", "And now?"]:
    history.append({"role": "user", "content": prompt})
    runner = client.beta.messages.tool_runner(
        model="composer-2.5",
        max_tokens=4096,
        messages=history,
        tools=[add],
        stream=bool(os.environ.get("STREAM")),
    )
    for message in runner:
        if os.environ.get("STREAM"):
            message = message.get_final_message()
        history.append({"role": "assistant", "content": message.content})
        results = runner.generate_tool_call_response()
        if results:
            history.append(results)
    print("".join(b.text for b in message.content if b.type == "text"))
