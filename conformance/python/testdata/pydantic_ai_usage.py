"""Pydantic AI adds up the usage of a tool loop's requests: every member that looks like a number. SURFACE says how it asks."""

import os

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

provider = OpenAIProvider(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"])
model = {"chat": OpenAIChatModel, "responses": OpenAIResponsesModel}[os.environ["SURFACE"]]
agent = Agent(model("composer-2.5", provider=provider))


@agent.tool_plain
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


usage = agent.run_sync("Add up.").usage
usage = usage() if callable(usage) else usage
print(usage.requests, usage.input_tokens, usage.output_tokens)
print(sorted(name for name in usage.details if not name.endswith("_tokens")))
