package service_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/api/published"
	"composer-api/internal/api/responses/responsestest"
	"composer-api/internal/store"
)

// ours is the answer as a valid document of OpenAI's.
func ours[T any](a *answer, schema string) (v T) {
	a.t.Helper()
	if a.status != 200 {
		a.t.Fatalf("status %d: %s", a.status, a.body)
	}
	published.Valid(a.t, schema, a.body)
	if err := json.Unmarshal(a.body, &v); err != nil {
		a.t.Fatal(err)
	}
	return v
}

type conversation struct {
	ID       string
	Metadata map[string]string
	Deleted  bool
}

func (w *world) converse(body string) conversation {
	w.t.Helper()
	return ours[conversation](w.do("POST", "/conversations", body), "ConversationResource")
}

// said is what the items of a conversation say, oldest first.
func (w *world) said(id string) (all []string) {
	w.t.Helper()
	for _, it := range ours[itemPage](w.do("GET", "/conversations/"+id+"/items?order=asc&limit=100", ""), "ConversationItemList").Data {
		text := it.Type
		if len(it.Content) > 0 {
			text, _, _ = strings.Cut(it.Content[0].Text, "\n")
			text = it.Role + ": " + text
		}
		all = append(all, text)
	}
	return all
}

// heard is what the model was told last.
func (w *world) heard() (all []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.requests[len(w.requests)-1].Messages {
		text, _, _ := strings.Cut(m.Text(), "\n")
		all = append(all, text)
	}
	return all
}

func in(conversation, members, said, script string) string {
	return fmt.Sprintf(`{"model":"composer-2.5","conversation":%q,%s"input":%s}`, conversation, members, quote(said+"\nsim: text "+script))
}

// Each response of a conversation goes on from its items and adds its own; those that fail add nothing.
func TestResponsesOfAConversation(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	c := w.converse(`{"metadata":{"topic":"demo"},"items":[{"type":"message","role":"developer","content":"Be kind."}]}`)
	if c.Metadata["topic"] != "demo" {
		t.Errorf("made as %+v", c)
	}
	first := w.do("POST", "/responses", in(c.ID, "", "One?", "One.")).response()
	w.do("POST", "/responses", in(c.ID, `"stream":true,`, "Two?", "Two.")).events()
	w.create(in(c.ID, `"store":false,`, "Three?", "Three."))
	if diff := cmp.Diff([]string{"Be kind.", "One?", "One.", "Two?", "Two.", "Three?"}, w.heard()); diff != "" {
		t.Error(diff)
	}
	w.do("POST", "/responses", fmt.Sprintf(`{"model":"composer-2.5","conversation":{"id":%q},"input":"Fail.\nsim: error upstream"}`, c.ID))
	all := []string{"developer: Be kind.", "user: One?", "assistant: One.", "user: Two?", "assistant: Two.", "user: Three?", "assistant: Three."}
	if diff := cmp.Diff(all, w.said(c.ID)); diff != "" {
		t.Error(diff)
	}

	// A response says which conversation it belongs to, and what it went on from.
	if a := w.do("GET", "/responses/"+first.ID, ""); !strings.Contains(string(a.body), `"conversation":{"id":"`+c.ID+`"}`) {
		t.Errorf("it says nothing of its conversation: %s", a.body)
	}
	if page := document[itemPage](w.do("GET", "/responses/"+first.ID+"/input_items", ""), "itemList"); len(page.Data) != 2 {
		t.Errorf("the first response has the input %+v", page)
	}
	// It can be continued by itself, as if the rest hadn't been said.
	w.create(say(fmt.Sprintf(`"previous_response_id":%q,`, first.ID), "text x"))
	if diff := cmp.Diff([]string{"Be kind.", "One?", "One.", "Please."}, w.heard()); diff != "" {
		t.Error(diff)
	}

	w.do("DELETE", "/conversations/"+c.ID, "")
	w.do("POST", "/responses", in(c.ID, "", "Four?", "Four.")).is(404, "", "")
	w.retrieve(first.ID)
	w.do("GET", "/responses/"+first.ID+"/input_items", "")
	w.do("POST", "/responses", say(fmt.Sprintf(`"previous_response_id":%q,`, first.ID), "text x")).is(404, "", "")
	w.do("POST", "/responses/input_tokens", in(c.ID, "", "x", "y")).is(404, "", "")
}

