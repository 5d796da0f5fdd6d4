package cli_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// marker is what a client says in this test, with a number that tells where. It looks like nothing that we would mask.
const marker = "zqmark"

// A markedRoute is a route whose requests are sent over and over, each time with a marker in another place. A new surface
// is one more row.
type markedRoute struct {
	route  string // method and path; a marker may stand in the path
	body   string // a good request with every field that the route knows; "" for none
	stored bool   // its content belongs into the database
}

// What stands in many requests.
const (
	markedTool   = `{"type":"function","function":{"name":"read","description":"Reads.","strict":true,"parameters":{"type":"object","properties":{"path":{"type":"string","enum":["a"]}},"required":["path"],"additionalProperties":false}}}`
	markedPrompt = `Please.\nsim: think Hm.\nsim: text {prompt}`
	markedImage  = `data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==`
)

var markedRoutes = []markedRoute{
	{route: "POST /v1/chat/completions", body: `{"model":"composer-2.5","stream":true,"stream_options":{"include_usage":true},"messages":[
		{"role":"system","content":"Be kind.","name":"sys"},
		{"role":"user","content":[{"type":"text","text":"Look."},{"type":"image_url","image_url":{"url":"` + markedImage + `","detail":"low"}},
			{"type":"file","file":{"filename":"a.txt","file_data":"data:text/plain;base64,SGk="}}]},
		{"role":"assistant","content":null,"refusal":"no","reasoning_content":"Hm.","tool_calls":[{"id":"call_1","type":"function","function":{"name":"read","arguments":"{\"path\":\"a\"}"}},{"id":"call_2","type":"custom","custom":{"name":"note","input":"x"}}]},
		{"role":"tool","tool_call_id":"call_1","content":"dark"},{"role":"tool","tool_call_id":"call_2","content":"ok"},
		{"role":"user","content":"` + markedPrompt + `"}],
		"tools":[` + markedTool + `,{"type":"custom","custom":{"name":"note","description":"Notes.","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"start: WORD"}}}}],
		"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"read"}}]}},
		"parallel_tool_calls":false,"max_tokens":1000,"max_completion_tokens":1000,"stop":["END"],"reasoning_effort":"low","temperature":1,"top_p":1,"n":1,
		"seed":1,"logit_bias":{"1":1},"verbosity":"low","user":"u","safety_identifier":"s","prompt_cache_key":"k","service_tier":"auto","metadata":{"a":"b"},"store":false}`},
	{route: "POST /v1/chat/completions", body: `{"model":"composer-2.5","messages":[{"role":"user","content":"Please.\nsim: text {}"}],
		"response_format":{"type":"json_schema","json_schema":{"name":"answer","description":"An answer.","strict":true,"schema":{"type":"object","properties":{"a":{"const":"b"}},"required":["a"]}}}}`},
	{route: "POST /v1/chat/completions", body: `{"model":"composer-2.5","messages":[{"role":"user","content":"Please.\nsim: text no"}],"tools":[` + markedTool + `],"tool_choice":{"type":"function","function":{"name":"read"}}}`},
	{route: "POST /v1/chat/completions", body: `{"model":"composer-2.5","functions":[{"name":"read","description":"Reads."}],"function_call":{"name":"read"},"messages":[
		{"role":"user","content":"Look."},{"role":"assistant","function_call":{"name":"read","arguments":"{}"}},{"role":"function","name":"read","content":"Fine.\nsim: text fine"}]}`},
	{route: "POST /v1/chat/completions", body: `{"model":"composer-2.5","messages":[{"role":"user","content":"Please.\nsim: error internal Ouch"}]}`},
	{route: "POST /v1/chat/completions", stored: true, body: `{"model":"composer-2.5","store":true,"metadata":{"a":"b"},"messages":[{"role":"user","content":"Please.\nsim: text Hi"}]}`},
	{route: "POST /v1/chat/completions/chatcmpl-x", body: `{"metadata":{"a":"b"}}`},
	{route: "GET /v1/chat/completions?model=" + marker + "1&after=" + marker + "2&metadata[" + marker + "3]=" + marker + "4"},
	{route: "GET /v1/chat/completions/" + marker},
	{route: "GET /v1/chat/completions/" + marker + "/messages?after=" + marker},
	{route: "DELETE /v1/chat/completions/" + marker},

	{route: "POST /v1/completions", body: `{"model":"composer-2.5","prompt":["` + markedPrompt + `"],"echo":true,"stop":["END"],"max_tokens":10,"user":"u","logit_bias":{"1":1},"temperature":1}`},

	{route: "POST /v1/responses", body: `{"model":"composer-2.5","store":false,"stream":true,"instructions":"Be kind.","input":[
		{"type":"message","role":"developer","content":"x"},
		{"type":"message","role":"user","id":"msg_1","content":[{"type":"input_text","text":"Look."},{"type":"input_image","image_url":"` + markedImage + `","detail":"low"},
			{"type":"input_file","filename":"a.txt","file_data":"SGk=","file_url":"https://a.example/b","file_id":"file-1"}]},
		{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"Hm."}],"encrypted_content":"gAAAA"},
		{"type":"function_call","call_id":"call_1","name":"read","namespace":"files","arguments":"{}","status":"completed"},
		{"type":"function_call_output","call_id":"call_1","output":"dark"},
		{"type":"custom_tool_call","call_id":"call_2","name":"note","input":"x"},{"type":"custom_tool_call_output","call_id":"call_2","output":[{"type":"input_text","text":"ok"}]},
		{"type":"shell_call","call_id":"call_3","action":{"commands":["ls"]}},{"type":"shell_call_output","call_id":"call_3","output":[{"stdout":"a","stderr":"b","outcome":{"type":"exit","exit_code":1}}]},
		{"type":"apply_patch_call","call_id":"call_4","operation":{"type":"create_file","path":"a","diff":"+x"}},{"type":"apply_patch_call_output","call_id":"call_4","status":"completed","output":"ok"},
		{"type":"tool_search_call","call_id":"call_5","execution":"client","arguments":{"q":"x"}},{"type":"tool_search_output","call_id":"call_5","tools":[{"type":"function","name":"found"}]},
		{"type":"compaction","encrypted_content":"gAAAA"},{"type":"quantum_call","state":"x"},
		{"type":"message","role":"user","content":"` + markedPrompt + `"}],
		"tools":[{"type":"function","name":"read","description":"Reads.","parameters":{"type":"object"},"strict":true},{"type":"custom","name":"note","format":{"type":"grammar","syntax":"lark","definition":"x"}},
			{"type":"namespace","name":"files","description":"Files.","tools":[{"type":"function","name":"list"}]},{"type":"shell"},{"type":"apply_patch"},{"type":"web_search"}],
		"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"read"}]},"parallel_tool_calls":false,
		"text":{"verbosity":"low"},"reasoning":{"effort":"low","summary":"auto"},"include":["reasoning.encrypted_content"],"max_output_tokens":1000,"max_tool_calls":3,
		"truncation":"auto","metadata":{"a":"b"},"safety_identifier":"s","prompt_cache_key":"k","service_tier":"auto","user":"u","temperature":1}`},
	{route: "POST /v1/responses", body: `{"model":"composer-2.5","store":false,"background":true,"input":"Please.\nsim: text Hi"}`},
	{route: "POST /v1/responses", body: `{"model":"composer-2.5","store":false,"input":"Please.\nsim: text {}","text":{"format":{"type":"json_schema","name":"answer","description":"x","strict":true,"schema":{"type":"object","properties":{"a":{"const":"b"}},"required":["a"]}}}}`},
	{route: "POST /v1/responses", body: `{"model":"composer-2.5","store":false,"previous_response_id":"resp_x","input":"Hi"}`},
	{route: "POST /v1/responses", body: `{"model":"composer-2.5","store":false,"conversation":{"id":"conv_x"},"input":"Hi"}`},
	{route: "POST /v1/responses", body: `{"model":"composer-2.5","store":false,"prompt":{"id":"pmpt_1","variables":{"a":"b"}},"input":[{"type":"item_reference","id":"msg_x"}]}`},
	{route: "POST /v1/responses", stored: true, body: `{"model":"composer-2.5","metadata":{"a":"b"},"instructions":"Be kind.","input":[{"role":"user","content":"Please.\nsim: text Hi"}]}`},
	{route: "POST /v1/responses/input_tokens", body: `{"model":"composer-2.5","instructions":"Be kind.","input":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","name":"read"}]}`},
	{route: "POST /v1/responses/compact", body: `{"model":"composer-2.5","instructions":"Be kind.","input":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}]}`},
	{route: "GET /v1/responses/" + marker + "?stream=true&starting_after=" + marker},
	{route: "GET /v1/responses/" + marker + "/input_items?after=" + marker + "&include=" + marker},
	{route: "POST /v1/responses/" + marker + "/cancel"},
	{route: "DELETE /v1/responses/" + marker},

	{route: "POST /v1/conversations", stored: true, body: `{"metadata":{"a":"b"},"items":[{"type":"message","role":"user","content":"Hi"},{"type":"function_call","call_id":"call_1","name":"read","arguments":"{}"}]}`},
	{route: "POST /v1/conversations/" + marker + "/items", body: `{"items":[{"type":"message","role":"user","content":"Hi"}]}`},
	{route: "GET /v1/conversations/" + marker + "/items/" + marker},

	{route: "POST /v1/messages", body: `{"model":"composer-2.5","max_tokens":1000,"stream":true,"system":[{"type":"text","text":"Be kind."}],"messages":[
		{"role":"user","content":[{"type":"text","text":"Look."},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}},
			{"type":"document","title":"A","context":"B","source":{"type":"base64","media_type":"application/pdf","data":"SGk="}}]},
		{"role":"assistant","content":[{"type":"thinking","thinking":"Hm.","signature":"x"},{"type":"tool_use","id":"toolu_1","name":"read","input":{"path":"a"}}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","is_error":false,"content":[{"type":"text","text":"dark"}]},{"type":"text","text":"` + markedPrompt + `"}]}],
		"tools":[{"name":"read","description":"Reads.","input_schema":{"type":"object","properties":{"path":{"type":"string"}}}},{"type":"web_search_20250305","name":"web_search"}],"tool_choice":{"type":"auto","disable_parallel_tool_use":true},
		"stop_sequences":["END"],"metadata":{"user_id":"u"},"thinking":{"type":"enabled","budget_tokens":1024},"temperature":1,"service_tier":"auto"}`},
	{route: "POST /v1/messages", body: `{"model":"composer-2.5","max_tokens":1000,"messages":[{"role":"user","content":"Please.\nsim: error internal Ouch"}]}`},
	{route: "POST /v1/messages/count_tokens", body: `{"model":"composer-2.5","system":"Be kind.","messages":[{"role":"user","content":"Hi"}]}`},

	{route: "GET /v1/models/" + marker},
	{route: "POST /v1/" + marker, body: `{"a":"b"}`},
	{route: "POST /api/early-access", body: `{"name":"Ann","email":"ann@example.com"}`},
	{route: "POST /api/signup", body: `{"cursorApiKey":"crsr_x","name":"Ann","email":"ann@example.com"}`},
}

