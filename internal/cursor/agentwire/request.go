package agentwire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/pb"
)

// The first message of a stream (the run request) and the headers that go with it. Source:
// Cursor's SDK 1.1.0 and the protocol's description.

// A Ticket is everything that the attempts of one run have in common: what is asked for, in which
// conversation, under which ids. A retry sends the same ticket again, under a new request id. It is used
// by one goroutine at a time.
//
// Who sets what: NewTicket everything, for a run of our own; CarriedHeader the few fields that
// a carried run's header needs. UserAction is the only large field.
type Ticket struct {
	// Key is the caller's Cursor key, which an attempt exchanges for a token.
	Key            agent.Secret
	RunID          string // x-original-request-id too
	ConversationID string
	BlobKey        string // the conversation's blob encryption key
	UserAction     []byte // a ConversationAction: the user's message; its owner may drop it once it can't be sent again

	// System is the client's system text, as custom_system_prompt; "" when it stands in the message, or there is none. It goes
	// with every run of a conversation, not only with the first.
	System string

	// model and tools are what the run request asks for.
	model agent.Model
	tools *Toolset
	tried bool // Header was called, so that the next attempt is a retry
}

// NewTicket makes the ticket for a request. conversationID and its blobKey are those of the conversation
// that is continued; both are empty for a new one.
func NewTicket(req *agent.Request, tools *Toolset, conversationID, blobKey string) *Ticket {
	t := &Ticket{
		Key: req.Caller.CursorKey, RunID: agent.NewUUID(), ConversationID: conversationID, BlobKey: blobKey,
		UserAction: userAction(render(req)), model: req.Model, tools: tools,
	}
	if req.NativeSystem {
		t.System = req.SystemText()
	}
	if conversationID != "" {
		return t
	}
	t.ConversationID = req.ConversationID
	if t.ConversationID == "" {
		t.ConversationID = agent.NewConversationID()
	}
	t.BlobKey = newBlobKey(t.Key, t.ConversationID)
	return t
}

// SetTools makes these the tools of the attempts to come. What was sent before stays as it was.
func (t *Ticket) SetTools(tools *Toolset) { t.tools = tools }

// newBlobKey derives a conversation's blob encryption key (64 hex digits), which must be the same on its
// every turn, also when another process opens the conversation again under the same id. It can't be
// guessed without the user's key.
func newBlobKey(key agent.Secret, conversationID string) string {
	h := hmac.New(sha256.New, []byte(key.Reveal()))
	h.Write([]byte("composer-api blob key: " + conversationID))
	return hex.EncodeToString(h.Sum(nil))
}

// userAction encodes the action of a user message in the prompt's own memory: the tags and lengths are
// written into the headroom before the text, and the images are appended after it. p must not be used
// afterwards.
func userAction(p prompt) []byte {
	text, extra := p.text(), selectedContext(p.images)
	message := sizeField(fieldMessageText, text) + len(extra)
	action := sizeLength(fieldUserMessage, message)
	var prefix []byte
	// ConversationAction{1: UserMessageAction{1: UserMessage{1: text, 3: images}}}. Each length covers
	// everything inside, so they are computed from the inside out.
	prefix = protowire.AppendTag(prefix, fieldUserMessageAction, protowire.BytesType)
	prefix = protowire.AppendVarint(prefix, uint64(action))
	prefix = protowire.AppendTag(prefix, fieldUserMessage, protowire.BytesType)
	prefix = protowire.AppendVarint(prefix, uint64(message))
	prefix = protowire.AppendTag(prefix, fieldMessageText, protowire.BytesType)
	prefix = protowire.AppendVarint(prefix, uint64(len(text)))
	start := headroom - len(prefix)
	copy(p.buf[start:], prefix)
	return append(p.buf, extra...)[start:]
}

