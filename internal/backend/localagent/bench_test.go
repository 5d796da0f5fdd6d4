package localagent

import (
	"bytes"
	"testing"

	"composer-api/internal/cursor/connectwire"
)

// BenchmarkNext is an event from the envelope to agent.Event, without the network.
func BenchmarkNext(b *testing.B) {
	data := bytes.Repeat(connectwire.Append(nil, 0, textMessage("hello, ")), 64)
	src := bytes.NewReader(nil)
	r := bareRun(b, src)
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(data)
		for range 64 {
			if e, err := r.Next(b.Context()); err != nil || len(e.Text) == 0 {
				b.Fatal(e, err)
			}
			r.Buffered()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*64), "ns/event")
}

// BenchmarkStart is what a long prompt costs until it is encoded: a conversation of 200 messages, 1 MB in all.
func BenchmarkStart(b *testing.B) {
	req := longRequest()
	backend, err := New(Config{Endpoint: "http://cursor/run"})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r := newRun(backend, req)
		if len(r.opening()[1]) < 1<<20 {
			b.Fatal("the prompt got lost")
		}
		r.Close()
	}
}
