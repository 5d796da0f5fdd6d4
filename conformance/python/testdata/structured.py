"""Clients that make objects of answers, and throw on anything else. CLIENT, SURFACE and STREAM say which and how."""

import asyncio
import os

from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

options = {"base_url": os.environ["BASE_URL"], "api_key": os.environ["API_KEY"], "max_retries": 0}
surface, stream = os.environ["SURFACE"], bool(os.environ.get("STREAM"))


class City(BaseModel):
    city: str
    people: int


def openai(prompt):
    client = OpenAI(**options)
    if surface == "responses":
        if stream:
            with client.responses.stream(model="composer-2.5", input=prompt, text_format=City) as s:
                return s.get_final_response().output_parsed
        return client.responses.parse(model="composer-2.5", input=prompt, text_format=City).output_parsed
    messages = [{"role": "user", "content": prompt}]
    if stream:
        with client.chat.completions.stream(model="composer-2.5", messages=messages, response_format=City) as s:
            return s.get_final_completion().choices[0].message.parsed
    return client.chat.completions.parse(model="composer-2.5", messages=messages, response_format=City).choices[0].message.parsed


def instructor(prompt):
    """Every mode that asks for JSON or for a call. It would try again by itself; here it may not. Mode.JSON tells the schema
    to the model alone, so that an object that doesn't fit is not the gateway's to see."""
    from instructor import Mode, from_openai

    modes = [Mode.RESPONSES_TOOLS] if surface == "responses" else [Mode.JSON_SCHEMA, Mode.JSON, Mode.TOOLS_STRICT]
    if prompt == "Wrong.":
        modes = [mode for mode in modes if mode != Mode.JSON]
    found = None
    for mode in modes:
        client = from_openai(OpenAI(**options), mode=mode)
        found = client.chat.completions.create(
            model="composer-2.5", messages=[{"role": "user", "content": f"{mode.name} {prompt}"}], response_model=City, max_retries=0
        )
        assert found.model_dump() == {"city": "Brno", "people": 400000}, (mode, found)  # of a class made from City
    return found


def agents(prompt):
    """The output type and a tool together: the call comes first, and is not checked."""
    from agents import Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled

    set_tracing_disabled(True)  # it would send traces to OpenAI

    @function_tool
    def count(city: str) -> int:
        """Counts the people of a city."""
        assert city == "Brno"
        return 400000

    model = {"chat": OpenAIChatCompletionsModel, "responses": OpenAIResponsesModel}[surface]
    agent = Agent(
        name="Counter", model=model("composer-2.5", openai_client=AsyncOpenAI(**options)), tools=[count], output_type=City
    )

    async def run():
        if not stream:
            return await Runner.run(agent, "Count. " + prompt, max_turns=3)
        result = Runner.run_streamed(agent, "Count. " + prompt, max_turns=3)
        async for _ in result.stream_events():
            pass
        return result

    return asyncio.run(run()).final_output


for prompt in ["Fenced.", "In words.", "Wrong."]:
    print(prompt, globals()[os.environ["CLIENT"]](prompt))
