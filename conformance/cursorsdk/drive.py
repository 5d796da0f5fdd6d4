"""Cursor's SDK for Python: two tools of ours are run in this process, and the conversation goes on afterwards.

Prints one JSON object a turn: what a user of the SDK sees.
"""
import json
import os

from cursor_sdk import Client, CustomTool

work = os.environ["WORK"]


def read(arguments, context):
    with open(os.path.join(work, arguments["path"])) as file:
        return file.read()


def edit(arguments, context):
    text = read(arguments, context).replace(arguments["old"], arguments["new"])
    with open(os.path.join(work, arguments["path"]), "w") as file:
        file.write(text)
    return text


def schema(*names):
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": list(names)}


def turn(agent, message):
    run = agent.send(message)
    text = "".join(run.iter_text())
    result = run.wait()
    usage = result.usage
    print(json.dumps({"text": text, "status": result.status, "tokens": [usage.input_tokens, usage.output_tokens]}), flush=True)


with Client.launch_bridge(workspace=work) as client:
    agent = client.create_agent({
        "model": {"id": "composer-2.5", "params": [{"id": "fast", "value": "false"}]},
        "api_key": os.environ["API_KEY"],
        "tools": ["mcp"],
        "local": {
            "cwd": work,
            "setting_sources": [],
            "custom_tools": {
                "read": CustomTool(read, "Reads a file.", schema("path")),
                "edit": CustomTool(edit, "Edits a file.", schema("path", "old", "new")),
            },
        },
    })
    turn(agent, "Correct the list.")
    turn(agent, "And now?")
