package responses

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// piecesOfAnswer is a history in which thoughts cut one answer of the model's into n pieces.
func piecesOfAnswer(n int) []byte {
	var b strings.Builder
	b.WriteString(`{"model":"composer-2.5","input":[{"role":"user","content":"hi"}`)
	for i := range n {
		fmt.Fprintf(&b, `,{"type":"reasoning","summary":[]},{"role":"assistant","content":"piece %d."}`, i)
	}
	b.WriteString(`,{"role":"user","content":"go on"}]}`)
	return []byte(b.String())
}

// The bytes that are allocated say how often a text was copied: with a copy an item, twice the items cost four times.
func TestTheWorkOnAnAnswerInPiecesGrowsWithTheirNumber(t *testing.T) {
	bytesFor := func(n int) uint64 {
		body := piecesOfAnswer(n)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		req, err := Decode(body)
		if err != nil {
			t.Fatal(err)
		}
		turn, _, err := req.Turn(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if got := turn.Messages[1].Text(); len(turn.Messages) != 3 || !strings.HasSuffix(got, fmt.Sprintf("piece %d.", n-1)) {
			t.Fatalf("%d messages, the answer ends in %q", len(turn.Messages), got[max(0, len(got)-20):])
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	once, twice := bytesFor(2000), bytesFor(4000)
	if twice > 3*once {
		t.Errorf("4,000 pieces cost %d bytes, 2,000 cost %d: more than their number", twice, once)
	}
}
