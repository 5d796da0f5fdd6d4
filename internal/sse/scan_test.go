package sse_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/sse"
)

func scan(t *testing.T, r io.Reader) []sse.Event {
	t.Helper()
	var events []sse.Event
	for e, err := range sse.Scan(r) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

func TestScan(t *testing.T) {
	for name, test := range map[string]struct {
		stream string
		want   []sse.Event
	}{
		"nothing":                {"", nil},
		"one":                    {"data: a\n\n", []sse.Event{{Data: "a"}}},
		"type and id":            {"event: x\nid: 7\ndata: a\n\n", []sse.Event{{Type: "x", ID: "7", Data: "a"}}},
		"CR LF":                  {"data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", []sse.Event{{Data: "a\nb"}, {Data: "c"}}},
		"CR":                     {"data: a\r\rdata: b\r\r", []sse.Event{{Data: "a"}, {Data: "b"}}},
		"several data lines":     {"data: a\ndata:\ndata: b\n\n", []sse.Event{{Data: "a\n\nb"}}},
		"only one space goes":    {"data:  a\ndata:b\n\n", []sse.Event{{Data: " a\nb"}}},
		"comments":               {": keepalive\ndata: a\n: keepalive\n\n: keepalive\n", []sse.Event{{Data: "a"}}},
		"unknown fields":         {"retry: 3\nfoo: bar\nfoo\ndata: a\n\n", []sse.Event{{Data: "a"}}},
		"empty data is an event": {"data\n\n", []sse.Event{{}}},
		"no data is no event":    {"event: x\n\ndata: a\n\n", []sse.Event{{Data: "a"}}},
		"the id stays":           {"id: 1\ndata: a\n\ndata: b\n\n", []sse.Event{{ID: "1", Data: "a"}, {ID: "1", Data: "b"}}},
		"cut off":                {"data: a\n\ndata: b\n", []sse.Event{{Data: "a"}}},
		"byte order mark":        {"\uFEFFdata: a\n\n\uFEFFdata: b\n\n", []sse.Event{{Data: "a"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, scan(t, strings.NewReader(test.stream))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestScanGivesAnEventBeforeMoreIsThere(t *testing.T) {
	for _, end := range []string{"\n", "\r\n", "\r"} {
		r, w := io.Pipe()
		go io.WriteString(w, "data: a"+end+end) // and then nothing
		for e, err := range sse.Scan(r) {
			if e.Data != "a" || err != nil {
				t.Errorf("%q: %v, %v", end, e, err)
			}
			break
		}
		r.Close()
	}
}

func TestScanReportsAReadError(t *testing.T) {
	broken := errors.New("broken")
	var got error
	for _, err := range sse.Scan(io.MultiReader(strings.NewReader("data: a\n\ndata"), iotest.ErrReader(broken))) {
		got = err
	}
	if got != broken {
		t.Errorf("error %v", got)
	}
}

func TestScanRefusesAnEndlessLine(t *testing.T) {
	var got error
	for _, err := range sse.Scan(endless{}) {
		got = err
	}
	if got != sse.ErrTooLong {
		t.Errorf("error %v", got)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, strings.Repeat("x", 4096)), nil }

// FuzzScan checks that how a stream is cut into reads and how its lines end makes no difference, and that what was
// scanned, written again, scans the same.
func FuzzScan(f *testing.F) {
	f.Add("event: x\nid: 7\ndata: a\ndata: b\n\n: comment\ndata: c\n\n")
	f.Add("data: a\r\n\r\ndata\r\rid\n\n")
	f.Add("\uFEFFdata: a\n\n:\n:\n\n")
	f.Fuzz(func(t *testing.T, stream string) {
		events := scan(t, strings.NewReader(stream))
		if diff := cmp.Diff(events, scan(t, iotest.OneByteReader(strings.NewReader(stream)))); diff != "" {
			t.Errorf("byte by byte: %s", diff)
		}
		var again strings.Builder
		for _, e := range events {
			again.WriteString("event: " + e.Type + "\r\nid: " + e.ID + "\r\n")
			for line := range strings.SplitSeq(e.Data, "\n") {
				again.WriteString("data: " + line + "\r\n")
			}
			again.WriteString("\r\n")
		}
		if diff := cmp.Diff(events, scan(t, strings.NewReader(again.String()))); diff != "" {
			t.Errorf("written again: %s", diff)
		}
	})
}
