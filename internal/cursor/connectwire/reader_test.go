package connectwire

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// stream builds the bytes of a stream: a text is a message, "gz:…" a compressed one, "end:…" an end of stream.
func stream(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		switch kind, rest, _ := strings.Cut(p, ":"); kind {
		case "gz":
			b = Append(b, Compressed, zipped(rest))
		case "end":
			b = Append(b, EndOfStream, []byte(rest))
		case "gzend":
			b = Append(b, EndOfStream|Compressed, zipped(rest))
		case "raw":
			b = append(b, rest...)
		default:
			b = Append(b, 0, []byte(p))
		}
	}
	return b
}

func zipped(s string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	z.Close()
	return b.Bytes()
}

// read reads a stream to its end and says what came, one line each.
func read(r *Reader) string {
	var out []string
	for {
		msg, err := r.Next()
		if err != nil {
			var format *FormatError
			var fail *Error
			switch {
			case err == io.EOF:
				out = append(out, "end")
			case err == io.ErrUnexpectedEOF:
				out = append(out, "cut")
			case errors.As(err, &format):
				out = append(out, "format: "+format.Reason)
			case errors.As(err, &fail):
				out = append(out, "error: "+fail.Error())
			default:
				out = append(out, "other: "+err.Error())
			}
			if _, again := r.Next(); again != err {
				out = append(out, fmt.Sprintf("and then: %v", again))
			}
			return strings.Join(out, "\n")
		}
		if len(msg) > 40 {
			msg = fmt.Appendf(nil, "%s… (%d)", msg[:4], len(msg))
		}
		out = append(out, string(msg))
	}
}

func TestReaderYieldsMessagesThenTheEnd(t *testing.T) {
	long := strings.Repeat("long", 5000)
	for _, tt := range []struct {
		name  string
		parts []string
		want  string
	}{
		{"messages and a good end", []string{"one", "two", "end:{}"}, "one\ntwo\nend"},
		{"an empty message", []string{"", "end:{}"}, "\nend"},
		{"an end without braces", []string{"one", "end:"}, "one\nend"},
		{"metadata at the end is ignored", []string{`end:{"metadata":{"a":["b"]}}`}, "end"},
		{"nothing behind the end is read", []string{"end:{}", "three"}, "end"},
		{"gzip", []string{"gz:one", "gzend:{}"}, "one\nend"},
		{"a message larger than the buffer", []string{"one", long, "two", "end:{}"}, "one\nlong… (20000)\ntwo\nend"},
		{"a large compressed message", []string{"gz:" + long, "end:{}"}, "long… (20000)\nend"},
		{"an error", []string{"one", `end:{"error":{"code":"unavailable","message":"busy"}}`}, "one\nerror: unavailable: busy"},
		{"an error without a code", []string{`end:{"error":{"message":"busy"}}`}, "error: unknown: busy"},
		{"an end that is no JSON", []string{"end:<html>"}, "format: end of stream: invalid character '<' looking for beginning of value"},
		{"a stream without an end", []string{"one"}, "one\ncut"},
		{"nothing at all", nil, "cut"},
		{"a cut header", []string{"one", "raw:\x00\x00"}, "one\ncut"},
		{"a cut message", []string{"one", "raw:\x00\x00\x00\x00\x05hal"}, "one\ncut"},
		{"a cut large message", []string{"raw:\x00\x00\x00\x20\x00" + long[:99]}, "cut"},
		{"unknown flags", []string{"raw:\x80\x00\x00\x00\x00"}, "format: envelope has unknown flags 0x80"},
		{"over the limit", []string{"raw:\x00\xff\xff\xff\xff"}, "format: envelope of 4294967295 bytes is over the limit of 32768"},
		{"a compressed message over the limit", []string{"gz:" + strings.Repeat("x", 40000)}, "format: envelope is over the limit of 32768 bytes once decompressed"},
		{"a broken compressed message", []string{"raw:\x01\x00\x00\x00\x03xyz"}, "format: compressed envelope: unexpected EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := stream(tt.parts...)
			for source, src := range map[string]io.Reader{
				"whole":       bytes.NewReader(data),
				"byte a time": iotest.OneByteReader(bytes.NewReader(data)),
				"halves":      iotest.HalfReader(bytes.NewReader(data)),
				"EOF early":   iotest.DataErrReader(bytes.NewReader(data)),
			} {
				if got := read(NewReader(src, 32<<10)); got != tt.want {
					t.Errorf("%s:\ngot  %q\nwant %q", source, got, tt.want)
				}
			}
		})
	}
}

func TestReaderPassesOnWhatItsSourceSays(t *testing.T) {
	broken := errors.New("connection reset")
	r := NewReader(io.MultiReader(bytes.NewReader(stream("one")), iotest.ErrReader(broken)), 0)
	if got, want := read(r), "one\nother: connection reset"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBufferedTellsWhetherNextWouldRead(t *testing.T) {
	data := stream("one", "two")
	half := stream("three")
	source, more := io.Pipe()
	go func() {
		more.Write(append(data, half[:6]...))
		more.Write(half[6:])
		more.Write(stream("end:{}"))
	}()
	r := NewReader(source, 0)
	var got []string
	for {
		before := r.Buffered()
		msg, err := r.Next()
		got = append(got, fmt.Sprintf("%v %s", before, msg))
		if err != nil {
			break
		}
	}
	// The pipe hands over 64 bytes at first, then what the buffer takes: "two" is there, "three" is not whole.
	want := []string{"false one", "true two", "false three", "false "}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if !r.Buffered() {
		t.Error("Buffered is false after the end")
	}
}

func TestPeekTakesNothing(t *testing.T) {
	r := NewReader(bytes.NewReader(stream("one", "two", "gz:three", "end:{}")), 0)
	var got []string
	for range 4 {
		first, _ := r.Next()
		peeked, ok := r.Peek()
		got = append(got, fmt.Sprintf("%s, then %s %v", first, peeked, ok))
	}
	want := "[one, then two true two, then  false three, then  false , then  false]"
	if fmt.Sprint(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestIdleReaderGoesOnWhereItWas(t *testing.T) {
	r := NewReader(iotest.OneByteReader(bytes.NewReader(stream("one", "two", "end:{}"))), 0)
	var got []string
	for {
		r.Idle()
		msg, err := r.Next()
		if err != nil {
			break
		}
		got = append(got, string(msg))
	}
	if fmt.Sprint(got) != "[one two]" {
		t.Errorf("got %q", got)
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	data := stream("one", "two", "three", "four")
	src := bytes.NewReader(data)
	r := NewReader(src, 0)
	allocs := testing.AllocsPerRun(100, func() {
		src.Reset(data)
		for range 4 {
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for four messages, want 0", allocs)
	}
}

func FuzzReader(f *testing.F) {
	for _, parts := range [][]string{
		{"one", "two", "end:{}"},
		{"gz:one", "gzend:{}"},
		{`end:{"error":{"code":"unauthenticated","message":"m","details":[{"type":"aiserver.v1.ErrorDetails","value":"CAE"}]}}`},
		{"one"},
		{"raw:\x00\xff\xff\xff\xff"},
	} {
		f.Add(stream(parts...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 1 << 16
		want := read(NewReader(bytes.NewReader(data), limit))
		if got := read(NewReader(iotest.OneByteReader(bytes.NewReader(data)), limit)); got != want {
			t.Errorf("how the bytes are split makes a difference:\n%q\n%q", got, want)
		}
	})
}