func TestTheItemsOfAConversation(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	c := w.converse(``)
	path := "/conversations/" + c.ID + "/items"
	added := ours[itemPage](w.do("POST", path, `{"items":[
		{"id":"msg_mine","role":"user","content":[{"type":"input_text","text":"See."},{"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgo="}]},
		{"type":"function_call","call_id":"call_1","name":"look","arguments":"{}"},
		{"type":"function_call_output","call_id":"call_1","output":"dark"},
		{"type":"compaction_trigger"}]}`), "ConversationItemList")
	if len(added.Data) != 3 || added.Data[0].ID == "msg_mine" {
		t.Fatalf("added %+v", added)
	}
	// Items get ids of ours, so the same item can be added again.
	again := ours[itemPage](w.do("POST", path, `{"items":[{"type":"item_reference","id":"`+added.Data[0].ID+`"}]}`), "ConversationItemList")
	if len(again.Data) != 1 || again.Data[0].ID == added.Data[0].ID || again.Data[0].Content[0].Text != "See." {
		t.Errorf("added again as %+v", again)
	}
	if diff := cmp.Diff([]string{"user: See.", "function_call", "function_call_output", "user: See."}, w.said(c.ID)); diff != "" {
		t.Error(diff)
	}
	page := ours[itemPage](w.do("GET", path+"?limit=2&after="+again.Data[0].ID, ""), "ConversationItemList")
	if len(page.Data) != 2 || page.Data[0].ID != added.Data[2].ID || !page.HasMore {
		t.Errorf("a page: %+v", page)
	}

	one := path + "/" + added.Data[0].ID
	if a := w.do("GET", one, ""); strings.Contains(string(a.body), "iVBOR") {
		t.Errorf("the image is shown unasked: %s", a.body)
	}
	if a := w.do("GET", one+"?include=message.input_image.image_url", ""); !strings.Contains(string(a.body), "iVBOR") {
		t.Errorf("the image isn't shown: %s", a.body)
	}
	ours[struct{}](w.do("GET", one, ""), "ConversationItem")
	if left := ours[conversation](w.do("DELETE", one, ""), "ConversationResource"); left.ID != c.ID {
		t.Errorf("deleting an item gives %+v", left)
	}
	w.do("GET", one, "").is(404, "", "")
	w.do("DELETE", one, "").is(404, "", "")

	for body, param := range map[string]string{
		`{}`: "items", `{"items":[]}`: "items", `{"items":[{"role":"robot","content":"x"}]}`: "items[0].role",
		`{"items":[` + strings.Repeat(`{"role":"user","content":"x"},`, 20) + `{"role":"user","content":"x"}]}`: "items",
		`{"items":[{"type":"item_reference","id":"msg_x"}]}`:                                                    "items[0].id",
	} {
		var doc struct{ Error struct{ Param string } }
		if a := w.do("POST", path, body); a.status != 400 || json.Unmarshal(a.body, &doc) != nil || doc.Error.Param != param {
			t.Errorf("%s: %d %s, want the param %s", body, a.status, a.body, param)
		}
	}
	w.do("GET", path+"?after=msg_x", "").is(400, "invalid_value", "after")
	w.do("GET", path+"?include=all", "").is(400, "invalid_value", "include[0]")
}

func TestAConversationIsChangedAndDeleted(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	c := w.converse(`{"items":[{"role":"user","content":"Hi"}]}`)
	path := "/conversations/" + c.ID
	changed := ours[conversation](w.do("POST", path, `{"metadata":{"a":"b"}}`), "ConversationResource")
	if again := ours[conversation](w.do("GET", path, ""), "ConversationResource"); changed.Metadata["a"] != "b" || again.Metadata["a"] != "b" {
		t.Errorf("changed to %+v, and read as %+v", changed, again)
	}
	w.do("POST", path, `{}`).is(400, "missing_required_parameter", "metadata")
	w.do("POST", "/conversations", `{"metadata":{"a":1}}`).is(400, "invalid_type", "metadata")
	for _, r := range []struct{ method, path, body string }{
		{"GET", path, ""}, {"POST", path, `{"metadata":{}}`}, {"DELETE", path, ""}, {"GET", path + "/items", ""},
		{"POST", path + "/items", `{"items":[{"role":"user","content":"x"}]}`}, {"GET", path + "/items/x", ""}, {"DELETE", path + "/items/x", ""},
		{"POST", "/responses", in(c.ID, "", "x", "y")},
	} {
		w.do(r.method, r.path, r.body, "k:bob").is(404, "", "")
	}
	// A stored response is no conversation.
	w.do("GET", "/conversations/"+w.create(say("", "text x")).ID, "").is(404, "", "")
	if deleted := ours[conversation](w.do("DELETE", path, ""), "DeletedConversationResource"); !deleted.Deleted || deleted.ID != c.ID {
		t.Errorf("deleting gives %+v", deleted)
	}
	w.do("GET", path, "").is(404, "", "")
	w.do("DELETE", path, "").is(404, "", "")
}

