package harness

import "testing"

func TestIDsAreNumberedInTheOrderOfTheirAppearance(t *testing.T) {
	const a, b = "call_0123456789abcdefghijklmn", "call_abcdefghijklmn0123456789"
	got := normalise("resp_" + a[5:] + " made " + b + " and " + a + "; " + b + " failed, call_me did not")
	if want := "resp#1 made call#1 and call#2; call#1 failed, call_me did not"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAnAddressIsReadFromAWholeLine(t *testing.T) {
	o := newOutput()
	o.Write([]byte("it listens on http://127.0.0.1:80"))
	if len(o.address) > 0 {
		t.Errorf("half an address was taken: %s", <-o.address)
	}
	o.Write([]byte("80 (upstreams: none)\nand http://127.0.0.1:1\n"))
	if got := <-o.address; got != "http://127.0.0.1:8080" {
		t.Errorf("the address is %s", got)
	}
}

func TestASummaryTellsWhatTestsLookAt(t *testing.T) {
	got := Summary([]Run{
		{Model: "m", Attempt: 1, End: "well", Execs: []Exec{{Kind: "request_context"}, {Kind: "mcp", Tool: "look", Result: "seen"}}},
		{Model: "m", Attempt: 2, Continued: true, Resume: true, Tools: []string{"look"}, Images: 1, End: "error", Error: "why", Failures: []string{"expect x"}},
		{Model: "m", Execs: []Exec{{Kind: "mcp", Tool: "look"}}},
		{Model: "m", End: "left", Error: "in one way or another"},
	})
	const want = `run 1: m, end well
  mcp look: "seen"
run 2: m, attempt 2, continued, resumed, tools look, images 1, end error (why)
  FAILED: expect x
run 3: m, end parked
  mcp look: ""
run 4: m, end left
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
