package codex

import (
	"testing"
)

// builtIn is Codex's config.toml with its own provider, which speaks over a WebSocket, at the gateway's address.
const builtIn = `model = "composer-2.5"
openai_base_url = "%s/v1"
check_for_update_on_startup = false
[analytics]
enabled = false
`

// TestCodexSpeaksOverAWebSocket uses the provider that Codex comes with. It opens one connection, names its tools there
// before the task, and sends only what is new after that, with store: false.
func TestCodexSpeaksOverAWebSocket(t *testing.T) {
	t.Parallel()
	c := newCodex(t, `
turn
expect prompt Correct the list.
call exec_command {"cmd":"cat list.txt"}
expect result 1 17
call exec_command {"cmd":"sed -i s/25/26/ list.txt && cat list.txt"}
expect result 2 26
text It is 26 now.
`)
	c.settings = builtIn
	c.WriteFile(c.Work+"/list.txt", "17\n25\n")
	messages := c.run("Correct the list.")
	c.WantFile(c.Work+"/list.txt", "17\n26\n")
	if last := messages[len(messages)-1]; last != "It is 26 now." {
		t.Errorf("Codex ends with %q", last)
	}
	// The recorder sees the request for the connection; what is said over it stays between the two.
	if all := c.recorder.Exchanges("/v1/responses"); len(all) != 1 || all[0].Method != "GET" {
		t.Errorf("Codex sent %d requests, want one for a WebSocket", len(all))
	}
	c.wantRun(2)
}
