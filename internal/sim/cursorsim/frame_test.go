package cursorsim

import (
	"bytes"
	"testing"
)

func TestABodyEndsWellOnlyBetweenMessages(t *testing.T) {
	whole := appendFrame(nil, flagEnd, []byte("{}"))
	for _, c := range []struct {
		what string
		body []byte
		well bool
	}{
		{"nothing", nil, true},
		{"a message", whole, true},
		{"half a head", whole[:3], false},
		{"a head alone", whole[:5], false},
		{"half a payload", whole[:6], false},
		{"a compressed nothing", appendFrame(nil, flagGzip, nil), false},
	} {
		in := newInbox()
		in.readAll(bytes.NewReader(c.body))
		if items := in.take(); len(items) != 1 || items[0].eof != c.well {
			t.Errorf("%s: got %+v", c.what, items)
		}
	}
}
