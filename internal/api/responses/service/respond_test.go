package service_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/agent"
	"composer-api/internal/api/responses/responsestest"
	"composer-api/internal/store/seal"
)

func TestAStoredResponseIsFoundAgain(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	a := w.do("POST", "/responses", say("", "think Hm.", "text Hello."))
	first := a.response()
	if again := w.do("GET", "/responses/"+first.ID, ""); string(again.body) != string(a.body) {
		t.Errorf("GET gives\n%s\nPOST gave\n%s", again.body, a.body)
	}
	events := w.do("POST", "/responses", say(`"stream":true,`, "text Hello.")).events()
	streamed := responsestest.Final(t, events)
	if got := w.retrieve(streamed.ID); text(got) != "Hello." || got.Status != "completed" {
		t.Errorf("the streamed response is kept as %+v", got)
	}
}

func TestAConversationGoesOnFromAnyProcess(t *testing.T) {
	w := newWorld(t)
	first := w.create(`{"model":"composer-2.5","instructions":"Only once.","input":"My name is Alice.\nsim: text Hello Alice."}`)
	second := w.create(fmt.Sprintf(`{"model":"composer-2.5","previous_response_id":%q,"input":"And?\nsim: text Well."}`, first.ID))
	w.end()

	w = w.again()
	defer w.end()
	a := w.do("POST", "/responses", fmt.Sprintf(`{"model":"composer-2.5","instructions":"New ones.","previous_response_id":%q,"input":"What is my name?\nsim: text Alice."}`, second.ID))
	if third := a.response(); third.Previous == nil || *third.Previous != second.ID || text(third) != "Alice." {
		t.Errorf("got %+v", third)
	}
	var said []string
	for _, m := range w.requests[0].Messages {
		line, _, _ := strings.Cut(m.Text(), "\n")
		said = append(said, line)
	}
	// Instructions are those of the request at hand alone.
	want := []string{"New ones.", "My name is Alice.", "Hello Alice.", "And?", "Well.", "What is my name?"}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("the model was told (-want +got):\n%s", diff)
	}
	if !w.requests[0].Durable {
		t.Error("the conversation of a stored response may be written down, but Durable is not set")
	}
}

func TestWhatIsNotStoredLeavesNothing(t *testing.T) {
	w := newWorld(t)
	const secret = "xyzzy-plugh-quux"
	r := w.create(say(`"store":false,`, "text "+secret))
	if r.Store {
		t.Error("the response says that it is stored")
	}
	w.do("GET", "/responses/"+r.ID, "").is(404, "", "")
	w.do("POST", "/responses", fmt.Sprintf(`{"model":"composer-2.5","previous_response_id":%q,"input":"go on"}`, r.ID)).
		is(400, "previous_response_not_found", "previous_response_id")
	if w.requests[0].Durable {
		t.Error("Durable is set")
	}
	stored := w.create(say("", "text plainly-visible"))
	files, err := filepath.Glob(w.path + "*")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), secret) || strings.Contains(string(data), r.ID) {
			t.Errorf("%s holds what was not to be stored", filepath.Base(file))
		}
		found = found || strings.Contains(string(data), stored.ID)
	}
	if !found {
		t.Error("the test looks in the wrong place: what was stored isn't there either")
	}
	w.end()
}

func TestAResponseExistsForItsOwnerOnly(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	r := w.create(say("", "text Hi."))
	item := items(t, r)[0].ID
	const bob = "k:bob"
	for _, c := range []struct{ method, path string }{
		{"GET", ""}, {"DELETE", ""}, {"GET", "/input_items"}, {"POST", "/cancel"}, {"GET", "?stream=true"},
	} {
		w.do(c.method, "/responses/"+r.ID+c.path, "", bob).is(404, "", "")
	}
	w.do("POST", "/responses", fmt.Sprintf(`{"model":"composer-2.5","previous_response_id":%q,"input":"x"}`, r.ID), bob).
		is(400, "previous_response_not_found", "previous_response_id")
	w.do("POST", "/responses", fmt.Sprintf(`{"model":"composer-2.5","input":[{"type":"item_reference","id":%q}]}`, item), bob).
		is(400, "invalid_value", "input[0].id")
	w.retrieve(r.ID)
}

