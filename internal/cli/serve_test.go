package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"composer-api/internal/cli"
)

// A server is `composer-api serve` in this process.
type server struct {
	url  string
	line string // what it said when it began to listen
	stop context.CancelFunc
	exit chan int
	rest *lockedBuffer // what it has said since
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve starts a server on a free port, with args and no settings but environ.
func serve(t *testing.T, environ []string, args ...string) *server {
	t.Helper()
	t.Chdir(t.TempDir()) // without the settings of whoever runs the tests
	environ = append(environ, "HOME="+t.TempDir())
	stderr, w := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	s := &server{stop: cancel, exit: make(chan int, 1), rest: &lockedBuffer{}}
	go func() {
		s.exit <- cli.Main(ctx, append([]string{"serve", "--addr=127.0.0.1:0"}, args...), environ, strings.NewReader(""), io.Discard, w)
		w.Close()
	}()
	s.listen(t, stderr)
	t.Cleanup(func() {
		cancel()
		if s.exit != nil {
			<-s.exit
		}
	})
	return s
}

var listens = regexp.MustCompile(`^composer-api listens on (https?://\S+)`)

// listen waits for the lines that say where the server listens, and how to go on.
func (s *server) listen(t *testing.T, stderr io.Reader) {
	t.Helper()
	r := bufio.NewReader(stderr)
	for last := false; !last; {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("the server ended: %s%s", s.rest, line)
		}
		if m := listens.FindStringSubmatch(line); m != nil {
			s.url = m[1]
		}
		if s.url == "" {
			io.WriteString(s.rest, line)
			continue
		}
		s.line += line
		last = strings.HasPrefix(line, "  next")
	}
	go io.Copy(s.rest, r)
}

// post sends a chat completion. The caller closes the answer's body.
func (s *server) post(t *testing.T, body string, header ...string) *http.Response {
	t.Helper()
	return s.send(t, "/v1/chat/completions", body, header...)
}

// send posts JSON with further headers, each a name and a value. The caller closes the answer's body.
func (s *server) send(t *testing.T, path, body string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func bodyOf(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("after %q: %v", data, err)
	}
	return string(data)
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, bodyOf(t, resp)
}

func TestServeWithoutAnUpstreamSaysWhatToSet(t *testing.T) {
	s := serve(t, nil)
	if !strings.Contains(s.line, "composer-api upstream install") || !strings.Contains(s.line, "--demo") {
		t.Errorf("it said %q", s.line)
	}
	if status, body := get(t, s.url+"/healthz"); status != 200 {
		t.Errorf("healthz: status %d: %s", status, body)
	}
	if status, body := get(t, s.url+"/readyz"); status != 503 || !strings.Contains(body, `"upstream":"not_configured"`) {
		t.Errorf("readyz: status %d: %s", status, body)
	}
	if status, body := s.getWith(t, "/v1/models", directCursorKey); status != 503 || !strings.Contains(body, "composer-api upstream install") {
		t.Errorf("the list of models: status %d: %s", status, body)
	}
	resp := s.post(t, `{"model":"composer-2.5","messages":[{"role":"user","content":"hi"}]}`, "Authorization", "Bearer crsr_x")
	body := bodyOf(t, resp)
	if resp.StatusCode != 503 {
		t.Fatalf("status %d: %s", resp.StatusCode, body)
	}
	for _, want := range []string{"composer-api upstream install", "--demo"} {
		if !strings.Contains(body, want) {
			t.Errorf("the answer does not name %s: %s", want, body)
		}
	}
}

func TestDemoAnswersWithoutAKey(t *testing.T) {
	s := serve(t, nil, "--demo")
	if !strings.Contains(s.line, "upstreams: demo") {
		t.Errorf("it said %q", s.line)
	}
	resp := s.post(t, `{"model":"composer-2.5","messages":[{"role":"user","content":"sim: text {line} it is"}]}`)
	body := bodyOf(t, resp)
	var answer struct {
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || len(answer.Choices) != 1 {
		t.Fatalf("status %d: %s", resp.StatusCode, body)
	}
	if got := resp.Header.Get("X-Composer-Upstream"); got != "demo" {
		t.Errorf("x-composer-upstream is %q", got)
	}
	for _, base := range []string{"/opencodev2/v1", "/opencode/v1", "/v1"} {
		if status, body := get(t, s.url+base+"/models"); status != 200 {
			t.Errorf("%s/models: status %d: %s", base, status, body)
		}
	}
}

func TestLegacyCompletionsAreBelowEveryBase(t *testing.T) {
	s := serve(t, nil, "--demo")
	for _, base := range []string{"/v1", "/opencodev2/v1", "/opencode/v1"} {
		const ask = `{"model":"composer-2.5","prompt":"sim: text upon a time","echo":true}`
		if status, body := s.postTo(t, base+"/completions", "", ask); status != 200 || !strings.Contains(body, `"text":"sim: text upon a timeupon a time"`) {
			t.Errorf("%s: status %d: %s", base, status, body)
		}
	}
}

const (
	holding  = `{"model":"composer-2.5","stream":true,"messages":[{"role":"user","content":"sim: text begun\nsim: delay 1s\nsim: text finished"}]}`
	hanging  = `{"model":"composer-2.5","stream":true,"messages":[{"role":"user","content":"sim: text begun\nsim: delay 1h\nsim: text finished"}]}`
	toolCall = `{"model":"composer-2.5","stream":true,"tools":[{"type":"function","function":{"name":"look"}}],"messages":[{"role":"user","content":"sim: call look {}\nsim: text {result 1}"}]}`
)

// begin posts a stream and waits for its first word.
func begin(t *testing.T, s *server, body string) (*http.Response, *bufio.Reader) {
	t.Helper()
	resp := s.post(t, body)
	r := bufio.NewReader(resp.Body)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream ended early: %v", err)
		}
		if strings.Contains(line, "begun") {
			return resp, r
		}
	}
}