// What a client says reaches neither the log, at any level, nor the metrics, nor the database unless it is to be stored.
// A marker stands in turn in the place of every value of every request, of every type, and beside it as the name and the
// value of a member that nobody knows.
func TestWhatAClientSaysStaysBetweenItAndTheModel(t *testing.T) {
	environ := []string{"COMPOSER_PARK_TIMEOUT=1s"}
	for name, value := range sim(t, "--calm") {
		environ = append(environ, name+"="+value)
	}
	folder := t.TempDir()
	s := serve(t, append(environ, "COMPOSER_DB="+filepath.Join(folder, "composer.db")), "--log=debug")
	send := &markedSender{t: t, url: s.url, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: markedWorkers}}}
	for _, stored := range []bool{false, true} {
		for _, r := range markedRoutes {
			if r.stored == stored {
				send.all(&r)
			}
		}
		send.done.Wait()
		if status, metrics := get(t, s.url+"/metrics"); status == 200 {
			nothingMarked(t, "the metrics", metrics, send.sent)
		}
		if stored {
			break
		}
		files, err := filepath.Glob(filepath.Join(folder, "*"))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			nothingMarked(t, filepath.Base(file), string(data), send.sent)
		}
	}
	s.stop()
	<-s.exit
	s.exit = nil
	if !strings.Contains(s.rest.String(), "POST") {
		t.Fatalf("there is no line of a request in the log, so this proves nothing: %s", s.rest)
	}
	nothingMarked(t, "the log", s.rest.String(), send.sent)
	if data, err := os.ReadFile(filepath.Join(folder, "composer.db")); err != nil || !strings.Contains(string(data), marker) {
		t.Errorf("what is to be stored isn't in the database either, so this proves nothing (%v)", err)
	}
	t.Logf("%d requests", len(send.sent))
}

