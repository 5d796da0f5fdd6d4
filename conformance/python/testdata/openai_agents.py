"""OpenAI's agents SDK, which runs the tools itself. SURFACE and STREAM say how."""

import asyncio
import os

from agents import Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI

set_tracing_disabled(True)  # it would send traces to OpenAI
client = AsyncOpenAI(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], max_retries=0)
model = {"chat": OpenAIChatCompletionsModel, "responses": OpenAIResponsesModel}[os.environ["SURFACE"]]


@function_tool
def add(a: int, b: int) -> str:
    """Adds two numbers."""
    return str(a + b)


async def main():
    agent = Agent(name="Adder", model=model("composer-2.5", openai_client=client), tools=[add])
    items = []
    for prompt in ["Add up.", "And now?"]:
        items.append({"role": "user", "content": prompt})
        if os.environ.get("STREAM"):
            result = Runner.run_streamed(agent, items, max_turns=5)
            async for _ in result.stream_events():
                pass
        else:
            result = await Runner.run(agent, items, max_turns=5)
        items = result.to_input_list()
        print(result.final_output)


asyncio.run(main())
