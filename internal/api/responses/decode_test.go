package responses

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"composer-api/internal/agent"
	"composer-api/internal/api/known"
	"composer-api/internal/api/openai"
	"composer-api/internal/golden"
)

// Each file of testdata/decode says why it is there, and holds requests (*.json) with what each means for the model
// (*.turn): the agent.Request in a readable form, or the error.
func TestRequestsMeanForTheModel(t *testing.T) {
	golden.Cases(t, "testdata/decode/*.txtar", func(t *testing.T, c *golden.Case) {
		for _, f := range c.Files {
			if name, isRequest := strings.CutSuffix(f.Name, ".json"); isRequest {
				c.Want(t, name+".turn", describe(f.Data))
			}
		}
	})
}

// describe decodes a request and says in lines what it means.
func describe(body []byte) string {
	req, err := Decode(body, known.Sender{})
	if err != nil {
		return describeError(err)
	}
	turn, unknown, err := req.Turn(nil, openTest)
	if err != nil {
		return describeError(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "model %s\n", turn.ModelName)
	for _, flag := range []struct {
		name string
		set  bool
	}{
		{"stream", req.Stream}, {"background", req.Background}, {"not stored", !req.Store}, {"compact", req.Compact},
		{"one call at a time", turn.SerialToolCalls}, {"sealed reasoning", req.encryptedReasoning},
	} {
		if flag.set {
			fmt.Fprintln(&b, flag.name)
		}
	}
	if req.PreviousResponseID != "" {
		fmt.Fprintf(&b, "continues %s\n", req.PreviousResponseID)
	}
	if req.ConversationID != "" {
		fmt.Fprintf(&b, "belongs to %s\n", req.ConversationID)
	}
	if turn.MaxOutputTokens > 0 {
		fmt.Fprintf(&b, "at most %d tokens\n", turn.MaxOutputTokens)
	}
	if turn.Effort != "" {
		fmt.Fprintf(&b, "effort %s\n", turn.Effort)
	}
	switch turn.Format.Kind {
	case agent.JSONObject:
		fmt.Fprintln(&b, "format: a JSON object")
	case agent.JSONSchema:
		fmt.Fprintf(&b, "format: %s %q strict=%v %s\n", turn.Format.Name, turn.Format.Description, turn.Format.Strict, turn.Format.Schema)
	}
	for _, tool := range turn.Tools {
		form := req.tools.forms[tool.Name]
		fmt.Fprintf(&b, "tool %s = %s %s strict=%v: %q %s\n", tool.Name, strings.TrimSuffix(idPrefixes[form.kind], "_"),
			strings.TrimPrefix(form.namespace+"/"+form.name, "/"), tool.Strict, tool.Description, tool.Parameters)
	}
	if mode := turn.ToolChoice.Mode; mode != agent.ToolsAuto || len(turn.ToolChoice.Names) > 0 {
		fmt.Fprintf(&b, "choice %s %v\n", [...]string{"auto", "none", "required"}[mode], turn.ToolChoice.Names)
	}
	if dropped := req.Dropped(); len(dropped) > 0 {
		fmt.Fprintf(&b, "dropped %v\n", dropped)
	}
	if len(unknown) > 0 {
		fmt.Fprintf(&b, "passed on as text %v\n", unknown)
	}
	for i := range turn.Messages {
		describeMessage(&b, &turn.Messages[i])
	}
	return b.String()
}

func describeMessage(b *strings.Builder, m *agent.Message) {
	fmt.Fprint(b, [...]string{agent.System: "system", agent.User: "user", agent.Assistant: "assistant", agent.ToolRole: "tool"}[m.Role])
	if m.CallID != "" {
		fmt.Fprintf(b, " %s", m.CallID)
	}
	if m.IsError {
		fmt.Fprint(b, " failed")
	}
	fmt.Fprintln(b)
	for _, p := range m.Parts {
		switch {
		case p.File != nil && p.File.Fault != nil:
			fmt.Fprintf(b, "\tfile that can't be used, param %q\n", p.File.Fault.Param)
		case p.File != nil:
			fmt.Fprintf(b, "\tfile %q, %d bytes\n", p.File.Name, len(p.File.Data))
		case p.Image == nil:
			fmt.Fprintf(b, "\t%q\n", p.Text)
		case p.Image.URL != "":
			fmt.Fprintf(b, "\timage at %s\n", p.Image.URL)
		case p.Image != nil && p.Image.Fault != nil:
			fmt.Fprintf(b, "\timage that can't be used: %s\n", p.Image.Fault.UserMessage())
		default:
			fmt.Fprintf(b, "\timage %s, %d bytes\n", p.Image.MIME, len(p.Image.Data))
		}
	}
	for _, c := range m.Calls {
		fmt.Fprintf(b, "\tcall %s %s %s\n", c.ID, c.Name, c.Arguments)
	}
}

func describeError(err error) string {
	e := agent.AsError(err)
	return fmt.Sprintf("error %s, param %q\n%s\n", e.Code, e.Param, e.UserMessage())
}

// sealTest and openTest stand in for the real seal: what they seal is base64 behind a mark of its own.
func sealTest(plain []byte) (string, error) {
	return "sealed:" + base64.StdEncoding.EncodeToString(plain), nil
}

func openTest(sealed string) (string, error) {
	text, ok := strings.CutPrefix(sealed, "sealed:")
	switch {
	case strings.HasPrefix(sealed, "lost:"):
		return "", errors.New("sealed with another key")
	case !ok:
		return "", ErrForeign
	}
	plain, err := base64.StdEncoding.DecodeString(text)
	return string(plain), err
}

// What the SDKs and agents really send must never be our fault.
func TestOddInputsAreNeverOurFault(t *testing.T) {
	long := strings.Repeat("You are a coding agent. ", 1000)
	items := make([]string, 200)
	for i := range items {
		items[i] = fmt.Sprintf(`{"type":"message","role":%q,"content":"message %d"}`, []string{"user", "assistant"}[i%2], i)
	}
	for name, body := range map[string]string{
		"20 kB developer prompt": fmt.Sprintf(`{"model":"m","input":[{"type":"message","role":"developer","content":[{"type":"input_text","text":%q}]},{"role":"user","content":"go"}]}`, long),
		"200 items":              `{"model":"m","input":[` + strings.Join(items, ",") + `]}`,
		"content null":           `{"model":"m","input":[{"role":"assistant","content":null},{"role":"user","content":"go"}]}`,
		"no content":             `{"model":"m","input":[{"role":"assistant"},{"role":"user","content":"go"}]}`,
		"null item":              `{"model":"m","input":[null,{"role":"user","content":"go"}]}`,
		"null part":              `{"model":"m","input":[{"role":"user","content":[null,{"type":"text","text":"go"}]}]}`,
		"text item":              `{"model":"m","input":["go"]}`,
		"foreign reasoning":      `{"model":"m","input":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAAA"},{"role":"user","content":"go"}]}`,
		"reasoning, null id":     `{"model":"m","input":[{"type":"reasoning","id":null,"summary":null,"content":null,"encrypted_content":null},{"role":"user","content":"go"}]}`,
		"unknown item":           `{"model":"m","input":[{"type":"quantum_call","state":{"a":[1,2]}},{"role":"user","content":"go"}]}`,
		"unknown fields":         `{"model":"m","input":"go","client_metadata":{"a":1},"stream_options":{"include_obfuscation":false}}`,
		"all null":               `{"model":"m","input":"go","tools":null,"tool_choice":null,"text":null,"reasoning":null,"metadata":null,"store":null,"stream":null,"include":null,"max_output_tokens":null,"temperature":null,"conversation":null,"prompt":null,"previous_response_id":null,"instructions":null}`,
		"number as an item":      `{"model":"m","input":[1]}`,
		"object as input":        `{"model":"m","input":{}}`,
		"empty item":             `{"model":"m","input":[{}]}`,
		"deeply nested":          `{"model":"m","input":[{"type":"x","v":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}]}`,
		"deeply nested tool":     `{"model":"m","input":"go","tools":[{"type":"function","name":"f","parameters":` + strings.Repeat(`{"a":`, 9_990) + `1` + strings.Repeat("}", 9_990) + `}]}`,
		"deeply nested format":   `{"model":"m","input":"go","text":{"format":{"type":"json_schema","name":"n","schema":` + strings.Repeat(`{"a":`, 9_990) + `1` + strings.Repeat("}", 9_990) + `}}}`,
		"deeply nested choice":   `{"model":"m","input":"go","tool_choice":{"type":"function","name":"f","x":` + strings.Repeat(`[`, 9_990) + strings.Repeat("]", 9_990) + `}}`,
		"too deeply nested":      `{"model":"m","input":` + strings.Repeat("[", 50_000) + `}`,
		"invalid UTF-8":          "{\"model\":\"m\",\"input\":\"\xff\xfe\"}",
		"lone surrogate":         `{"model":"m","input":"\ud800","metadata":{"a":"\udc00"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			checkDecode(t, []byte(body))
		})
	}
}

// checkDecode decodes body and everything that follows from it, and checks what must hold for any body.
func checkDecode(t *testing.T, body []byte) {
	req, err := Decode(body, known.Sender{})
	sent := known.New(known.Config{Least: 1}).Of("owner")
	for range 2 {
		again, errAgain := Decode(body, sent)
		if !reflect.DeepEqual(errAgain, err) || err == nil && !reflect.DeepEqual(again.Input, req.Input) {
			t.Errorf("the items were sent before: %+v, %v\nthey were not: %+v, %v", again, errAgain, req, err)
		}
	}
	if err != nil {
		checkClientError(t, err)
		return
	}
	encoded, err := EncodeItems("resp_"+strings.Repeat("x", responseIDRandom), req.Input)
	if err != nil {
		t.Fatalf("the items can't be encoded: %v", err)
	}
	turn, _, err := req.Turn(nil, openTest)
	if err != nil {
		checkClientError(t, err)
		return
	}
	calls := map[string]bool{}
	for i := range turn.Messages {
		m := &turn.Messages[i]
		for _, c := range m.Calls {
			calls[c.ID] = true
			if !validJSON(c.Arguments) {
				t.Errorf("arguments are not JSON: %q", c.Arguments)
			}
		}
		if m.Role == agent.ToolRole && !calls[m.CallID] {
			t.Errorf("a result for a call that nobody made: %q", m.CallID)
		}
	}
	object := req.echo()
	if _, err := DecodeResponse(object.Encode()); err != nil {
		t.Errorf("the response object can't be read back: %v", err)
	}
	stored, err := StoredItems(openai.Encode(encoded))
	if err != nil {
		t.Fatalf("the stored items can't be read: %v", err)
	}
	checkSameConversation(t, turn, stored, req)
}

// checkSameConversation checks that a stored input means later what it meant at first.
func checkSameConversation(t *testing.T, turn *agent.Request, stored []Item, req *Request) {
	t.Helper()
	again := &Request{Input: stored, body: req.body}
	again.Compact = req.Compact
	if err := again.tools.addAll(req.body.Tools, "tools"); err != nil {
		t.Fatal(err)
	}
	turn2, _, err := again.Turn(nil, openTest)
	if err != nil {
		t.Fatalf("the stored items mean nothing: %v", err)
	}
	if diff := cmp.Diff(turn.Messages, turn2.Messages, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Param" }, cmp.Ignore())); diff != "" {
		t.Errorf("the stored items mean something else (-sent +stored):\n%s", diff)
	}
}

func checkClientError(t *testing.T, err error) {
	t.Helper()
	if e := agent.AsError(err); e.Code == agent.Internal || e.Code == 0 {
		t.Errorf("the client is at fault, but the error is %v", err)
	}
}

func validJSON(b []byte) bool {
	var v Item
	return len(bytes.TrimSpace(b)) > 0 && json.Unmarshal([]byte(`{"type":"x","arguments":`+string(b)+`}`), &v, openai.Liberal) == nil
}

// A log may have been cut or damaged on disk: that is an error, never a panic.
func FuzzSettle(f *testing.F) {
	var out collector
	e := NewStream(decodeTest(f, `{"model":"m","input":"go",`+testTools+`}`), testOptions(), &out)
	play(f, e, []agent.Event{
		{Kind: agent.Reasoning, Text: []byte("Hm.")}, {Kind: agent.Text, Text: []byte("Hello")},
		{Kind: agent.Call, Call: &agent.ToolCall{ID: "call_1", Name: "tool_search", Arguments: []byte(`{"q":1}`)}},
	}, nil)
	for i := range out.events {
		f.Add(bytes.Join(out.events[:i], nil))
	}
	f.Fuzz(func(t *testing.T, log []byte) {
		var events [][]byte
		for event := range bytes.SplitSeq(log, []byte("\n\n")) {
			events = append(events, append(event, "\n\n"...))
		}
		r := decodeTest(t, `{"model":"m","input":"go"}`).echo()
		r.Interrupt()
		if _, err := Settle(&r, events); err == nil {
			r.Encode()
		}
	})
}

// What a client adds to a conversation can be kept and listed, or is refused as its own fault.
func FuzzDecodeConversation(f *testing.F) {
	for _, body := range []string{``, `{}`, `{"metadata":{"a":"b"},"items":[{"role":"user","content":"Hi"},null,{"type":"compaction_trigger"}]}`, `{"items":{}}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		body, err := DecodeConversation(data)
		if err == nil {
			err = CheckItems(body.Items, openTest)
		}
		if err != nil {
			checkClientError(t, err)
			return
		}
		encoded, err := EncodeItems("resp_"+strings.Repeat("x", responseIDRandom), WithoutIDs(body.Items))
		if err != nil {
			t.Fatal(err)
		}
		stored, err := StoredItems(openai.Encode(encoded))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewLister(nil).List(stored); err != nil {
			t.Error(err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/decode/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, one := range archive.Files {
			if strings.HasSuffix(one.Name, ".json") {
				f.Add(one.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) { checkDecode(t, body) })
}
