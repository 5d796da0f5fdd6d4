"""Lets aider edit a file without a person, and prints the file."""

import os
import sys

from aider.main import main

with open("greeting.txt", "w") as f:
    f.write("Hello.\n")
ended = main([
    "--model", "openai/composer-2.5", "--openai-api-base", os.environ["BASE_URL"], "--openai-api-key", os.environ["API_KEY"],
    "--edit-format", "diff", "--message", "Greet the world.", "greeting.txt",
    "--yes-always", "--no-git", "--no-pretty", "--no-analytics", "--no-check-update", "--no-show-model-warnings",
    "--no-show-release-notes", "--no-detect-urls", "--map-tokens", "0",
])
if ended:
    sys.exit(ended)
with open("greeting.txt") as f:
    print("the file:", f.read())
