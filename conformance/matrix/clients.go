package main

// A client is a real program or library that the tests drive. Its row says where its version stands and which tests show what.
type client struct {
	// name is as the page shows it.
	name string
	// lock is the file that its version is read from, below the conformance folder, and pack its package there.
	lock, pack string
	shows      []shown
}

// shown is a capability and the tests that show it: the package's folder and, joined by slashes, the names of a test and of its
// subtests. A * in the last part is any text. All of them have to pass.
type shown struct{ capability, pkg, test string }

// The capabilities, in the order of the page.
const (
	text       = "text"
	streaming  = "streaming"
	tools      = "tools"
	reasoning  = "reasoning"
	images     = "images"
	structured = "structured output"
	resume     = "one run for a tool loop"
	goesOn     = "conversation goes on"
	errors     = "errors"
	setUp      = "setup, verify, undo"
)

var capabilities = []string{text, streaming, tools, reasoning, images, structured, resume, goesOn, errors, setUp}

// an agent's task streams, thinks, talks and calls tools, and its test counts the runs upstream.
func task(pkg, test string) []shown {
	var all []shown
	for _, capability := range []string{text, streaming, tools, reasoning, resume} {
		all = append(all, shown{capability, pkg, test})
	}
	return all
}

// setup is the row of a client of conformance/setup.
func setup(id string) shown { return shown{setUp, "setup", "TestSetupVerifyUndo/" + id} }

// loop is the tool loop of a Python client, both whole and streamed.
func loop(script string) []shown {
	const test = "TestAToolLoopIsOneRun/"
	var all []shown
	for _, capability := range []string{text, tools, reasoning, resume, goesOn} {
		all = append(all, shown{capability, "python", test + script + "*"})
	}
	return append(all, shown{streaming, "python", test + script + "*stream=true"})
}