var marked = regexp.MustCompile(marker + `[0-9]*`)

// nothingMarked fails for each line that holds a marker, with what was sent.
func nothingMarked(t *testing.T, where, text string, sent []string) {
	t.Helper()
	const most = 10
	found := 0
	for line := range strings.Lines(text) {
		for _, mark := range marked.FindAllString(line, -1) {
			if found++; found > most {
				return
			}
			what := "a path"
			if n, err := strconv.Atoi(strings.TrimPrefix(mark, marker)); err == nil && n < len(sent) {
				what = sent[n]
			}
			t.Errorf("%s holds the marker of %s:\n%.500q", where, what, line)
		}
	}
}

// markedWorkers is how many requests are on their way at once.
const markedWorkers = 4

// A markedSender sends requests with markers and remembers which marker was where.
type markedSender struct {
	t      *testing.T
	url    string
	client *http.Client

	done sync.WaitGroup
	slot chan struct{}
	sent []string // where the marker with this number was; for the goroutine of the test alone
}

// all sends every variant of a route's request.
func (s *markedSender) all(r *markedRoute) {
	s.t.Helper()
	method, path, _ := strings.Cut(r.route, " ")
	if r.body == "" {
		s.send(method, path, "")
		return
	}
	var doc any
	if err := json.Unmarshal([]byte(r.body), &doc); err != nil {
		s.t.Fatalf("%s: %v", r.route, err)
	}
	s.send(method, path, r.body) // unmarked, so that the log has what it says of a good request
	walkMarked(&doc, r.route, func(where string) {
		body, err := json.Marshal(doc)
		if err != nil {
			s.t.Fatal(err)
		}
		s.send(method, path, string(body))
	}, func(where string) string {
		s.sent = append(s.sent, where)
		return marker + strconv.Itoa(len(s.sent)-1)
	})
}

