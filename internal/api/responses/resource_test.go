package responses

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/api/openai"
	"composer-api/internal/api/published"
	"composer-api/internal/golden"

	"composer-api/internal/api/known"
)

// Each request of testdata/list has the list of its items beside it, and once more with everything that include can ask
// for.
func TestItemsAreListedAsPublished(t *testing.T) {
	golden.Cases(t, "testdata/list/*.txtar", func(t *testing.T, c *golden.Case) {
		for _, f := range c.Files {
			name, isRequest := strings.CutSuffix(f.Name, ".json")
			if !isRequest {
				continue
			}
			c.Want(t, name+".list", listOf(t, f.Data, NewLister(nil)))
			if everything := listOf(t, f.Data, NewLister([]string{includeImages, includeReasoning})); everything != listOf(t, f.Data, NewLister(nil)) {
				c.Want(t, name+".include", everything)
			}
		}
	})
}

// listOf stores the input of a request, reads it back and lists it, an item a line.
func listOf(t *testing.T, body []byte, l *Lister) string {
	t.Helper()
	req, err := Decode(body, known.Sender{})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := EncodeItems(responseIDPrefix+strings.Repeat("0", responseIDRandom), req.Input)
	if err != nil {
		t.Fatal(err)
	}
	items, err := StoredItems(openai.Encode(stored))
	if err != nil {
		t.Fatal(err)
	}
	listed, err := l.List(items)
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	seen := map[string]bool{}
	for _, it := range listed {
		if seen[it.ID] {
			t.Errorf("two items have the id %s", it.ID)
		}
		seen[it.ID] = true
		published.Valid(t, "ItemResource", it.Item)
		lines.Write(append(it.Item, '\n'))
	}
	return lines.String()
}

// An item that a client sends often costs no more than other items.
func TestOneIDForManyItems(t *testing.T) {
	items := make([]Item, 100_000)
	for i := range items {
		items[i] = Item{wire: wireItem{Type: messageType, ID: "msg_a"}, raw: jsontext.Value("{}")}
	}
	listed, err := NewLister(nil).List(items)
	if err != nil || len(listed) != len(items) || listed[99_999].ID != "msg_a_99999" {
		t.Errorf("%d items, the last is %s, %v", len(listed), listed[len(listed)-1].ID, err)
	}
}