func TestADeletedResponseIsGone(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	r := w.create(say("", "text Hi."))
	deleted := document[map[string]any](w.do("DELETE", "/responses/"+r.ID, ""), "deleted")
	if diff := cmp.Diff(map[string]any{"id": r.ID, "object": "response", "deleted": true}, deleted); diff != "" {
		t.Error(diff)
	}
	w.do("GET", "/responses/"+r.ID, "").is(404, "", "")
	w.do("DELETE", "/responses/"+r.ID, "").is(404, "", "")
}

// Half a conversation would be answered as if it were whole.
func TestAChainWithAGapIsRefused(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	first := w.create(say("", "text One."))
	second := w.create(say(fmt.Sprintf(`"previous_response_id":%q,`, first.ID), "text Two."))
	row, err := w.db.Response(t.Context(), ann, first.ID)
	if err != nil {
		t.Fatal(err)
	}
	row.Expires = time.Now().Add(-time.Second)
	if err := w.db.UpdateResponse(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	w.do("POST", "/responses", say(fmt.Sprintf(`"previous_response_id":%q,`, second.ID), "text Three.")).
		is(400, "previous_response_not_found", "previous_response_id")
}

type itemPage struct {
	Data []struct {
		ID, Type, Role string
		Content        []struct{ Type, Text string }
	}
	FirstID *string `json:"first_id"`
	LastID  *string `json:"last_id"`
	HasMore bool    `json:"has_more"`
}

// What a response answers begins with the first item of the conversation that it continues, also when its beginning was
// deleted. What has expired is missing.
func TestInputItemsHoldTheWholeConversation(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	ask := func(members, said string) string {
		return `{"model":"composer-2.5",` + members + `"input":[{"role":"user","content":[{"type":"input_text","text":"` + said + `\nsim: text To ` + said + `"},{"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgo="}]}]}`
	}
	first := w.create(ask("", "one"))
	second := w.create(ask(fmt.Sprintf(`"previous_response_id":%q,`, first.ID), "two"))
	third := w.create(ask(fmt.Sprintf(`"previous_response_id":%q,`, second.ID), "three"))
	texts := func() (all []string) {
		for _, it := range document[itemPage](w.do("GET", "/responses/"+third.ID+"/input_items?order=asc", ""), "itemList").Data {
			text, _, _ := strings.Cut(it.Content[0].Text, "\n")
			all = append(all, it.Role+": "+text)
		}
		return all
	}
	whole := []string{"user: one", "assistant: To one", "user: two", "assistant: To two", "user: three"}
	if diff := cmp.Diff(whole, texts()); diff != "" {
		t.Error(diff)
	}
	w.do("DELETE", "/responses/"+second.ID, "")
	if diff := cmp.Diff(whole, texts()); diff != "" {
		t.Error(diff)
	}
	row, err := w.db.Response(t.Context(), ann, first.ID)
	if err != nil {
		t.Fatal(err)
	}
	row.Expires = time.Now().Add(-time.Second)
	if err := w.db.UpdateResponse(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole[2:], texts()); diff != "" {
		t.Error(diff)
	}

	shown := func(query string) bool {
		return bytes.Contains(w.do("GET", "/responses/"+third.ID+"/input_items"+query, "").body, []byte("iVBORw0KGgo"))
	}
	if shown("") || !shown("?include[]=message.input_image.image_url") || !shown("?include=reasoning.encrypted_content&include=message.input_image.image_url") {
		t.Error("images are shown when they are not asked for, or not shown when they are")
	}
	w.do("GET", "/responses/"+third.ID+"/input_items?include=everything", "").is(400, "invalid_value", "include[0]")
}

func TestInputItemsAreListedInPages(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	var input []string
	for i := range 25 {
		input = append(input, fmt.Sprintf(`{"role":"user","content":"%d"}`, i))
	}
	input[3] = `{"type":"reasoning","id":"rs_3","summary":[],"encrypted_content":null}`
	r := w.create(`{"model":"composer-2.5","input":[` + strings.Join(input, ",") + `]}`)
	list := func(query string) itemPage {
		t.Helper()
		return document[itemPage](w.do("GET", "/responses/"+r.ID+"/input_items"+query, ""), "itemList")
	}
	texts := func(p itemPage) (all []string) {
		for _, it := range p.Data {
			if len(it.Content) == 0 {
				all = append(all, it.ID)
				continue
			}
			all = append(all, it.Content[0].Text)
		}
		return all
	}
	newest := list("")
	if got := texts(newest); len(got) != 20 || got[0] != "24" || got[19] != "5" || !newest.HasMore {
		t.Errorf("by default: %v, more: %v", got, newest.HasMore)
	}
	rest := list("?after=" + *newest.LastID)
	if diff := cmp.Diff([]string{"4", "rs_3", "2", "1", "0"}, texts(rest)); diff != "" || rest.HasMore {
		t.Errorf("the rest: %s, more: %v", diff, rest.HasMore)
	}
	page := list("?order=asc&limit=2")
	if diff := cmp.Diff([]string{"0", "1"}, texts(page)); diff != "" || !page.HasMore || *page.FirstID != page.Data[0].ID {
		t.Errorf("ascending: %s", diff)
	}
	next := list("?order=asc&limit=2&after=" + *page.LastID)
	if diff := cmp.Diff([]string{"2", "rs_3"}, texts(next)); diff != "" {
		t.Errorf("ascending, then: %s", diff)
	}
	before := list("?order=asc&limit=2&before=" + *next.LastID)
	if diff := cmp.Diff([]string{"1", "2"}, texts(before)); diff != "" || !before.HasMore {
		t.Errorf("before: %s", diff)
	}
	if it := newest.Data[0]; it.Type != "message" || it.Role != "user" || it.Content[0].Type != "input_text" {
		t.Errorf("an item is %+v", it)
	}
	for query, want := range map[string]int{"?limit=1": 1, "?limit=100": 25} {
		if got := len(list(query).Data); got != want {
			t.Errorf("%s: %d items, want %d", query, got, want)
		}
	}
	for query, param := range map[string]string{"?limit=0": "limit", "?limit=101": "limit", "?limit=x": "limit", "?order=up": "order", "?after=msg_1": "after"} {
		w.do("GET", "/responses/"+r.ID+"/input_items"+query, "").is(400, "invalid_value", param)
	}
}

// What a client sends badly spelled is kept, listed and continued like anything else.
func TestBadlySpelledInputIsKept(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	for name, input := range map[string]string{
		"invalid UTF-8":   "[{\"role\":\"user\",\"name\":\"\xff\",\"content\":[{\"type\":\"input_text\",\"text\":\"a\xfe\"}]}]",
		"duplicate names": `[{"role":"user","x":1,"x":2,"content":[{"type":"input_text","text":"a","text":"b"}]}]`,
		"lone surrogates": `[{"role":"user","content":"\ud800"},{"type":"strange","v":"\udc00\u2028"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			r := w.create(`{"model":"composer-2.5","input":` + input + `}`)
			document[itemPage](w.do("GET", "/responses/"+r.ID+"/input_items", ""), "itemList")
			w.create(say(fmt.Sprintf(`"previous_response_id":%q,`, r.ID), "text Hi."))
			document[compacted](w.do("POST", "/responses/compact", `{"model":"composer-2.5","input":`+input+`}`), "compactedResponse")
		})
	}
}

const readTool = `"tools":[{"type":"function","name":"read","parameters":{"type":"object"}},{"type":"custom","name":"apply_patch"}],`

// The run that asked for a tool carries on with its result, however the client tells of it.
func TestACallIsResumedWhereItWaits(t *testing.T) {
	const script = "Go.\nsim: calls 2\nsim: call read {\"path\":\"a\"}\nsim: call apply_patch {\"input\":\"*** Begin Patch\\n*** End Patch\"}\nsim: end\nsim: text Got {result 1} and {result 2}."
	for _, how := range []string{"previous_response_id", "item_reference", "transcript"} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t)
			defer w.end()
			first := w.create(`{"model":"composer-2.5",` + readTool + `"input":` + quote(script) + `}`)
			calls := items(t, first)
			if len(calls) != 2 || calls[0].Type != "function_call" || calls[1].Type != "custom_tool_call" {
				t.Fatalf("output: %+v", calls)
			}
			history := map[string]string{
				"previous_response_id": "",
				"item_reference":       fmt.Sprintf(`{"role":"user","content":%s},{"type":"item_reference","id":%q},{"id":%q},`, quote(script), calls[0].ID, calls[1].ID),
				"transcript":           fmt.Sprintf(`{"role":"user","content":%s},%s,%s,`, quote(script), first.Output[0], first.Output[1]),
			}[how]
			previous := ""
			if history == "" {
				previous = fmt.Sprintf(`"previous_response_id":%q,`, first.ID)
			}
			a := w.do("POST", "/responses", fmt.Sprintf(`{"model":"composer-2.5",%s%s"input":[%s
				{"type":"custom_tool_call_output","call_id":%q,"output":"two"},{"type":"function_call_output","call_id":%q,"output":"one"}]}`,
				readTool, previous, history, calls[1].CallID, calls[0].CallID))
			if got := text(a.response()); got != "Got one and two." {
				t.Errorf("the model says %q", got)
			}
			if from := a.header.Get("X-Composer-Resume"); from != "parked" {
				t.Errorf("resumed from %q, want parked", from)
			}
		})
	}
}

// After a restart the run is gone; the stored conversation is enough to go on.
func TestACallIsAnsweredAfterARestart(t *testing.T) {
	w := newWorld(t)
	first := w.create(`{"model":"composer-2.5",` + readTool + `"input":"Go.\nsim: call read {\"path\":\"a\"}\nsim: text {result 1}"}`)
	w.end()
	w = w.again()
	defer w.end()
	a := w.do("POST", "/responses", fmt.Sprintf(`{"model":"composer-2.5",%s"previous_response_id":%q,"input":[{"type":"function_call_output","call_id":%q,"output":"one"}]}`,
		readTool, first.ID, items(t, first)[0].CallID))
	a.response()
	if from := a.header.Get("X-Composer-Resume"); from != "transcript" {
		t.Errorf("resumed from %q, want transcript", from)
	}
	messages := w.requests[0].Messages
	if last := messages[len(messages)-1]; last.Role != agent.ToolRole || last.Text() != "one" || len(messages) != 3 {
		t.Errorf("the model was told %+v", messages)
	}
}

func TestReasoningIsSealedForItsOwner(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	r := w.create(say(`"store":false,"include":["reasoning.encrypted_content"],`, "think I wonder.", "text Hi."))
	sealed := items(t, r)[0]
	if sealed.Type != "reasoning" || len(sealed.EncryptedContent) < 40 || strings.Contains(sealed.EncryptedContent, "wonder") {
		t.Fatalf("output: %+v", sealed)
	}
	w.create(fmt.Sprintf(`{"model":"composer-2.5","store":false,"input":[%s,{"role":"user","content":"go on"}]}`, r.Output[0]))
	if plain := w.create(say(`"store":false,`, "think I wonder.", "text Hi.")); items(t, plain)[0].EncryptedContent != "" {
		t.Error("sealed without having been asked for")
	}
}

// Upstream has no place for earlier thinking, so that whatever the client carries of it, ours or not, changes nothing.
func TestNoSealedReasoningIsEverAFault(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	r := w.create(say(`"store":false,"include":["reasoning.encrypted_content"],`, "think I wonder.", "text Hi."))
	ours := items(t, r)[0].EncryptedContent
	flipped := []byte(ours)
	flipped[len(flipped)/2] ^= 1
	for name, c := range map[string]struct{ blob, owner string }{
		"ours": {ours, ann}, "another owner's": {ours, "k:bob"}, "tampered with": {string(flipped), ann}, "cut": {ours[:20], ann},
		"OpenAI's": {"gAAAAABo-_hunter2", ann}, "no base64": {"\x00…", ann}, "none": {"", ann},
	} {
		t.Run(name, func(t *testing.T) {
			w.create(fmt.Sprintf(`{"model":"composer-2.5","store":false,"input":[
				{"role":"user","content":"Think."},
				{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":%s},
				{"role":"assistant","content":"Hi."},{"role":"user","content":"Go on."}]}`, quote(c.blob)), c.owner)
			var said []string
			for _, m := range w.requests[len(w.requests)-1].Messages {
				said = append(said, m.Text())
			}
			if diff := cmp.Diff([]string{"Think.", "Hi.", "Go on."}, said); diff != "" {
				t.Errorf("the model was told (-want +got):\n%s", diff)
			}
		})
	}
}

// What the client carries for us outlives the process when ENCRYPTION_KEY is set, and its change when the old one is
// named; without one it ends with the process. Nobody else's opens, and none that was changed.
func TestWhatTheClientCarriesForUs(t *testing.T) {
	ring := func(current, previous string) *seal.Ring {
		r, err := seal.Parse(current, previous)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	const key, other = "an encryption key of ours", "another encryption key"
	flip := func(s string) string { // and it stays base64
		middle, other := len(s)/2, "A"
		if s[middle] == 'A' {
			other = "B"
		}
		return s[:middle] + other + s[middle+1:]
	}
	same := func(s string) string { return s }
	for name, c := range map[string]struct {
		before, after *seal.Ring
		owner         string
		change        func(string) string
		opens         bool
	}{
		"the same key":           {ring(key, ""), ring(key, ""), ann, same, true},
		"a new key, old one set": {ring(key, ""), ring(other, key), ann, same, true},
		"another key":            {ring(key, ""), ring(other, ""), ann, same, false},
		"no key":                 {nil, nil, ann, same, false},
		"another owner":          {ring(key, ""), ring(key, ""), "k:bob", same, false},
		"a changed byte":         {ring(key, ""), ring(key, ""), ann, flip, false},
	} {
		t.Run(name, func(t *testing.T) {
			before := bornWorld(t, filepath.Join(t.TempDir(), "a.db"), c.before)
			window := document[compacted](before.do("POST", "/responses/compact", say("", "text The summary.")), "compactedResponse")
			blob := window.Output[len(window.Output)-1].EncryptedContent
			again := func(w *world) *answer {
				return w.do("POST", "/responses", fmt.Sprintf(`{"model":"composer-2.5","store":false,"input":[
					{"type":"compaction","encrypted_content":%s},{"role":"user","content":"Go on."}]}`, quote(c.change(blob))), c.owner)
			}
			if c.owner == ann && c.change(blob) == blob {
				again(before).response() // in one process it opens whatever the key
			}
			before.end()
			after := bornWorld(t, filepath.Join(t.TempDir(), "b.db"), c.after)
			defer after.end()
			if a := again(after); c.opens {
				a.response()
			} else {
				a.is(400, "invalid_value", "input[0].encrypted_content")
			}
		})
	}
}

// Types of items and tools are logged, but a client may have put anything in their place.
func TestTheLogHoldsTypesOnly(t *testing.T) {
	w := newWorld(t)
	w.create(`{"model":"composer-2.5","tools":[{"type":"web_search"},{"type":"my password: hunter2"}],
		"input":[{"type":"shell_call"},{"type":"my key is hunter2","x":1},{"role":"user","content":"Hi."}]}`)
	w.end()
	if log := w.log.String(); !strings.Contains(log, "shell_call") || !strings.Contains(log, "web_search") {
		t.Errorf("the log lacks the types:\n%s", log)
	}
}

type compacted struct {
	ID     string
	Output []struct {
		ID, Type, Role   string
		EncryptedContent string `json:"encrypted_content"`
	}
}

func TestACompactionStandsForTheConversation(t *testing.T) {
	w := newWorld(t)
	first := w.create(say("", "text Done A."))
	a := w.do("POST", "/responses/compact", fmt.Sprintf(`{"model":"composer-2.5","instructions":"Rules.","previous_response_id":%q,"input":"And B.\nsim: text Done B."}`, first.ID))
	window := document[compacted](a, "compactedResponse")
	var types []string
	for _, it := range window.Output {
		types = append(types, it.Type+it.Role)
	}
	if diff := cmp.Diff([]string{"messageuser", "messageuser", "compaction"}, types); diff != "" {
		t.Error(diff)
	}
	w.do("GET", "/responses/"+window.ID, "").is(404, "", "")
	blob := window.Output[2].EncryptedContent
	w.end()

	w = w.again() // with the same ENCRYPTION_KEY
	defer w.end()
	input := func(blob string) string {
		return fmt.Sprintf(`{"model":"composer-2.5","input":[{"role":"user","content":"Do A."},{"role":"assistant","content":"dropped"},{"type":"compaction","id":"cmpt_1","encrypted_content":%q},{"role":"user","content":"Now C.\nsim: text C."}]}`, blob)
	}
	w.create(input(blob))
	told := w.requests[0].Messages
	if len(told) != 3 || told[0].Text() != "Do A." || !strings.Contains(told[1].Text(), "summary") || !strings.HasPrefix(told[2].Text(), "Now C.") {
		t.Errorf("the model was told %+v", told)
	}
	w.do("POST", "/responses", input(blob), "k:bob").is(400, "invalid_value", "input[2].encrypted_content")
	// What another provider has sealed is left out, as its reasoning is.
	w.create(input("gAAAAABforeign"))
	if told := w.requests[len(w.requests)-1].Messages; len(told) != 3 || told[1].Text() != "dropped" {
		t.Errorf("beside a foreign compaction the model was told %+v", told)
	}
	w.do("POST", "/responses/compact", `{"input":"x"}`).is(400, "missing_required_parameter", "model")
	w.do("POST", "/responses/compact", `{"model":"composer-2.5"}`).is(400, "missing_required_parameter", "input")
}

// Codex asks for a compaction with a stream like any other.
func TestATriggerGivesOneCompactionItem(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	a := w.do("POST", "/responses", `{"model":"composer-2.5","stream":true,"store":false,`+readTool+`"input":[{"role":"user","content":"Do A."},{"role":"assistant","content":"Done."},{"type":"compaction_trigger"}]}`)
	final := responsestest.Final(t, a.events())
	if out := items(t, final); len(out) != 1 || out[0].Type != "compaction" {
		t.Errorf("output: %+v", out)
	}
	if req := w.requests[0]; len(req.Offered()) != 0 || !strings.Contains(req.Messages[2].Text(), "summary") {
		t.Errorf("the model was asked %+v with %d tools", req.Messages, len(req.Offered()))
	}
}

type tokenCount struct {
	InputTokens int64 `json:"input_tokens"`
}

func TestInputTokensAreEstimated(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	count := func(body string) int64 {
		t.Helper()
		return document[tokenCount](w.do("POST", "/responses/input_tokens", body), "inputTokens").InputTokens
	}
	short := count(`{"model":"composer-2.5","input":"Hello"}`)
	long := count(`{"input":` + quote(strings.Repeat("word ", 1000)) + `}`)
	if short < 1 || short > 10 || long < 900 || long > 1500 {
		t.Errorf("%d tokens for a word, %d for a thousand", short, long)
	}
	first := w.create(say("", "text "+strings.Repeat("long ", 1000)))
	if with := count(fmt.Sprintf(`{"previous_response_id":%q,"input":"Hello"}`, first.ID)); with < 1000 {
		t.Errorf("%d tokens with the history", with)
	}
	w.do("POST", "/responses/input_tokens", `{}`).is(400, "missing_required_parameter", "input")
	if len(w.requests) != 1 {
		t.Error("counting asked the model")
	}
}

func TestAFailureInMidStreamIsToldTwice(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	events := w.do("POST", "/responses", say(`"stream":true,`, "text Hel", "error unavailable Gone.")).events()
	types := responsestest.Types(events)
	if diff := cmp.Diff([]string{"error", "response.failed"}, types[len(types)-2:]); diff != "" {
		t.Error(diff)
	}
	if w.told.Load() != 1 {
		t.Error("the log doesn't learn of it")
	}
	final := responsestest.Final(t, events)
	if final.Status != "failed" || final.Error == nil || text(final) != "Hel" {
		t.Errorf("the response ends as %+v", final)
	}
	if kept := w.retrieve(final.ID); kept.Status != "failed" {
		t.Errorf("kept as %s", kept.Status)
	}
}

func TestAnErrorBeforeTheFirstByteHasItsStatus(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	for _, stream := range []string{"", `"stream":true,`} {
		w.do("POST", "/responses", say(stream, "status 503 Busy.")).is(503, "server_is_overloaded", "")
		w.do("POST", "/responses", `{`+stream+`"model":"no-such-model","input":"x"}`).is(404, "model_not_found", "model")
		w.do("POST", "/responses", `{`+stream+`"model":"composer-2.5","input":[{"type":"item_reference","id":"msg_gone"}]}`).is(400, "invalid_value", "input[0].id")
		w.do("POST", "/responses", `{`+stream+`"input":"x"}`).is(400, "missing_required_parameter", "model")
	}
	w.do("POST", "/responses", say("", "text Hel", "error unavailable Gone.")).is(503, "server_is_overloaded", "")
}

func TestAClientThatLeavesFindsWhatThereWas(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	ctx, cancel := context.WithCancel(t.Context())
	w.handler = leaveAt(w.handler, "Hel", cancel)
	a := w.doContext(ctx, "POST", "/responses", say(`"stream":true,`, "text Hel", "hold"))
	id := responseID(a.body)
	if kept := w.retrieve(id); kept.Status != "cancelled" || text(kept) != "Hel" {
		t.Errorf("kept as %+v", kept)
	}
}

// What can't be stored says so, and the answer is not lost over it.
func TestALostStoreCostsTheStateOnly(t *testing.T) {
	w := newWorld(t)
	stored := w.create(say("", "text Hi."))
	w.store.dead.Store(true)
	for _, members := range []string{"", `"stream":true,`} {
		a := w.do("POST", "/responses", say(members, "text Hi."))
		var final responsestest.Response
		if members == "" {
			final = a.response()
		} else {
			final = responsestest.Final(t, a.events())
		}
		if final.Store || final.Status != "completed" {
			t.Errorf("the response says %+v", final)
		}
	}
	w.do("GET", "/responses/"+stored.ID, "").is(503, "server_is_overloaded", "")
	w.do("POST", "/responses", say(fmt.Sprintf(`"previous_response_id":%q,`, stored.ID), "text x")).is(503, "server_is_overloaded", "")
	w.do("POST", "/responses", say(`"background":true,`, "text x")).is(503, "server_is_overloaded", "")
	w.end()
	if n := strings.Count(w.log.String(), "a response could not be stored"); n != 3 {
		t.Errorf("the log says %d times that a response could not be stored:\n%s", n, &w.log)
	}
}

// The cases of the public Open Responses suite, from its specification.
func TestOpenResponsesCases(t *testing.T) {
	const tools = `"tools":[{"type":"function","name":"get_weather","description":"Get the current weather for a location","parameters":{"type":"object","properties":{"location":{"type":"string"}},"required":["location"]}}]`
	const callWeather = `What's the weather like?\nsim: call get_weather {\"location\":\"San Francisco, CA\"}`
	for _, c := range []struct{ name, body, wantType string }{
		{"basic text", `{"model":"composer-2.5","input":[{"type":"message","role":"user","content":"Say hello in exactly 3 words."}]}`, "message"},
		{"system prompt", `{"model":"composer-2.5","input":[{"type":"message","role":"system","content":"You are a pirate."},{"type":"message","role":"user","content":"Say hello."}]}`, "message"},
		{"tool calling", `{"model":"composer-2.5","input":[{"type":"message","role":"user","content":"` + callWeather + `"}],` + tools + `}`, "function_call"},
		{"image input", `{"model":"composer-2.5","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"What do you see?"},{"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="}]}]}`, "message"},
		{"multi-turn", `{"model":"composer-2.5","input":[{"type":"message","role":"user","content":"My name is Alice."},{"type":"message","role":"assistant","content":"Hello Alice!"},{"type":"message","role":"user","content":"What is my name?"}]}`, "message"},
		{"compaction", `{"model":"composer-2.5","input":[{"type":"message","role":"user","content":"My name is Alice."},{"type":"message","role":"assistant","content":"Hello Alice!"},{"type":"compaction_trigger"}]}`, "compaction"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			defer w.end()
			whole := w.create(c.body)
			streamed := responsestest.Final(t, w.do("POST", "/responses", `{"stream":true,`+c.body[1:]).events())
			for _, r := range []responsestest.Response{whole, streamed} {
				if len(r.Output) == 0 || items(t, r)[len(r.Output)-1].Type != c.wantType || r.Status != "completed" {
					t.Errorf("%s with %s", r.Status, r.Output)
				}
			}
		})
	}
	t.Run("missing model", func(t *testing.T) {
		w := newWorld(t)
		defer w.end()
		w.do("POST", "/responses", `{"input":"Hi"}`).is(400, "missing_required_parameter", "model")
	})
}

// An empty input with a response to continue asks the model to go on.
func TestAnEmptyInputContinuesAResponse(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	first := w.create(say("", "text One."))
	w.create(fmt.Sprintf(`{"model":"composer-2.5","previous_response_id":%q,"input":[]}`, first.ID))
	w.create(fmt.Sprintf(`{"model":"composer-2.5","previous_response_id":%q}`, first.ID))
	w.create(fmt.Sprintf(`{"model":"composer-2.5","previous_response_id":%q,"input":""}`, first.ID))
	for _, told := range w.requests[1:3] {
		if len(told.Messages) != 2 || told.Messages[1].Text() != "One." {
			t.Errorf("the model was told %+v", told.Messages)
		}
	}
	w.do("POST", "/responses", `{"model":"composer-2.5","input":[]}`).is(400, "missing_required_parameter", "input")
}
