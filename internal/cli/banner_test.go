package cli

import (
	"net"
	"strings"
	"testing"
)

func TestTheBannerSaysHowToGoOn(t *testing.T) {
	at := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 8787} }
	for _, tt := range []struct {
		name   string
		banner banner
		want   string
	}{
		{"an upstream", banner{addr: at("127.0.0.1"), root: "http://127.0.0.1:8787", program: "composer-api", upstreams: []string{"localagent", "chat"}}, `composer-api listens on http://127.0.0.1:8787 (upstreams: localagent, chat)
  base URL  http://127.0.0.1:8787/v1 for OpenAI clients, http://127.0.0.1:8787 for Anthropic's
  try       curl http://127.0.0.1:8787/v1/chat/completions -H "Content-Type: application/json" -H "Authorization: Bearer $CURSOR_API_KEY" -d "{\"model\":\"composer-2.5\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}"
  next      give your client the base URL, and as its key a Cursor API key (Cursor dashboard, Integrations)
`},
		{"every interface, on Windows", banner{addr: at("::"), root: "http://127.0.0.1:8787", program: "composer-api", upstreams: []string{"chat"}, goos: "windows"}, `composer-api listens on http://[::]:8787 (upstreams: chat)
  base URL  http://127.0.0.1:8787/v1 for OpenAI clients, http://127.0.0.1:8787 for Anthropic's
  try       curl http://127.0.0.1:8787/v1/chat/completions -H "Content-Type: application/json" -H "Authorization: Bearer %CURSOR_API_KEY%" -d "{\"model\":\"composer-2.5\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}"
  next      give your client the base URL, and as its key a Cursor API key (Cursor dashboard, Integrations)
`},
		{"a key to lend", banner{addr: at("127.0.0.1"), root: "http://127.0.0.1:8787", program: "composer-api", upstreams: []string{"sdkbridge"}, lends: true}, `composer-api listens on http://127.0.0.1:8787 (upstreams: sdkbridge)
  base URL  http://127.0.0.1:8787/v1 for OpenAI clients, http://127.0.0.1:8787 for Anthropic's
  try       curl http://127.0.0.1:8787/v1/chat/completions -H "Content-Type: application/json" -H "Authorization: Bearer $(composer-api token)" -d "{\"model\":\"composer-2.5\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}"
  next      composer-api setup, or give your client the base URL, and as its key what 'composer-api token' prints
`},
		{"the demo", banner{addr: at("127.0.0.1"), root: "http://127.0.0.1:8787", program: "composer-api", upstreams: []string{"demo"}, demo: true}, `composer-api listens on http://127.0.0.1:8787 (upstreams: demo)
  base URL  http://127.0.0.1:8787/v1 for OpenAI clients, http://127.0.0.1:8787 for Anthropic's
  try       curl http://127.0.0.1:8787/v1/chat/completions -H "Content-Type: application/json" -d "{\"model\":\"composer-2.5\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}"
  next      these are scripts and no model: for the real ones, composer-api upstream install, then composer-api serve
`},
		{"no upstream", banner{addr: at("127.0.0.1"), root: "http://127.0.0.1:8787", program: "composer-api"}, `composer-api listens on http://127.0.0.1:8787 (no upstream yet: type 'composer-api upstream install', or use --demo)
  base URL  http://127.0.0.1:8787/v1 for OpenAI clients, http://127.0.0.1:8787 for Anthropic's
  next      composer-api upstream install, then composer-api serve
`},
	} {
		var out strings.Builder
		tt.banner.print(&out)
		if out.String() != tt.want {
			t.Errorf("%s: it says\n%swant\n%s", tt.name, out.String(), tt.want)
		}
	}
}

func TestAServerThatOthersCanReachWarns(t *testing.T) {
	for ip, warns := range map[string]bool{"0.0.0.0": true, "::": true, "127.0.0.1": false, "::1": false, "10.1.2.3": false} {
		var out strings.Builder
		warnOfEverybody(&out, &net.TCPAddr{IP: net.ParseIP(ip), Port: 8787})
		if got := strings.HasPrefix(out.String(), "composer-api: warning: "); got != warns {
			t.Errorf("%s: %q", ip, out.String())
		}
	}
}