func TestShutdownLetsStreamsFinish(t *testing.T) {
	s := serve(t, nil, "--demo")
	bodyOf(t, s.post(t, toolCall)) // leaves a parked run, which must not hold anything up
	resp, r := begin(t, s, holding)
	defer resp.Body.Close()
	s.stop()
	rest, err := io.ReadAll(r)
	if err != nil || !strings.Contains(string(rest), "finished") || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
		t.Errorf("the stream was cut: %v\n%s", err, rest)
	}
	if code := <-s.exit; code != 0 {
		t.Errorf("exit code %d:\n%s", code, s.rest)
	}
	s.exit = nil
}

func TestShutdownCutsStreamsOffAtTheEndOfTheGracePeriod(t *testing.T) {
	s := serve(t, nil, "--demo", "--grace=100ms")
	resp, r := begin(t, s, hanging)
	defer resp.Body.Close()
	s.stop()
	rest, err := io.ReadAll(r)
	if err != nil || !strings.Contains(string(rest), `"error"`) || strings.Contains(string(rest), "[DONE]") {
		t.Errorf("the stream does not end in an error: %v\n%s", err, rest)
	}
	if code := <-s.exit; code != 0 {
		t.Errorf("exit code %d:\n%s", code, s.rest)
	}
	s.exit = nil
}

// program is a command of composer-api in a process of its own.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Args[0] = "composer-api" // see TestMain
	cmd.Path, _ = exec.LookPath("composer-api")
	cmd.Dir = t.TempDir()
	return cmd
}

// A terminal in which somebody marks text or has pressed Ctrl-S takes no more lines, and a reader of a pipe may hang or end.
func TestALogThatNobodyReadsHoldsUpNobody(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such signals")
	}
	cmd := program(t, "serve", "--demo", "--addr=127.0.0.1:0")
	stderr, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	// One byte at a time, so that nothing is read beyond the banner.
	var printed string
	for !strings.Contains(printed, "\n  next") {
		one := make([]byte, 1)
		if _, err := stderr.Read(one); err != nil {
			t.Fatalf("%q: %v", printed, err)
		}
		printed += string(one)
	}
	url := regexp.MustCompile(`http://[0-9.:]+`).FindString(printed)
	client := &http.Client{Timeout: 20 * time.Second} // a failure of this test, not its course
	ask := func() {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v1/models", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Request-Id", strings.Repeat("x", 128)) // a long line
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if bodyOf(t, resp); resp.StatusCode != http.StatusOK {
			t.Fatalf("status %d", resp.StatusCode)
		}
	}
	// A pipe holds 64 KiB.
	for range 400 {
		ask()
	}
	stderr.Close()
	ask()
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestSignalsEndTheProcessWithExitCode0 has SIGHUP twice, as a program gets it whose terminal is closed: from the kernel and from
// the shell.
func TestSignalsEndTheProcessWithExitCode0(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such signals")
	}
	// A program inherits that a signal is ignored, as SIGHUP is under nohup; one that is caught has its usual effect there.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	defer signal.Stop(caught)
	for _, signals := range [][]os.Signal{{syscall.SIGTERM}, {os.Interrupt}, {syscall.SIGHUP, syscall.SIGHUP}} {
		cmd := program(t, "serve", "--demo", "--addr=127.0.0.1:0")
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		s := &server{rest: &lockedBuffer{}}
		s.listen(t, stderr)
		if status, _ := get(t, s.url+"/readyz"); status != 200 {
			t.Errorf("readyz: status %d", status)
		}
		for _, sig := range signals {
			cmd.Process.Signal(sig)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v\n%s", signals, err, s.rest)
		}
	}
}

