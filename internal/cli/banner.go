package cli

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"composer-api/internal/config"
)

// A banner is what serve says when it begins to listen: for a person at a terminal, who wants to know how to go on.
//
//	composer-api listens on http://127.0.0.1:8787 (upstreams: sdkbridge)
//	  base URL  http://127.0.0.1:8787/v1 for OpenAI clients, http://127.0.0.1:8787 for Anthropic's
//	  try       curl http://127.0.0.1:8787/v1/chat/completions -H "Content-Type: application/json" …
//	  next      give your client the base URL, and as its key a Cursor API key (Cursor dashboard, Integrations)
//
// Without an upstream its last line says how to get one, and in the demo how to go on to real models.
//
// It is only text: the server's behaviour does not depend on it. Golden files hold each of its
// forms.
type banner struct {
	addr      net.Addr
	metrics   net.Addr // of the operator's listener; nil when there is none
	upstreams []string
	// The scripted backend of --demo answers, and no key is needed.
	demo  bool
	lends bool   // the server's own key, to whoever sends its token
	goos  string // "windows" has another shell
	// root is what the base URLs of clients begin with, and program how this program is typed.
	root, program string
}

// print writes the banner to w. Its first line is for scripts, too, that wait for the server: they find "listens on" and the
// address, which has the port that was chosen when :0 was asked for.
func (b *banner) print(w io.Writer) {
	scheme, _, _ := strings.Cut(b.root, "://")
	// The address of the first line is the one that the server is bound to, and root can be typed into a client.
	fmt.Fprintf(w, "composer-api listens on %s://%s (%s)\n", scheme, b.addr, upstreamsLine(b.upstreams))
	root := b.root
	fmt.Fprintf(w, "  base URL  %s/v1 for OpenAI clients, %s for Anthropic's\n", root, root)
	if b.metrics != nil {
		fmt.Fprintf(w, "  metrics   http://%s/metrics\n", reachedAt(b.metrics))
	}
	switch {
	// No line to try: every request would be answered with an error.
	case len(b.upstreams) == 0:
		fmt.Fprintf(w, "  next      %s upstream install, then %s serve\n", b.program, b.program)
		return
	case b.demo:
		fmt.Fprintf(w, "  try       %s\n", b.curl(root))
		fmt.Fprintf(w, "  next      these are scripts and no model: for the real ones, %s upstream install, then %s serve\n", b.program, b.program)
		return
	}
	fmt.Fprintf(w, "  try       %s\n", b.curl(root))
	if b.lends {
		fmt.Fprintf(w, "  next      %s setup, or give your client the base URL, and as its key what '%s token' prints\n", b.program, b.program)
		return
	}
	fmt.Fprintln(w, "  next      give your client the base URL, and as its key a Cursor API key (Cursor dashboard, Integrations)")
}

// curl is a command line that asks for an answer. In double quotes it is the same for a Unix shell and for Windows, but
// for the variable.
func (b *banner) curl(root string) string {
	line := "curl " + root + `/v1/chat/completions -H "Content-Type: application/json"`
	if !b.demo {
		key := "$CURSOR_API_KEY"
		switch {
		// cmd.exe has no $(…), so on Windows the key is a variable also where a token would do.
		case b.goos == "windows":
			key = "%CURSOR_API_KEY%"
		case b.lends:
			key = "$(" + b.program + " token)"
		}
		line += ` -H "Authorization: Bearer ` + key + `"`
	}
	const body = `{"model":"composer-2.5","messages":[{"role":"user","content":"Hello"}]}`
	return line + ` -d "` + strings.ReplaceAll(body, `"`, `\"`) + `"`
}

// reachedAt is the address by which this machine reaches addr, with 127.0.0.1 for every interface.
//
// An address with a host stays as it is, IPv6 with its brackets.
func reachedAt(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return fmt.Sprintf("127.0.0.1:%d", tcp.Port)
	}
	return addr.String()
}

// warnOfEverybody warns when other machines can reach the server, which may not be meant. It is only a warning: in a
// container every interface is the right choice.
//
// Only 0.0.0.0 and [::] count. Who names one address of the network knows what they do.
func warnOfEverybody(w io.Writer, addr net.Addr) {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		fmt.Fprintln(w, "composer-api: warning: this server listens on every interface, so that other machines can reach it, and keys come in plain HTTP")
		fmt.Fprintln(w, "hint: listen on 127.0.0.1, or put a TLS proxy before it")
	}
}

// newBanner makes the banner of a server on this machine.
func (p *process) newBanner(addr net.Addr, root config.Root, upstreams []string, demo, lends bool) *banner {
	return &banner{addr: addr, root: string(root), program: p.program(), upstreams: upstreams, demo: demo, lends: lends, goos: runtime.GOOS}
}

// program is how this program is typed: by its name where that leads to it, or else by its path, which works in every folder.
func (p *process) program() string {
	const name = "composer-api"
	path, err := os.Executable()
	// Tests run in a program of another name, and 'go run' in one that is gone afterwards.
	if err != nil || strings.TrimSuffix(filepath.Base(path), ".exe") != name || strings.Contains(path, "go-build") || strings.ContainsAny(path, " '\"") {
		return name
	}
	if found, err := lookPath(p.env.Get("PATH"))(name); err == nil {
		one, err1 := os.Stat(found)
		other, err2 := os.Stat(path)
		if err1 == nil && err2 == nil && os.SameFile(one, other) {
			return name
		}
	}
	return path
}