// A background response adds to its conversation when it ends, also when the store is away at that moment, and once.
func TestABackgroundResponseOfAConversation(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		c := w.converse(``)
		r := w.create(fmt.Sprintf(`{"model":"composer-2.5","background":true,"conversation":%q,"input":"Go.\nsim: text One\nsim: delay 10s\nsim: text , two."}`, c.ID))
		time.Sleep(5 * time.Second)
		w.store.fail(fault{err: store.ErrUnavailable}, allMethods()...)
		time.Sleep(time.Minute)
		w.store.fail(fault{loses: true, once: true}, addParts) // its answer is lost once
		w.store.fail(noFault, allMethods()[:addParts]...)
		time.Sleep(time.Minute)
		if now := w.retrieve(r.ID); now.Status != "completed" {
			t.Errorf("in the end %+v", now)
		}
		if diff := cmp.Diff([]string{"user: Go.", "assistant: One, two."}, w.said(c.ID)); diff != "" {
			t.Error(diff)
		}
		left := w.create(fmt.Sprintf(`{"model":"composer-2.5","background":true,"conversation":%q,"input":"Go.\nsim: delay 10s\nsim: text x"}`, c.ID))
		w.do("POST", "/responses/"+left.ID+"/cancel", "")
		if got := w.said(c.ID); len(got) != 2 {
			t.Errorf("after a cancelled one: %q", got)
		}
	})
}

// A conversation that could not be added to is told of: the response says that it isn't stored.
func TestAConversationWhoseStoreIsAway(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		defer w.end()
		c := w.converse(``)
		streamed := in(c.ID, `"stream":true,`, "One?", "One.")
		w.store.fail(fault{err: store.ErrUnavailable}, addParts)
		final := responsestest.Final(t, w.do("POST", "/responses", streamed).events())
		if final.Status != "completed" || final.Store {
			t.Errorf("the response ends as %s, store: %v", final.Status, final.Store)
		}
	})
}

// A compaction_trigger asks something of its request alone. In the conversation nothing is left of it that could be listed
// or fetched.
func TestTheTriggerOfACompactionIsNoItemOfItsConversation(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	c := w.converse(`{}`)
	r := w.do("POST", "/responses", in(c.ID, "", "My name is Alice.", "Hello.")).response()
	compacted := w.do("POST", "/responses", fmt.Sprintf(
		`{"model":"composer-2.5","conversation":%q,"input":[{"role":"user","content":"sim: text She is Alice."},{"type":"compaction_trigger"}]}`, c.ID)).response()
	if compacted.Status != "completed" || r.ID == compacted.ID {
		t.Fatalf("%+v", compacted)
	}
	parts, err := w.store.ListParts(t.Context(), ann, c.ID, store.Page{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if answer := w.do("GET", "/conversations/"+c.ID+"/items/"+p.ID, ""); answer.status != 200 {
			t.Errorf("%s: status %d: %s", p.Data, answer.status, answer.body)
		}
	}
}

// TestATurnThatIsAttemptedAgainIsInItsConversationOnce: with the words of the last attempt, whichever ends first. Its client has those,
// and the model is not told of the others.
func TestATurnThatIsAttemptedAgainIsInItsConversationOnce(t *testing.T) {
	for name, lastIsFaster := range map[string]bool{"the first ends first": false, "the last ends first": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			defer w.end()
			c := w.converse(`{}`)
			w.create(in(c.ID, "", "One?", "One."))
			lost := func() { w.attempt("a", false, in(c.ID, "", "Two?", "Lost.")) }
			if !lastIsFaster {
				lost()
			}
			last := w.attempt("a", true, in(c.ID, "", "Two?", "Two.")).response()
			if lastIsFaster {
				lost()
			}
			if diff := cmp.Diff([]string{"user: One?", "assistant: One.", "user: Two?", "assistant: Two."}, w.said(c.ID)); diff != "" {
				t.Error(diff)
			}
			if got := text(w.retrieve(last.ID)); got != "Two." {
				t.Errorf("the response says %q", got)
			}
			w.create(in(c.ID, "", "Three?", "Three."))
			if diff := cmp.Diff([]string{"One?", "One.", "Two?", "Two.", "Three?"}, w.heard()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestAttemptsAreOfOneOwner: the name of an attempt leads to nobody else's response.
func TestAttemptsAreOfOneOwner(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	first := w.attempt("a", false, say("", "text Ann's.")).response()
	w.do("GET", "/responses/"+first.ID, "", "k:bob").is(404, "", "")
	other := w.attempt("b", false, say("", "text Another.")).response()
	if first.ID == other.ID || text(w.retrieve(first.ID)) != "Ann's." {
		t.Errorf("%s says %q, and %s is the other", first.ID, text(w.retrieve(first.ID)), other.ID)
	}
}