// send sends one request, and reads its answer to the end.
func (s *markedSender) send(method, path, body string) {
	if s.slot == nil {
		s.slot = make(chan struct{}, markedWorkers)
	}
	s.slot <- struct{}{}
	s.done.Go(func() {
		defer func() { <-s.slot }()
		req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
		if err != nil {
			s.t.Error(err)
			return
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+directCursorKey)
		req.Header.Set("X-Session-Affinity", marker+" session")
		req.Header.Set("User-Agent", marker+" agent")
		resp, err := s.client.Do(req)
		if err != nil {
			s.t.Error(err)
			return
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			s.t.Errorf("%s %s: %v", method, path, err)
		}
		if resp.StatusCode == http.StatusInternalServerError && path != "/v1/messages" { // where upstream's faults are 500, too
			s.t.Errorf("%s %s with %s is our fault", method, path, body)
		}
	})
}

// walkMarked changes the document at v in one place after the other, calls try for each, and changes it back. mark gives
// the marker for a place. Texts keep what a script needs: a marker goes before its first line.
func walkMarked(v *any, where string, try func(where string), mark func(where string) string) {
	was := *v
	swap := func(how string, other func(m string) any) {
		*v = other(mark(where + " " + how))
		try(where)
		*v = was
	}
	switch value := was.(type) {
	case map[string]any:
		swap("as a text", func(m string) any { return m })
		swap("with another member", func(m string) any {
			wider := map[string]any{m: m}
			for name, member := range value {
				wider[name] = member
			}
			return wider
		})
		for _, name := range sortedNames(value) {
			member := value[name]
			walkMarked(&member, where+"."+name, func(at string) {
				value[name] = member
				try(at)
			}, mark)
			value[name] = member
		}
	case []any:
		swap("as a text", func(m string) any { return m })
		swap("with another element", func(m string) any { return append([]any{m}, value...) })
		for i := range value {
			walkMarked(&value[i], fmt.Sprintf("%s[%d]", where, i), try, mark)
		}
	case string:
		swap("", func(m string) any {
			if first, rest, ok := strings.Cut(value, "\n"); ok {
				return first + " " + m + "\n" + rest
			}
			return m
		})
		swap("as an object", func(m string) any { return map[string]any{m: m} })
	default:
		swap("as a text", func(m string) any { return m })
	}
}

func sortedNames(object map[string]any) []string {
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
