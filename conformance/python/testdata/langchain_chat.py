"""LangChain's ChatOpenAI. SURFACE and STREAM say how."""

import os

from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


@tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


model = ChatOpenAI(
    model="composer-2.5",
    base_url=os.environ["BASE_URL"],
    api_key=os.environ["API_KEY"],
    max_retries=0,
    use_responses_api=os.environ["SURFACE"] == "responses",
    stream_usage=True,
).bind_tools([add])

messages = []
for prompt in ["Add up.", "And now?"]:
    messages.append(HumanMessage(prompt))
    while True:
        if os.environ.get("STREAM"):
            message = None
            for chunk in model.stream(messages):
                message = chunk if message is None else message + chunk
        else:
            message = model.invoke(messages)
        assert message.usage_metadata["total_tokens"] > 0, message
        messages.append(message)
        if not message.tool_calls:
            break
        messages += [add.invoke(call) for call in message.tool_calls]
    print(message.text)
