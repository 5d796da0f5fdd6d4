package cursorsim

import (
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"composer-api/internal/cursor/pb"
)

// wire writes the server's side of one stream and cuts it up: whole, split or merged frames, plain or
// compressed. It is used by one goroutine. Methods call downwards only:
//
//	send         a message
//	sendPayload  its bytes; with a seed, now and then late, with unknown fields, after an unknown message
//	frame        compressed or not, with the five bytes of Connect before it
//	write        whole, in pieces, or held back
//	out          written and flushed
//
// The order of the bytes is always that of the calls; what the faults change is when they
// arrive, in which pieces, and what stands between them.
type wire struct {
	// w is the answer's body. flush sends what was written to it.
	w     io.Writer
	flush func() error
	// frames is how messages become writes: "whole", "split" or "merged".
	frames string
	// takesGzip: the client's header says that it accepts gzip.
	takesGzip bool
	// compress is whether to compress for a client that accepts it; compressed, whether a frame was.
	compress, compressed bool
	// random decides the faults; nil is none.
	random *rand.Rand

	held []byte // merged: what is not written yet
}

// newWire makes the wire of an answer and sets its headers. The status is not written yet.
// Whether it compresses is decided by the seed or by the script.
func newWire(w http.ResponseWriter, r *http.Request) *wire {
	takesGzip := strings.Contains(r.Header.Get("Connect-Accept-Encoding"), "gzip")
	w.Header().Set("Content-Type", "application/connect+proto")
	if takesGzip {
		// Each message says for itself whether it is compressed, but none may be without this.
		w.Header().Set("Connect-Content-Encoding", "gzip")
	}
	return &wire{w: w, flush: http.NewResponseController(w).Flush, frames: "whole", takesGzip: takesGzip}
}

// heldLimit is how many bytes are held back for merging at most.
const heldLimit = 16 << 10

// misbehave chooses how this stream is cut and whether it is compressed, and keeps random for what is
// decided later, message by message. The same seed and the same number of the stream give the same
// choices.
func (w *wire) misbehave(random *rand.Rand) {
	w.random = random
	// The order in which numbers are drawn is a part of what a seed means: a new one goes to the
	// end.
	w.frames = []string{"whole", "split", "merged"}[random.IntN(3)]
	w.compress = random.IntN(3) == 0
}

// chance is true about once in n times when the simulator misbehaves.
func (w *wire) chance(n int) bool { return w.random != nil && w.random.IntN(n) == 0 }

// send encodes and sends a message.
func (w *wire) send(m *pb.AgentServerMessage) error {
	payload, err := marshal(m)
	if err != nil {
		return err
	}
	return w.sendPayload(payload)
}

// sendPayload sends an encoded AgentServerMessage. With a seed, one in 16 comes a few milliseconds late,
// one in 24 after a message of an unknown kind, and one in 8 has a field more.
func (w *wire) sendPayload(payload []byte) error {
	// This is the simulator's own delay; in tests the clock is that of testing/synctest.
	if w.chance(16) {
		time.Sleep(time.Duration(w.random.IntN(5)) * time.Millisecond)
	}
	if w.chance(24) {
		if err := w.frame(0, unknownMessage()); err != nil {
			return err
		}
	}
	if w.chance(8) {
		payload = appendString(payload, 4000, "from a newer server")
	}
	return w.frame(0, payload)
}

// unknownMessage is a server message of a kind that no client knows. 4001 is far above the numbers in
// use.
func unknownMessage() []byte {
	b := protowire.AppendTag(nil, 4001, protowire.BytesType)
	return protowire.AppendBytes(b, appendString(nil, 1, "a message from a newer server"))
}

// unknownUpdate is an interaction update of a kind that nobody knows. Clients must pass it over and go on.
func unknownUpdate() []byte {
	b := protowire.AppendTag(nil, 1, protowire.BytesType)
	return protowire.AppendBytes(b, unknownMessage())
}

// frame sends one message in its frame, compressed if that was decided and the client accepts
// it. The end frame is compressed like any other.
func (w *wire) frame(flags byte, payload []byte) error {
	if w.takesGzip && w.compress {
		w.compressed = true
		flags, payload = flags|flagGzip, gzipped(payload)
	}
	return w.write(appendFrame(nil, flags, payload))
}

// write writes, cuts or holds back a frame, depending on frames. What is held back stays until
// heldLimit or flushHeld. The pieces of a split frame never hold parts of two.
func (w *wire) write(data []byte) error {
	switch w.frames {
	case "merged":
		w.held = append(w.held, data...)
		if len(w.held) < heldLimit {
			return nil
		}
		return w.flushHeld()
	case "split":
		for len(data) > 0 {
			n := w.cut(len(data))
			if err := w.out(data[:n]); err != nil {
				return err
			}
			data = data[n:]
		}
		return nil
	}
	return w.out(data)
}

// cut is how much of n bytes the next write takes.
func (w *wire) cut(n int) int {
	if w.random == nil {
		// Without a seed, a script has asked for pieces: always three bytes.
		return min(n, 3)
	}
	// Large messages in small pieces would take for ever.
	return min(n, 1+w.random.IntN(7+n/8))
}

// flushHeld writes what is held back. It is called before every wait, because otherwise the client and
// the server would wait for each other.
func (w *wire) flushHeld() error {
	if len(w.held) == 0 {
		return nil
	}
	data := w.held
	w.held = nil
	return w.out(data)
}

// out writes and flushes at once, so that each write arrives as a piece of its own. An error means that
// the client has left.
func (w *wire) out(data []byte) error {
	if _, err := w.w.Write(data); err != nil {
		return err
	}
	return w.flush()
}

// end writes the end frame.
func (w *wire) end(e *endError) error {
	if err := w.frame(flagEnd, e.payload()); err != nil {
		return err
	}
	return w.flushHeld()
}

// garbage sends bytes that are no message. kind is one of script's words:
//
//	payload   a frame whose payload is no protobuf
//	gzip      a frame that says it is compressed and is not
//	length    a frame that promises 4 GiB
//	end       an end frame that is no JSON
func (w *wire) garbage(kind string) error {
	var data []byte
	switch kind {
	case "payload": // a field without its value, and a wire type that does not exist
		data = appendFrame(nil, 0, []byte{0x0a, 0xff, 0x0f, 0x07})
	case "gzip":
		data = appendFrame(nil, flagGzip, []byte("this is not compressed"))
	case "length":
		data = append([]byte{0, 0xff, 0xff, 0xff, 0xff}, "too little"...)
	case "end":
		data = appendFrame(nil, flagEnd, []byte(`{"error":`))
	}
	if err := w.flushHeld(); err != nil {
		return err
	}
	return w.out(data)
}