// TestTheDemoNeverUsesTheNetwork has a server stand for everything that a setting or a request can name.
func TestTheDemoNeverUsesTheNetwork(t *testing.T) {
	world := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s was asked for", r.Method, r.URL) }))
	defer world.Close()
	db := filepath.Join(t.TempDir(), "mine.db")
	s := serve(t, []string{
		"ENCRYPTION_KEY=correct horse battery staple", "COMPOSER_DB=" + db, "CURSOR_API_BASE=" + world.URL, "CURSOR_BACKEND_BASE_URL=" + world.URL,
		"CURSOR_LOCAL_AGENT_ENDPOINT=/run", "COMPOSER_WAITLIST_FALLBACK_URL=" + world.URL, "HTTP_PROXY=" + world.URL,
	}, "--demo")
	for _, tt := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"/api/signup", `{"cursorApiKey":"` + directCursorKey + `"}`, 503, "Sign-up is off in the demo"},
		{"/api/early-access", `{"name":"A","email":"a@b.example"}`, 503, "The waiting list is off in the demo"},
		{"/v1/chat/completions", `{"model":"composer-2.5","messages":[{"role":"user","content":[{"type":"text","text":"sim: text fine"},{"type":"image_url","image_url":{"url":"` + world.URL + `/a.png"}}]}]}`, 200, "fine"},
		{"/v1/responses", `{"model":"composer-2.5","input":"sim: text kept"}`, 200, "kept"},
	} {
		if status, body := s.postTo(t, tt.path, directCursorKey, tt.body); status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s: status %d: %s", tt.path, status, body)
		}
	}
	if status, body := get(t, s.url+"/readyz"); status != 200 {
		t.Errorf("readyz: status %d: %s", status, body)
	}
	if _, err := os.Stat(db); err == nil {
		t.Error("the demo made the database of a real gateway")
	}
}

func TestAliasesAreOffUnlessTheyAreSet(t *testing.T) {
	const asked = `{"model":"gpt-4o","messages":[{"role":"user","content":"sim: text fine"}]}`
	if resp := serve(t, nil, "--demo").post(t, asked); resp.StatusCode != 404 {
		t.Errorf("without: status %d: %s", resp.StatusCode, bodyOf(t, resp))
	}
	resp := serve(t, []string{"COMPOSER_ALIASES=gpt-*=composer-2.5, claude-*=composer-2.5-fast"}, "--demo").post(t, asked)
	if body := bodyOf(t, resp); resp.StatusCode != 200 || resp.Header.Get("X-Composer-Model") != "composer-2.5;fast=false" {
		t.Errorf("with: status %d, %v: %s", resp.StatusCode, resp.Header, body)
	}
}

// TestTheFirstThingToTryWorks runs the command line that the server prints, if there is a curl.
func TestTheFirstThingToTryWorks(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	if runtime.GOOS == "windows" {
		t.Skip("the line is for another shell")
	}
	s := serve(t, nil, "--demo")
	found := regexp.MustCompile(`(?m)^  try +(curl .*)$`).FindStringSubmatch(s.line)
	if found == nil {
		t.Fatalf("it says %q", s.line)
	}
	line := found[1]
	out, err := exec.CommandContext(t.Context(), "sh", "-c", line+" --silent --noproxy '*'").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte(`"object":"chat.completion"`)) {
		t.Errorf("%s: %v\n%s", line, err, out)
	}
}

// A PDF is read in the process itself, without a program of the machine's, on every surface.
func TestTheTextOfAPDFReachesTheModel(t *testing.T) {
	pdf, err := os.ReadFile(filepath.Join("..", "gateway", "pdftext", "testdata", "two-pages.pdf"))
	if err != nil {
		t.Fatal(err)
	}
	data := base64.StdEncoding.EncodeToString(pdf)
	s := serve(t, nil, "--demo")
	const prompt = `Read it.\nsim: text {prompt}`
	for path, body := range map[string]string{
		"/v1/chat/completions": `{"model":"composer-2.5","messages":[{"role":"user","content":[{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,` + data + `"}},{"type":"text","text":"` + prompt + `"}]}]}`,
		"/v1/responses":        `{"model":"composer-2.5","input":[{"role":"user","content":[{"type":"input_file","filename":"a.pdf","file_data":"` + data + `"},{"type":"input_text","text":"` + prompt + `"}]}]}`,
		"/v1/messages":         `{"model":"composer-2.5","max_tokens":1000,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"` + data + `"}},{"type":"text","text":"` + prompt + `"}]}]}`,
	} {
		if status, answer := s.postTo(t, path, directCursorKey, body); status != 200 || !strings.Contains(answer, "Hello PDF world") || !strings.Contains(answer, "Page two") {
			t.Errorf("%s: status %d: %s", path, status, answer)
		}
	}
	const broken = `{"model":"composer-2.5","messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"JVBERi0xLjQKYnJva2Vu"}}]}]}`
	if status, answer := s.postTo(t, "/v1/chat/completions", directCursorKey, broken); status != 400 || !strings.Contains(answer, `"param":"messages[0].content[0].file.file_data"`) {
		t.Errorf("a broken one: status %d: %s", status, answer)
	}
}