// selectedContext encodes a user message's images as the field that holds them; nothing when
// there are none. Images are sent inline, not as blobs. The ids are new each time.
func selectedContext(images []*agent.Image) []byte {
	if len(images) == 0 {
		return nil
	}
	c := &pb.SelectedContext{}
	for _, image := range images {
		c.SelectedImages = append(c.SelectedImages, &pb.SelectedImage{
			DataOrBlobId: &pb.SelectedImage_Data{Data: image.Data}, Uuid: agent.NewUUID(), MimeType: Valid(image.MIME),
		})
	}
	return appendField(nil, fieldSelectedContext, encode(c))
}

// ResumeAction is the action of an attempt that continues from a checkpoint after its stream broke.
func ResumeAction() []byte {
	return encode(&pb.ConversationAction{
		Action: &pb.ConversationAction_ResumeAction{ResumeAction: &pb.ResumeAction{}},
	})
}

// The fields that are put together by hand: the state must go back byte for byte, and the prompt may be megabytes.
const (
	fieldRunRequest        protowire.Number = 1 // AgentClientMessage.run_request
	fieldConversationState protowire.Number = 1 // AgentRunRequest.conversation_state
	fieldAction            protowire.Number = 2 // AgentRunRequest.action
	fieldMcpTools          protowire.Number = 4 // AgentRunRequest.mcp_tools
	// AgentRunRequest.34, whose name is not known: SDK 1.1.0 sends it with the value 0.
	fieldZero              protowire.Number = 34
	fieldUserMessageAction protowire.Number = 1 // ConversationAction.user_message_action
	fieldUserMessage       protowire.Number = 1 // UserMessageAction.user_message
	fieldMessageText       protowire.Number = 1 // UserMessage.text
	fieldSelectedContext   protowire.Number = 3 // UserMessage.selected_context
)

// Envelope encodes the first message of a stream: the run request with the conversation's state (nil for
// a new conversation) and an action, either t.UserAction or ResumeAction. The result is one envelope in
// pieces, of which the action is one, so that megabytes are not copied.
//
// The fields are not in the order of their numbers, which protobuf allows. The pieces must not
// be changed: action is the ticket's own memory.
func (t *Ticket) Envelope(state, action []byte) [][]byte {
	// rest is everything small, encoded as usual. The two large fields are written around it.
	rest := &pb.AgentRunRequest{
		ConversationId: proto.String(Valid(t.ConversationID)), RunId: proto.String(t.RunID),
		RequestedModel: &pb.RequestedModel{ModelId: Valid(t.model.ID), MaxMode: t.model.MaxMode},
	}
	for _, p := range t.model.Params {
		rest.RequestedModel.Parameters = append(rest.RequestedModel.Parameters, &pb.RequestedModel_Param{Id: Valid(p.ID), Value: Valid(p.Value)})
	}
	if t.System != "" {
		rest.CustomSystemPrompt = proto.String(Valid(t.System))
	}
	tail := append(appendField(nil, fieldMcpTools, t.tools.mcpTools), encode(rest)...)
	tail = protowire.AppendTag(tail, fieldZero, protowire.VarintType)
	tail = protowire.AppendVarint(tail, 0)
	// A message's length stands before it, so the sizes are summed up before anything is written.
	size := sizeField(fieldConversationState, state) + sizeField(fieldAction, action) + len(tail)
	message := sizeLength(fieldRunRequest, size)

	head := make([]byte, connectwire.HeaderLen)
	connectwire.PutHeader(head, 0, message)
	head = protowire.AppendTag(head, fieldRunRequest, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(size))
	head = appendField(head, fieldConversationState, state)
	head = protowire.AppendTag(head, fieldAction, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(len(action)))
	return [][]byte{head, action, tail}
}

// sizeField is the size of a field that holds the message.
func sizeField(number protowire.Number, message []byte) int { return sizeLength(number, len(message)) }

// sizeLength is the size of a field that holds n bytes.
func sizeLength(number protowire.Number, n int) int {
	return protowire.SizeTag(number) + protowire.SizeBytes(n)
}

