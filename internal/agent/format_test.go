package agent

import (
	"strings"
	"testing"
)

func TestFormatChanged(t *testing.T) {
	number := Format{Kind: JSONSchema, Name: "n", Schema: []byte(`{"type":"number"}`)}
	strict, described, text := number, number, number
	strict.Strict, strict.Name = true, "m"
	described.Description = "A price."
	text.Schema = []byte(`{"type":"string"}`)
	for _, c := range []struct {
		before, now Format
		want        string // begins the note; "" is none
	}{
		{Format{}, Format{}, ""},
		{number, number, ""},
		{number, strict, ""}, // what is only checked
		{Format{}, number, "Your answer must be one JSON value that fits this JSON Schema and nothing else: no code fence, no words around it.\n" + `{"type":"number"}`},
		{number, text, "Your answer must be one JSON value that fits this JSON Schema"},
		{number, described, "Your answer must be one JSON value that fits this JSON Schema and nothing else: no code fence, no words around it. What it is for: A price.\n{"},
		{Format{}, Format{Kind: JSONObject}, "Your answer must be one JSON object"},
		{number, Format{Kind: JSONObject}, "Your answer must be one JSON object"},
		{number, Format{}, "Your answer need not be JSON any more."},
	} {
		if got := FormatChanged(c.before.ID(), &c.now); !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%+v, then %+v: %q, want %q", c.before, c.now, got, c.want)
		}
	}
}

func TestAddNote(t *testing.T) {
	for _, c := range [][3]string{{"", "", ""}, {"a", "", "a"}, {"", "b", "b"}, {"a", "b", "a\nb"}} {
		if got := AddNote(c[0], c[1]); got != c[2] {
			t.Errorf("%q and %q: %q", c[0], c[1], got)
		}
	}
}
