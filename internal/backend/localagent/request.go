package localagent

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

// A ticket is everything that the attempts of one run have in common: what is asked for, in which conversation, under
// which ids.
type ticket struct {
	key            agent.Secret
	runID          string // x-original-request-id too
	conversationID string
	blobKey        string
	model          agent.Model
	tools          *toolset
	userAction     []byte // a ConversationAction; nil once it can't be sent again
}

// newTicket reads a request.
func newTicket(req *agent.Request, tools *toolset) *ticket {
	t := &ticket{key: req.Caller.CursorKey, runID: agent.NewUUID(), model: req.Model, tools: tools, userAction: userAction(render(req))}
	if from, ok := req.Continue.(*conversation); ok {
		t.conversationID, t.blobKey = from.id, from.blobKey
		return t
	}
	t.conversationID = req.ConversationID
	if t.conversationID == "" {
		t.conversationID = agent.NewConversationID()
	}
	t.blobKey = blobKey(t.key, t.conversationID)
	return t
}

// blobKey derives a conversation's blob encryption key, which must be the same on its every turn, also when another
// process opens the conversation again under the same id. Nobody without the user's key can guess it.
func blobKey(key agent.Secret, conversationID string) string {
	h := hmac.New(sha256.New, []byte(key.Reveal()))
	h.Write([]byte("composer-api blob key: " + conversationID))
	return hex.EncodeToString(h.Sum(nil))
}

// userAction encodes the action of a user message, in the prompt's own memory.
func userAction(p prompt) []byte {
	text, extra := p.text(), selectedContext(p.images)
	message := sizeField(fieldMessageText, text) + len(extra)
	action := sizeLength(fieldUserMessage, message)
	var prefix []byte
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

// selectedContext encodes a user message's images as the field that holds them; nothing when there are none.
func selectedContext(images []*agent.Image) []byte {
	if len(images) == 0 {
		return nil
	}
	c := &pb.SelectedContext{}
	for _, image := range images {
		c.SelectedImages = append(c.SelectedImages, &pb.SelectedImage{
			DataOrBlobId: &pb.SelectedImage_Data{Data: image.Data}, Uuid: agent.NewUUID(), MimeType: valid(image.MIME),
		})
	}
	return appendField(nil, fieldSelectedContext, encode(c))
}

var resumeAction = encode(&pb.ConversationAction{
	Action: &pb.ConversationAction_ResumeAction{ResumeAction: &pb.ResumeAction{}},
})

// The fields that are put together by hand: the state must go back byte for byte, and the prompt may be megabytes.
const (
	fieldRunRequest        protowire.Number = 1 // AgentClientMessage.run_request
	fieldConversationState protowire.Number = 1 // AgentRunRequest.conversation_state
	fieldAction            protowire.Number = 2 // AgentRunRequest.action
	fieldMcpTools          protowire.Number = 4 // AgentRunRequest.mcp_tools
	fieldUserMessageAction protowire.Number = 1 // ConversationAction.user_message_action
	fieldUserMessage       protowire.Number = 1 // UserMessageAction.user_message
	fieldMessageText       protowire.Number = 1 // UserMessage.text
	fieldSelectedContext   protowire.Number = 3 // UserMessage.selected_context
)

// envelope encodes the first message of a stream: the run request with the conversation's state (nil at its
// beginning) and an action. It is in pieces, of which the action is one.
func (t *ticket) envelope(state, action []byte) [][]byte {
	rest := &pb.AgentRunRequest{
		ConversationId: proto.String(valid(t.conversationID)), RunId: proto.String(t.runID),
		RequestedModel: &pb.RequestedModel{ModelId: valid(t.model.ID)},
	}
	for _, p := range t.model.Params {
		rest.RequestedModel.Parameters = append(rest.RequestedModel.Parameters, &pb.RequestedModel_Param{Id: valid(p.ID), Value: valid(p.Value)})
	}
	tail := append(appendField(nil, fieldMcpTools, t.tools.mcpTools), encode(rest)...)
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

// The tools that upstream may use. Built-in tools would run on our machine, where the user's files aren't.
const (
	noTools    = ""
	onlyClient = "mcp_tool_call,get_mcp_tools_tool_call,list_mcp_resources_tool_call,read_mcp_resource_tool_call,mcp_auth_tool_call"
)

// header is what goes with each attempt.
func (t *ticket) header(token agent.Secret, clientVersion string) http.Header {
	allowed := onlyClient
	if len(t.tools.names) == 0 {
		allowed = noTools // present and empty
	}
	h := http.Header{}
	for name, value := range map[string]string{
		"Authorization":                "Bearer " + token.Reveal(),
		"Content-Type":                 connectwire.ContentType,
		"Connect-Protocol-Version":     "1",
		"Connect-Accept-Encoding":      "gzip",
		"User-Agent":                   "composer-api",
		"X-Cursor-Client-Type":         "sdk",
		"X-Cursor-Client-Version":      clientVersion,
		"X-Ghost-Mode":                 "true",
		"X-Request-Id":                 agent.NewUUID(), // new for each attempt
		"X-Original-Request-Id":        t.runID,
		"X-Blob-Encryption-Key":        t.blobKey,
		"X-Cursor-Agent-Allowed-Tools": allowed,
	} {
		h[name] = []string{value}
	}
	return h
}

// EncodeRun encodes the first envelope of a new run for req, for a caller that carries it to upstream by other means
// than a [Backend]: through a bridge. req.Continue is not looked at. It returns the run's id, which is the request's id
// too, beside the envelope.
func EncodeRun(req *agent.Request) (envelope []byte, runID string) {
	fresh := *req
	fresh.Continue, fresh.New = nil, 0
	t := newTicket(&fresh, newToolset(req.Offered()))
	return slices.Concat(t.envelope(nil, t.userAction)...), t.runID
}
