package responses

import (
	"composer-api/internal/api/apitest"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"composer-api/internal/api/known"
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
		req, err := Decode(body, known.Sender{})
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

// Twice as much of anything may cost about twice as many allocations, from the body to what the model is asked.
func TestTheWorkOnAnInputGrowsWithIt(t *testing.T) {
	apitest.CheckGrowth(t, map[string]func(n int) string{
		"messages": func(n int) string { return `"input":[` + apitest.List(n, `{"role":"user","content":"%d"}`) + `]` },
		"answers":  func(n int) string { return `"input":[` + apitest.List(n, `{"role":"assistant","content":"%d"}`) + `]` },
		"parts": func(n int) string {
			return `"input":[{"role":"user","content":[` + apitest.List(n, `{"type":"input_text","text":"%d"}`) + `]}]`
		},
		"calls, then results": func(n int) string {
			return `"input":[` + apitest.List(n, `{"type":"function_call","call_id":"%d","name":"f","arguments":"{}"}`) + `,` + apitest.List(n, `{"type":"function_call_output","call_id":"%d","output":"x"}`) + `]`
		},
		"calls with their results": func(n int) string {
			return `"input":[` + apitest.List(n, `{"type":"function_call","call_id":"%[1]d","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"%[1]d","output":"x"}`) + `]`
		},
		"results without calls": func(n int) string {
			return `"input":[` + apitest.List(n, `{"type":"function_call_output","call_id":"%d","output":"x"}`) + `]`
		},
		"custom calls": func(n int) string {
			return `"input":[` + apitest.List(n, `{"type":"custom_tool_call","call_id":"%[1]d","name":"f","input":"x"},{"type":"custom_tool_call_output","call_id":"%[1]d","output":"x"}`) + `]`
		},
		"items of other types": func(n int) string { return `"input":[` + apitest.List(n, `{"type":"mcp_call","id":"%d"}`) + `]` },
		"reasoning": func(n int) string {
			return `"input":[{"role":"user","content":"x"},` + apitest.List(n, `{"type":"reasoning","id":"rs_%d","summary":[]}`) + `]`
		},
		"tools": func(n int) string {
			return `"input":"x","tools":[` + apitest.List(n, `{"type":"function","name":"f%d"}`) + `]`
		},
	}, func(members string) error {
		req, err := Decode([]byte(`{"model":"m",`+members+`}`), known.Sender{})
		if err != nil {
			return err
		}
		_, _, err = req.Turn(nil, nil)
		return err
	})
}
