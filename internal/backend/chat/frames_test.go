package chat

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/connectwire"

	"github.com/google/go-cmp/cmp"
)

// pieces reads everything, as "Rtext" and "Ttext".
func pieces(read func(yield func([]byte) bool) error) ([]string, error) {
	var got []string
	err := read(func(p []byte) bool { got = append(got, string(p)); return true })
	return got, err
}

func frame(thinking, text string) []byte {
	var inner, message, outer wire
	if thinking != "" {
		inner.str(1, thinking)
		message.msg(25, inner)
	}
	if text != "" {
		message.str(1, text)
	}
	outer.num(7, 9) // unknown
	outer.str(1, "\x08\x01a call in binary form")
	outer.msg(2, message)
	outer.str(4000, "from a newer server")
	return connectwire.Append(nil, 0, outer)
}

func TestFrames(t *testing.T) {
	end := connectwire.Append(nil, connectwire.EndOfStream, []byte("{}"))
	for _, c := range []struct {
		name   string
		stream [][]byte
		want   []string
		err    error
	}{
		{"thinking and text", [][]byte{frame("hm", ""), frame("", "a"), frame("", "b"), end}, []string{"Rhm", "Ta", "Tb"}, io.EOF},
		{"both in one frame", [][]byte{frame("hm", "a"), end}, []string{"Rhm", "Ta"}, io.EOF},
		{"frames without text", [][]byte{frame("", ""), {0, 0, 0, 0, 0}, end}, nil, io.EOF},
		{"no end frame", [][]byte{frame("", "a")}, []string{"Ta"}, io.ErrUnexpectedEOF},
		{"no protobuf", [][]byte{{0, 0, 0, 0, 1, 0xff}}, nil, errFrame},
		{"a message cut short", [][]byte{connectwire.Append(nil, 0, []byte{0x12, 0x02, 0x0a, 0x05})}, nil, errFrame},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := pieces(func(yield func([]byte) bool) error {
				return readFrames(strings.NewReader(string(concat(c.stream))), yield)
			})
			if diff := cmp.Diff(c.want, got); diff != "" || !errors.Is(err, c.err) {
				t.Errorf("%v (-want +got)\n%s", err, diff)
			}
		})
	}
}

func concat(parts [][]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func TestEventsOfOlderServers(t *testing.T) {
	delta := func(text string) string {
		return "event: interaction_update\ndata: {\"type\":\"text-delta\",\"text\":\"" + text + "\"}\n\n"
	}
	whole := func(kind, field, text string) string {
		return "event: " + kind + "\ndata: {\"" + field + "\":\"" + text + "\"}\n\n"
	}
	const done = "event: done\ndata: {}\n\n"
	for _, c := range []struct {
		name, stream string
		want         []string
		err          error
	}{
		{"deltas", delta("a ") + delta("b") + done, []string{"Ta ", "Tb"}, io.EOF},
		{"a summary is reasoning", whole("interaction_update", "type\":\"summary\",\"summary", "hm") + delta("a") + done, []string{"Rhm", "Ta"}, io.EOF},
		{"a message repeats its deltas", delta("a ") + delta("b") + whole("assistant", "text", "a b") + done, []string{"Ta ", "Tb"}, io.EOF},
		{"a message says what its deltas left out", delta("a ") + whole("assistant", "text", "a b") + done, []string{"Ta ", "Tb"}, io.EOF},
		{"messages without deltas", whole("assistant", "text", "a ") + whole("assistant", "text", "b") + done, []string{"Ta ", "Tb"}, io.EOF},
		{"a message after another one's deltas", delta("a") + whole("assistant", "text", "a") + whole("assistant", "text", "ab") + done, []string{"Ta", "Tab"}, io.EOF},
		{"a result alone", whole("result", "result", "a"), []string{"Ta"}, io.EOF},
		{"a result in text", whole("result", "text", "a") + done, []string{"Ta"}, io.EOF},
		{"a result repeats the answer", delta("a") + whole("result", "result", "a"), []string{"Ta"}, io.EOF},
		{"unknown events", "event: ping\ndata: what?\n\n" + whole("interaction_update", "type", "step") + "data: x\n\n" + delta("a") + done, []string{"Ta"}, io.EOF},
		{"neither result nor done", delta("a"), []string{"Ta"}, io.ErrUnexpectedEOF},
		{"no JSON", "event: assistant\ndata: a\n\n", nil, errFrame},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := pieces(func(yield func([]byte) bool) error { return readEvents(strings.NewReader(c.stream), yield) })
			if diff := cmp.Diff(c.want, got); diff != "" || !errors.Is(err, c.err) {
				t.Errorf("%v (-want +got)\n%s", err, diff)
			}
		})
	}
	_, err := pieces(func(yield func([]byte) bool) error {
		return readEvents(strings.NewReader(whole("error", "message", "Out of luck.")), yield)
	})
	if e := agent.AsError(err); e.Code != agent.Upstream || e.Message != "Out of luck." || !e.FromUpstream {
		t.Errorf("an error event gives %v", err)
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(concat([][]byte{frame("hm", "a"), connectwire.Append(nil, connectwire.EndOfStream, []byte("{}"))}), false)
	f.Add([]byte{0, 0, 0, 0, 1, 0xff}, false)
	f.Add([]byte("event: interaction_update\ndata: {\"type\":\"text-delta\",\"text\":\"a\"}\n\nevent: done\ndata: {}\n\n"), true)
	f.Fuzz(func(t *testing.T, stream []byte, events bool) {
		read := readFrames
		if events {
			read = readEvents
		}
		got, err := pieces(func(yield func([]byte) bool) error { return read(strings.NewReader(string(stream)), yield) })
		if err == nil {
			t.Error("a stream must end in an error")
		}
		for _, p := range got {
			if len(p) < 2 || p[0] != inThinking && p[0] != inAnswer {
				t.Errorf("piece %q", p)
			}
		}
	})
}

// An answer of an older server may come in very many deltas. What they say so far is kept to compare it with the whole message,
// and must not be copied for each.
func TestManyDeltasTakeLinearWork(t *testing.T) {
	read := func(n int) uint64 {
		stream := strings.Repeat("event: interaction_update\ndata: {\"type\":\"text-delta\",\"text\":\"word \"}\n\n", n) + "event: done\ndata: {}\n\n"
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := readEvents(strings.NewReader(stream), func([]byte) bool { return true }); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	one, four := read(2_000), read(8_000)
	if four > 6*one {
		t.Errorf("%d bytes allocated for 2,000 deltas, %d for 8,000", one, four)
	}
}
