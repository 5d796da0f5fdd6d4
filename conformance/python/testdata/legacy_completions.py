"""Legacy completions by OpenAI's own SDK, LiteLLM and LangChain: one prompt and two, whole and as streams."""

import os

import litellm
import openai
from langchain_openai import OpenAI

litellm.suppress_debug_info = True  # it prints hints about models that it has no prices of
base, key = os.environ["BASE_URL"], os.environ["API_KEY"]
client = openai.OpenAI(base_url=base, api_key=key, max_retries=0)
model = "composer-2.5"

answer = client.completions.create(model=model, prompt="Once", max_tokens=100, echo=True)
print(answer.object, answer.choices[0].finish_reason, repr(answer.choices[0].text), answer.usage.total_tokens)
answer = client.completions.create(model=model, prompt=["Once", "Twice"])
print([(choice.index, choice.text) for choice in answer.choices], answer.usage.total_tokens)
chunks = list(client.completions.create(model=model, prompt="Once", stream=True, stream_options={"include_usage": True}))
print("".join(chunk.choices[0].text for chunk in chunks[:-1]), chunks[-2].choices[0].finish_reason, chunks[-1].usage.total_tokens)
try:
    client.completions.create(model=model, prompt="Once", suffix="The end.")
except openai.BadRequestError as e:
    print(e.param, e.code)

ask = {"model": f"text-completion-openai/{model}", "prompt": "Once", "api_base": base, "api_key": key, "max_retries": 0}
answer = litellm.text_completion(**ask)
print("litellm:", answer.choices[0].text, answer.usage.total_tokens)
print("litellm:", "".join(chunk.choices[0].text or "" for chunk in litellm.text_completion(**ask, stream=True)))

llm = OpenAI(model=model, base_url=base, api_key=key, max_retries=0)
print("langchain:", [generation[0].text for generation in llm.generate(["Once", "Twice"]).generations])
print("langchain:", "".join(llm.stream("Once")))