// What upstream may use, in x-cursor-agent-allowed-tools. Built-in tools would run on our machine, where
// the user's files aren't. Whether every server obeys is unknown, so calls of built-in tools are answered
// all the same. Source: the protocol's description of the headers.
const (
	noTools    = ""
	onlyClient = "mcp_tool_call,get_mcp_tools_tool_call,list_mcp_resources_tool_call,read_mcp_resource_tool_call,mcp_auth_tool_call"
)

// DefaultClientVersion is the version of Cursor's SDK that we report, unless the operator sets another
// (CURSOR_SDK_CLIENT_VERSION): the newest one whose messages we have seen.
const DefaultClientVersion = "sdk-1.1.0"

// noTrace is a trace context of zeros, which belongs to no trace. SDK 1.1.0 sends it.
const noTrace = "00-00000000000000000000000000000000-0000000000000000-00"

// Header is the header of the next attempt. It is called once for each attempt, by one goroutine at a
// time. The request id is the run's on the first attempt and new on each retry, as Cursor's SDK does it.
//
// token is the exchanged access token, not the user's key.
//
// The names are in canonical form, so they can be put into the header without being looked at again. The values share one
// array: one allocation in place of fourteen.
func (t *Ticket) Header(token agent.Secret, clientVersion string) http.Header {
	allowed := onlyClient
	if len(t.tools.names) == 0 {
		allowed = noTools // present and empty
	}
	requestID := t.RunID
	if t.tried {
		requestID = agent.NewUUID()
	}
	t.tried = true
	fields := []string{
		"Authorization", "Bearer " + token.Reveal(),
		"Content-Type", connectwire.ContentType,
		"Connect-Protocol-Version", "1",
		"Connect-Accept-Encoding", "gzip",
		"User-Agent", "composer-api",
		"Traceparent", noTrace,
		"Backend-Traceparent", noTrace,
		"X-Cursor-Client-Type", "sdk",
		"X-Cursor-Client-Version", clientVersion,
		"X-Ghost-Mode", "true",
		"X-Request-Id", requestID,
		"X-Original-Request-Id", t.RunID,
		"X-Blob-Encryption-Key", t.BlobKey,
		"X-Cursor-Agent-Allowed-Tools", allowed,
	}
	h := make(http.Header, len(fields)/2)
	for i := 0; i < len(fields); i += 2 {
		h[fields[i]] = fields[i+1 : i+2 : i+2]
	}
	return h
}

// EncodeRun encodes the first envelope of a new run for req, for a caller that opens no stream of its own
// but sends it through a bridge. req.Continue is ignored. It returns the run's id, which is the request's
// id too, beside the envelope.
func EncodeRun(req *agent.Request) (envelope []byte, runID string) {
	fresh := *req
	fresh.Continue, fresh.New = nil, 0
	t := NewTicket(&fresh, NewToolset(req.Offered()), "", "")
	return slices.Concat(t.Envelope(nil, t.UserAction)...), t.RunID
}

// CarriedHeader is the header of an attempt to carry out run, which somebody else has encoded. blobSecret
// is what the conversation's blob encryption key is derived from. An empty requestID is replaced by a new
// one. Compressed messages are not asked for, because they would be passed on to a client that has not
// asked for them.
func CarriedHeader(run *pb.AgentRunRequest, token agent.Secret, clientVersion, requestID string, blobSecret agent.Secret) http.Header {
	t := &Ticket{RunID: run.GetRunId(), BlobKey: newBlobKey(blobSecret, run.GetConversationId()), tools: &Toolset{}}
	t.tried = true // whether this is the first attempt is for the caller to know
	for _, tool := range run.GetMcpTools().GetMcpTools() {
		t.tools.names = append(t.tools.names, tool.GetToolName())
	}
	h := t.Header(token, clientVersion)
	h.Del("Connect-Accept-Encoding")
	if requestID != "" {
		h.Set("X-Request-Id", requestID)
	}
	return h
}
