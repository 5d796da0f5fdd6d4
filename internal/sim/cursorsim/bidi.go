package cursorsim

import (
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"composer-api/internal/cursor/pb"
)

// A session is the client's side of a stream over HTTP/1.1: each message comes in a request of its
// own, and several may be under way at once.
//
//	BidiAppend seqno 1 ──► held until 0 is here
//	BidiAppend seqno 0 ──► inbox: 0, 1
//	RunSSE             ──► serveRun reads the inbox, and answers in its body
//
// Its methods may be called concurrently; mu protects all fields but in, which has its own lock.
type session struct {
	// in hands the messages on, in their order. The run reads it.
	in *inbox

	mu sync.Mutex
	// next is the number of the message that the inbox waits for; the first is 0.
	next int64
	held map[int64]*pb.AgentClientMessage // came before their turn
	// done is set when the run is over; from then on messages are counted as received and dropped.
	done bool
}

// sessions are the streams over HTTP/1.1, by request id. A finished session stays until newer ones
// displace it, because a late append must not open a new one.
type sessions struct {
	// mu guards the map. keep is how many sessions stay.
	mu   sync.Mutex
	keep int
	oldest[string, *session]
}

// of returns the session of a request id, a new one when it is the first to ask: either of the
// stream and its first message may arrive first. It never returns nil. The caller holds no lock.
func (s *sessions) of(requestID string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.items[requestID]; ok {
		return known
	}
	fresh := &session{in: newInbox(), held: map[int64]*pb.AgentClientMessage{}}
	s.add(requestID, fresh, s.keep)
	return fresh
}

// append takes message number seq and passes on what is in order. It reports whether the number
// is a new one; a number that comes twice is dropped. A number that leaves a gap is held
// without limit: the gap may be filled until the run ends.
func (s *session) append(seq int64, m *pb.AgentClientMessage) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	// What is below next was passed on.
	if _, again := s.held[seq]; again || seq < s.next {
		return false
	}
	if s.done {
		return true
	}
	s.held[seq] = m
	for {
		m, ok := s.held[s.next]
		if !ok {
			return true
		}
		delete(s.held, s.next)
		s.next++
		s.in.put(item{message: m})
	}
}

// end throws away what nobody will read. It is called when the run is over.
func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
	s.held = map[int64]*pb.AgentClientMessage{}
	s.in.take()
}

// runSSE serves the stream over HTTP/1.1. The body is one frame with a BidiRequestId; under that id
// bidiAppend receives the messages. Despite the method's name the answer is a Connect stream and not
// text/event-stream. The session is over when runSSE returns; later appends are ignored.
func (s *Sim) runSSE(w http.ResponseWriter, r *http.Request) {
	_, payload, err := readFrame(r.Body)
	var id pb.BidiRequestId
	if err != nil || proto.Unmarshal(payload, &id) != nil || id.GetRequestId() == "" {
		writeConnectError(w, http.StatusBadRequest, "invalid_argument", "the request id is missing")
		return
	}
	// net/http notices that the client has left only once the body has been read to its end.
	io.Copy(io.Discard, r.Body)
	session := s.sessions.of(id.GetRequestId())
	defer session.end()
	s.serveRun(w, r, "sse", id.GetRequestId(), session.in)
}

// bidiAppend takes in one message of a stream over HTTP/1.1: a BidiAppendRequest with an
// AgentClientMessage in hex. It is a unary Connect call, so its body has no frame, and compression is
// in Content-Encoding. Requests arrive in any order; session.append sorts them by append_seqno.
//
// What a client could have got wrong without any harm here (upper-case hex, a content type) is noted
// as a violation and accepted; a message that can't be decoded is refused with invalid_argument.
func (s *Sim) bidiAppend(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.tokens.check(bearer(r)); !ok {
		writeConnectError(w, http.StatusUnauthorized, "unauthenticated", "the access token is not valid")
		return
	}
	var body io.Reader = http.MaxBytesReader(w, r.Body, 2*maxFrame+1024)
	data, err := io.ReadAll(body)
	if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
		data, err = gunzip(data)
	}
	var req pb.BidiAppendRequest
	m := new(pb.AgentClientMessage)
	if err == nil {
		err = proto.Unmarshal(data, &req)
	}
	if err == nil {
		var raw []byte
		raw, err = hex.DecodeString(req.GetData())
		if err == nil {
			err = proto.Unmarshal(raw, m)
		}
	}
	if err != nil {
		writeConnectError(w, http.StatusBadRequest, "invalid_argument", err.Error())
		return
	}
	// No run is named (0), because the stream may not have come yet.
	if req.GetData() != strings.ToLower(req.GetData()) {
		s.journal.violation(0, "BidiAppend: data is not lower-case hex")
	}
	if r.Header.Get("Content-Type") != "application/proto" {
		s.journal.violation(0, "BidiAppend: content-type is "+r.Header.Get("Content-Type"))
	}
	if !s.sessions.of(req.GetRequestId().GetRequestId()).append(req.GetAppendSeqno(), m) {
		s.journal.violation(0, "BidiAppend: append_seqno used twice")
	}
	w.Header().Set("Content-Type", "application/proto")
}
