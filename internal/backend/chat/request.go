package chat

import (
	"crypto/sha256"
	"runtime"
	"strings"
	"time"

	"composer-api/internal/agent"

	"google.golang.org/protobuf/encoding/protowire"
)

// The message of a request. Source: the chat endpoint's description.

// A mode is how the model is to behave. The words are upstream's.
type mode string

const (
	agentMode mode = "Agent" // it may call tools
	// The values are upstream's own words.
	askMode mode = "Ask"
)

// A request is what varies in the message that opens an answer.
type request struct {
	text string // the whole conversation as one user message
	// images are in the order in which text refers to them.
	images         []image
	model          string // upstream's name, the tier at its end
	mode           mode
	conversationID string    // a UUID, the same for all requests of a run or session
	messageID      string    // a UUID, new for each request
	now            time.Time // told to the server in UTC
}

// encodeRequest encodes the request. It is written by hand, because the names and purposes of most of its
// fields are unknown: only the number and the value that is expected, explicit zeros included. A .proto file
// would have to invent names and could not show the values. Every line is a line of the endpoint's
// description.
// The simulator checks every one of these values (cursorsim, chat_request.go).
func encodeRequest(r *request) []byte {
	var user wire
	user.str(1, r.text)
	user.num(2, 1)
	for i := range r.images {
		user.msg(10, r.images[i].encode())
	}
	user.str(13, r.messageID)
	user.num(47, 1)

	var model wire
	model.str(1, r.model)
	model.str(4, "")

	var noSettings wire
	noSettings.str(1, "")
	noSettings.str(2, "")
	var settings wire
	settings.str(1, `cursor\aisettings`) // a backslash: in quotes, \a would be the bell
	settings.str(3, "")
	settings.msg(6, noSettings)
	settings.num(8, 1)
	settings.num(9, 1)

	var client wire
	client.str(1, runtime.GOOS)
	client.str(2, runtime.GOARCH)
	client.str(3, "") // the version of the operating system is not sent
	client.str(4, "composer-api")
	client.str(5, r.now.UTC().Format(time.RFC3339))

	var message wire
	message.str(1, r.messageID)
	message.num(3, 1)

	var q wire
	q.msg(1, user)
	q.num(2, 1)
	q.str(3, "")
	q.num(4, 1)
	q.msg(5, model)
	q.str(8, "")
	q.num(13, 1)
	q.msg(15, settings)
	q.num(19, 1)
	q.str(23, r.conversationID)
	q.msg(26, client)
	q.num(27, 0)
	q.msg(30, message)
	q.num(35, 0)
	q.num(38, 0)
	q.num(46, 1)
	q.str(47, "")
	q.num(48, 0)
	q.num(49, 0)
	q.num(51, 0)
	q.num(53, 1)
	q.str(54, string(r.mode))

	var outer wire
	outer.msg(1, q)
	return outer
}

// wire is a protobuf message that is being written. Unlike generated code it writes zeros and empty strings.
// Fields are written in the order of their numbers.
type wire []byte

// str appends a field that holds a string.
func (w *wire) str(field protowire.Number, s string) {
	*w = protowire.AppendString(protowire.AppendTag(*w, field, protowire.BytesType), s)
}

// bytes appends a field that holds bytes.
func (w *wire) bytes(field protowire.Number, b []byte) {
	*w = protowire.AppendBytes(protowire.AppendTag(*w, field, protowire.BytesType), b)
}

// msg appends a field that holds a message.
func (w *wire) msg(field protowire.Number, m wire) { w.bytes(field, m) }

// num appends a field that holds an integer or a boolean.
func (w *wire) num(field protowire.Number, n uint64) {
	*w = protowire.AppendVarint(protowire.AppendTag(*w, field, protowire.VarintType), n)
}

// localAgentPrefix begins the ids that the gateway chooses; the rest is the UUID that this endpoint wants.
const localAgentPrefix = "agent-"

// conversationID is upstream's id for the request's conversation, a UUID: the one that the gateway has chosen,
// or one that is always the same for one owner's session, or a new one. It is for upstream's own records: nothing is continued by it.
//
//	req.ConversationID   the gateway has pinned the session
//	req.Session          a hash of owner and session: no store is needed
//	neither              a new one
func conversationID(req *agent.Request) string {
	switch {
	case req.ConversationID != "":
		// The gateway's ids are local-agent's, a prefix and a UUID; this endpoint takes the UUID
		// alone.
		return strings.TrimPrefix(req.ConversationID, localAgentPrefix)
	case req.Session != "":
		// The owner comes first and has a length of its own, so that no two pairs hash alike.
		owner := sha256.Sum256([]byte(req.Caller.Owner))
		return agent.UUIDFrom(sha256.Sum256(append(owner[:], req.Session...)))
	}
	return agent.NewUUID()
}
