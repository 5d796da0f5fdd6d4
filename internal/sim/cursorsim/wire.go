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

// wire writes the server's side of one stream and cuts it up: whole, split or merged frames, plain or compressed. It is
// used by one goroutine.
type wire struct {
	w     io.Writer
	flush func() error
	// frames is how messages become writes: "whole", "split" or "merged".
	frames string
	// takesGzip is what the client said.
	takesGzip bool
	// compress is whether we compress for a client that takes it; compressed, whether we did.
	compress, compressed bool
	// random is where misbehaviour comes from; nil is none.
	random *rand.Rand

	held []byte // merged: what is not written yet
}

// newWire makes the wire of an answer and sets its headers.
func newWire(w http.ResponseWriter, r *http.Request) *wire {
	takesGzip := strings.Contains(r.Header.Get("Connect-Accept-Encoding"), "gzip")
	w.Header().Set("Content-Type", "application/connect+proto")
	if takesGzip {
		// Each message says for itself whether it is compressed, but none may be without this.
		w.Header().Set("Connect-Content-Encoding", "gzip")
	}
	return &wire{w: w, flush: http.NewResponseController(w).Flush, frames: "whole", takesGzip: takesGzip}
}

// heldLimit is how much is merged at most.
const heldLimit = 16 << 10

// misbehave chooses the stream's habits at random.
func (w *wire) misbehave(random *rand.Rand) {
	w.random = random
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

// sendPayload sends an encoded AgentServerMessage.
func (w *wire) sendPayload(payload []byte) error {
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

// unknownMessage is a server message of a kind that nobody knows.
func unknownMessage() []byte {
	b := protowire.AppendTag(nil, 4001, protowire.BytesType)
	return protowire.AppendBytes(b, appendString(nil, 1, "a message from a newer server"))
}

// unknownUpdate is an interaction update of a kind that nobody knows.
func unknownUpdate() []byte {
	b := protowire.AppendTag(nil, 1, protowire.BytesType)
	return protowire.AppendBytes(b, unknownMessage())
}

// frame sends one message with the stream's habits.
func (w *wire) frame(flags byte, payload []byte) error {
	if w.takesGzip && w.compress {
		w.compressed = true
		flags, payload = flags|flagGzip, gzipped(payload)
	}
	return w.write(appendFrame(nil, flags, payload))
}

// write writes, cuts or holds back a frame, as frames says.
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
		return min(n, 3)
	}
	// Large messages in small pieces would take for ever.
	return min(n, 1+w.random.IntN(7+n/8))
}

// flushHeld writes what is held back. It is called before every wait.
func (w *wire) flushHeld() error {
	if len(w.held) == 0 {
		return nil
	}
	data := w.held
	w.held = nil
	return w.out(data)
}

// out writes and flushes at once. An error means that the client has left.
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

// garbage sends what is no message.
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
