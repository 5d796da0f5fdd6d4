package service_test

import (
	"fmt"
	"strings"
	"testing"

	"composer-api/internal/api/responses/responsestest"
	"composer-api/internal/store"
)

// stored is what an owner has: two responses, one after the other, and a conversation with an item and a response.
type stored struct {
	first, second responsestest.Response
	talk          conversation
	item          string // of the conversation
	talked        responsestest.Response
}

func (w *world) stored() (s stored) {
	w.t.Helper()
	s.first = w.create(say("", "text One."))
	s.second = w.create(say(fmt.Sprintf(`"previous_response_id":%q,`, s.first.ID), "text Two."))
	s.talk = w.converse(`{"items":[{"role":"user","content":"Hi"}]}`)
	s.item = ours[itemPage](w.do("GET", "/conversations/"+s.talk.ID+"/items", ""), "ConversationItemList").Data[0].ID
	s.talked = w.create(in(s.talk.ID, "", "One?", "One."))
	return s
}

// requests are all that ask the store for something, with what they name filled in.
var requests = map[string]struct {
	line, body string
	// deletes says that afterwards there is nothing any more at the address.
	deletes bool
	// keeps is how many of the last calls only keep the answer, which is given although they fail.
	keeps int
}{
	"a response":                     {line: "POST /responses", body: `{"model":"composer-2.5","input":"sim: text Hi."}`, keeps: 1},
	"a response after another":       {line: "POST /responses", body: `{"model":"composer-2.5","previous_response_id":"SECOND","input":"sim: text Hi."}`, keeps: 1},
	"a response in a conversation":   {line: "POST /responses", body: `{"model":"composer-2.5","conversation":"TALK","input":"sim: text Hi."}`, keeps: 2},
	"a response after one of a talk": {line: "POST /responses", body: `{"model":"composer-2.5","previous_response_id":"TALKED","input":"sim: text Hi."}`, keeps: 1},
	"a response with a reference":    {line: "POST /responses", body: `{"model":"composer-2.5","store":false,"input":[{"type":"item_reference","id":"OUTPUT"},{"role":"user","content":"sim: text Hi."}]}`},
	"a compaction":                   {line: "POST /responses/compact", body: `{"model":"composer-2.5","previous_response_id":"SECOND","input":"sim: text Hi."}`},
	"a count":                        {line: "POST /responses/input_tokens", body: `{"previous_response_id":"SECOND","input":"Hi"}`},
	"a count of a conversation":      {line: "POST /responses/input_tokens", body: `{"conversation":"TALK","input":"Hi"}`},
	"a retrieval":                    {line: "GET /responses/SECOND"},
	"a deletion":                     {line: "DELETE /responses/SECOND", deletes: true},
	"input items":                    {line: "GET /responses/SECOND/input_items"},
	"input items of a talk":          {line: "GET /responses/TALKED/input_items"},
	"a conversation":                 {line: "POST /conversations", body: `{"items":[{"role":"user","content":"x"}]}`},
	"a conversation with references": {line: "POST /conversations", body: `{"items":[{"type":"item_reference","id":"OUTPUT"}]}`},
	"a conversation's document":      {line: "GET /conversations/TALK"},
	"a change of a conversation":     {line: "POST /conversations/TALK", body: `{"metadata":{"a":"b"}}`},
	"a conversation's deletion":      {line: "DELETE /conversations/TALK", deletes: true},
	"more items":                     {line: "POST /conversations/TALK/items", body: `{"items":[{"role":"user","content":"x"}]}`},
	"more items, by reference":       {line: "POST /conversations/TALK/items", body: `{"items":[{"type":"item_reference","id":"ITEM"}]}`},
	"a conversation's items":         {line: "GET /conversations/TALK/items"},
	"one item":                       {line: "GET /conversations/TALK/items/ITEM"},
	"one item's deletion":            {line: "DELETE /conversations/TALK/items/ITEM", deletes: true},
}

// Whichever call of the store it is that fails, its request is answered, and not as a fault of ours: a store that is away is a 503
// that says when to come back, and what is gone meanwhile is a 404 or a 400. Nothing is deleted by a request that has failed.
func TestEachCallOfTheStoreMayFail(t *testing.T) {
	for name, r := range requests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				defer w.end()
				send := func(number int, with error) (a *answer, s stored, path string) {
					s = w.stored()
					output := items(t, s.second)[0].ID
					names := strings.NewReplacer("SECOND", s.second.ID, "TALKED", s.talked.ID, "TALK", s.talk.ID, "ITEM", s.item, "OUTPUT", output)
					method, path, _ := strings.Cut(names.Replace(r.line), " ")
					w.store.failAt(number, with)
					return w.do(method, path, names.Replace(r.body)), s, path
				}
				a, _, path := send(0, nil)
				calls := w.store.made()
				if a.status != 200 || calls == 0 {
					t.Fatalf("without a fault: status %d after %d calls: %s", a.status, calls, a.body)
				}
				if r.deletes {
					w.do("GET", path, "").is(404, "", "")
				}
				for number := 1; number <= calls; number++ {
					a, _, path := send(number, store.ErrUnavailable)
					switch kept := number > calls-r.keeps; {
					case kept && a.status != 200:
						t.Errorf("without call %d: an answer that is only not kept: status %d: %s", number, a.status, a.body)
					case !kept:
						a.is(503, "server_is_overloaded", "")
						if a.header.Get("Retry-After") == "" {
							t.Errorf("without call %d: %v", number, a.header)
						}
					}
					if r.deletes {
						w.store.failAt(0, nil)
						if a := w.do("GET", path, ""); a.status != 200 {
							t.Errorf("without call %d it is gone: status %d", number, a.status)
						}
					}
					if r.line == "POST /conversations" && number == calls {
						continue // it makes something, and so can't miss it
					}
					if a, _, _ := send(number, store.ErrNotFound); a.status >= 500 {
						t.Errorf("call %d finds nothing: status %d: %s", number, a.status, a.body)
					}
				}
			})
		})
	}
}
