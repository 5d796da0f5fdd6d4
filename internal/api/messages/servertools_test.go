package messages

import "testing"

// The log names the tools that were left out, and nothing that a client has put in the place of a type.
func TestServerToolsAreThoseThatAnthropicHasPublished(t *testing.T) {
	for name, want := range map[string]bool{
		"web_search_20250305": true, "tool_search_tool_bm25": true, "tool_search_tool_regex_20251119": true, "mcp_toolset": true,
		"web_search_hunter2": false, "my_secret": false, "web_search_202503051234": false,
	} {
		if got := isServerTool(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
