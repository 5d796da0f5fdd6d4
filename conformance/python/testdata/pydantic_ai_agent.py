"""Pydantic AI, which runs the tools itself. SURFACE and STREAM say how."""

import asyncio
import os

from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.usage import UsageLimits

key = os.environ["API_KEY"]
if os.environ["SURFACE"] == "messages":
    provider, model = AnthropicProvider(base_url=os.environ["ROOT_URL"], api_key=key), AnthropicModel
else:
    provider = OpenAIProvider(base_url=os.environ["BASE_URL"], api_key=key)
    model = {"chat": OpenAIChatModel, "responses": OpenAIResponsesModel}[os.environ["SURFACE"]]
agent = Agent(model("composer-2.5", provider=provider))


@agent.tool_plain
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


async def read_all(context, events):
    """With a handler, the agent asks for streams."""
    async for _ in events:
        pass


async def main():
    limits = UsageLimits(request_limit=5)
    # Not run_stream: that takes the first text for the model's last words, also when calls come with it.
    handler = read_all if os.environ.get("STREAM") else None
    history = None
    for prompt in ["Add up.", "And now?"]:
        result = await agent.run(prompt, message_history=history, usage_limits=limits, event_stream_handler=handler)
        history = result.all_messages()
        print(result.output)


asyncio.run(main())