// rows puts lists together.
func rows(groups ...[]shown) []shown {
	var all []shown
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

const (
	// The lock files, below the conformance folder.
	npm    = "package-lock.json"
	agents = "agents/package-lock.json"
	pypi   = "python/requirements.txt"
)

// clients are all, in the order of the page. A new folder or table row of tests with a client joins them; matrix_test.go knows
// which there are.
var clients = []client{
	{"OpenCode", npm, "opencode-linux-x64", rows(task("opencode", "TestOpenCodeCompletesATask/*"), []shown{{goesOn, "opencode", "TestOpenCodeContinuesAConversation/*"}, setup("opencode")})},
	{"Codex", npm, "@openai/codex", rows(task("codex", "TestCodexEditsAFile"), []shown{
		{structured, "codex", "TestCodexGetsWhatFitsTheSchema"}, {goesOn, "codex", "TestCodexContinuesAConversation"}, {goesOn, "codex", "TestCodexCompactsItsConversation"},
		{streaming, "codex", "TestCodexSpeaksOverAWebSocket"}, setup("codex"),
	})},
	{"Claude Code", npm, "@anthropic-ai/claude-code-linux-x64", rows(task("claudecode", "TestATaskIsOneRun"), []shown{
		{images, "claudecode", "TestAnImageReachesTheModel"}, {goesOn, "claudecode", "TestASessionIsContinued"}, {goesOn, "claudecode", "TestAConversationThatIsTooLongIsCompacted"},
		{tools, "claudecode", "TestToolsThatAreFoundLaterAreOffered"}, {errors, "claudecode", "TestErrorsAreShown/*"}, setup("claude"),
	})},
	{"Copilot CLI", npm, "@github/copilot-linux-x64", rows(task("copilot", "TestATaskIsOneRun"), []shown{setup("copilot")})},
	{"pi", agents, "@earendil-works/pi-coding-agent", rows(task("agents", "TestAnAgentDoesItsTaskOnOneRun/pi*"), []shown{setup("pi")})},
	{"Qwen Code", agents, "@qwen-code/qwen-code", rows(task("agents", "TestAnAgentDoesItsTaskOnOneRun/qwen*"), []shown{setup("qwen")})},
	{"Cline CLI", agents, "@cline/cli-linux-x64", rows(task("agents", "TestAnAgentDoesItsTaskOnOneRun/cline"), []shown{setup("cline")})},
	{"Continue CLI", "setup/package-lock.json", "@continuedev/cli", []shown{{text, "setup", "TestSetupVerifyUndo/continue"}, {tools, "setup", "TestSetupVerifyUndo/continue"}, setup("continue")}},
	{"Kilo CLI", "setup/package-lock.json", "@kilocode/cli-linux-x64", []shown{{text, "setup", "TestSetupVerifyUndo/kilo"}, {tools, "setup", "TestSetupVerifyUndo/kilo"}, setup("kilo")}},
	{"aider", "python/aider.txt", "aider-chat", []shown{{text, "python", "TestAiderEditsAFile"}, setup("aider")}},
	{"OpenAI SDK, TypeScript", npm, "openai", []shown{
		{text, "openai", "TestChat/create"}, {text, "openai", "TestResponses/create"}, {streaming, "openai", "TestChat/stream*"}, {streaming, "openai", "TestResponses/stream*"},
		{tools, "openai", "TestChat/run-tools*"}, {tools, "openai", "TestResponses/tool*"}, {resume, "openai", "TestChat/run-tools*"}, {resume, "openai", "TestResponses/tool*"},
		{images, "openai", "TestChat/images"}, {images, "openai", "TestResponses/images"}, {structured, "openai", "TestChat/parse*"}, {structured, "openai", "TestResponses/parse*"},
		{goesOn, "openai", "TestChat/conversation"}, {goesOn, "openai", "TestResponses/conversation*"}, {errors, "openai", "TestChat/*errors"}, {errors, "openai", "TestResponses/errors"},
	}},
	{"AI SDK", npm, "ai", []shown{
		{text, "aisdk", "TestChat/generate"}, {text, "aisdk", "TestResponses/generate"}, {streaming, "aisdk", "TestChat/stream"}, {streaming, "aisdk", "TestResponses/stream"},
		{tools, "aisdk", "TestChat/tools*"}, {tools, "aisdk", "TestResponses/tools*"}, {resume, "aisdk", "TestChat/tools*"}, {resume, "aisdk", "TestResponses/tools*"},
		{images, "aisdk", "TestChat/images"}, {images, "aisdk", "TestResponses/images"}, {structured, "aisdk", "TestChat/output*"}, {structured, "aisdk", "TestResponses/output*"},
		{goesOn, "aisdk", "TestChat/conversation"}, {goesOn, "aisdk", "TestResponses/conversation"}, {errors, "aisdk", "TestChat/error"}, {errors, "aisdk", "TestResponses/error"},
	}},
	{"Anthropic SDK, TypeScript", npm, "@anthropic-ai/sdk", []shown{
		{text, "anthropic", "TestMessages/create"}, {streaming, "anthropic", "TestMessages/stream"}, {tools, "anthropic", "TestMessages/tools"}, {resume, "anthropic", "TestMessages/tools"},
		{images, "anthropic", "TestMessages/images"}, {structured, "anthropic", "TestMessages/parse"}, {errors, "anthropic", "TestMessages/errors"},
	}},
	{"OpenAI SDK, Python", pypi, "openai", rows(loop("openai_chat"), loop("openai_responses"), []shown{{structured, "python", "TestObjectsOfAnswers/openai*"}, {resume, "python", "TestAToolLoopOnAWebSocketIsOneRun"}})},
	{"Anthropic SDK, Python", pypi, "anthropic", loop("anthropic")},
	{"OpenAI Agents", pypi, "openai-agents", rows(loop("openai_agents"), []shown{{structured, "python", "TestObjectsOfAnswers/agents*"}})},
	{"LangChain", pypi, "langchain-openai", loop("langchain_chat")},
	{"LiteLLM", pypi, "litellm", loop("litellm_chat")},
	{"Pydantic AI", pypi, "pydantic-ai-slim", loop("pydantic_ai_agent")},
	{"instructor", "python/instructor.txt", "instructor", []shown{{structured, "python", "TestObjectsOfAnswers/instructor*"}}},
}
