package localagent

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"composer-api/internal/agent"
	"composer-api/internal/connectwire"
	"composer-api/internal/cursorpb"
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
	t := &ticket{key: req.Caller.CursorKey, runID: newUUID(), model: req.Model, tools: tools, userAction: userAction(render(req))}
	if from, ok := req.Continue.(*conversation); ok {
		t.conversationID, t.blobKey = from.id, from.blobKey
		return t
	}
	t.conversationID = req.ConversationID
	if t.conversationID == "" {
		t.conversationID = NewConversationID()
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

// userAction encodes the action of a user message.
func userAction(p prompt) []byte {
	message := &cursorpb.UserMessage{Text: p.text}
	for _, image := range p.images {
		if message.SelectedContext == nil {
			message.SelectedContext = &cursorpb.SelectedContext{}
		}
		message.SelectedContext.SelectedImages = append(message.SelectedContext.SelectedImages, &cursorpb.SelectedImage{
			DataOrBlobId: &cursorpb.SelectedImage_Data{Data: image.Data}, Uuid: newUUID(), MimeType: valid(image.MIME),
		})
	}
	return encode(&cursorpb.ConversationAction{Action: &cursorpb.ConversationAction_UserMessageAction{
		UserMessageAction: &cursorpb.UserMessageAction{UserMessage: message},
	}})
}

var resumeAction = encode(&cursorpb.ConversationAction{
	Action: &cursorpb.ConversationAction_ResumeAction{ResumeAction: &cursorpb.ResumeAction{}},
})

// The fields of AgentRunRequest that are put in already encoded: the state must go back byte for byte, and the prompt
// may be megabytes.
const (
	fieldRunRequest        protowire.Number = 1 // AgentClientMessage.run_request
	fieldConversationState protowire.Number = 1
	fieldAction            protowire.Number = 2
	fieldMcpTools          protowire.Number = 4
)

// envelope encodes the first message of a stream: the run request with the conversation's state (nil at its
// beginning) and an action.
func (t *ticket) envelope(state, action []byte) []byte {
	rest := &cursorpb.AgentRunRequest{
		ConversationId: proto.String(valid(t.conversationID)), RunId: proto.String(t.runID),
		RequestedModel: &cursorpb.RequestedModel{ModelId: valid(t.model.ID)},
	}
	for _, p := range t.model.Params {
		rest.RequestedModel.Parameters = append(rest.RequestedModel.Parameters, &cursorpb.RequestedModel_Param{Id: valid(p.ID), Value: valid(p.Value)})
	}
	tail := encode(rest)
	size := sizeField(fieldConversationState, state) + sizeField(fieldAction, action) + sizeField(fieldMcpTools, t.tools.mcpTools) + len(tail)
	message := protowire.SizeTag(fieldRunRequest) + protowire.SizeBytes(size)

	b := make([]byte, connectwire.HeaderLen, connectwire.HeaderLen+message)
	connectwire.PutHeader(b, 0, message)
	b = protowire.AppendTag(b, fieldRunRequest, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = appendField(b, fieldConversationState, state)
	b = appendField(b, fieldAction, action)
	b = appendField(b, fieldMcpTools, t.tools.mcpTools)
	return append(b, tail...)
}

func sizeField(number protowire.Number, message []byte) int {
	return protowire.SizeTag(number) + protowire.SizeBytes(len(message))
}

// The tools that upstream may use. Built-in tools would run on our machine, where the user's files aren't.
const (
	noTools    = ""
	onlyClient = "mcp_tool_call,get_mcp_tools_tool_call,list_mcp_resources_tool_call,read_mcp_resource_tool_call,mcp_auth_tool_call"
)

// header is what goes with each attempt.
func (t *ticket) header(token, clientVersion string) http.Header {
	allowed := onlyClient
	if len(t.tools.names) == 0 {
		allowed = noTools // present and empty
	}
	h := http.Header{}
	for name, value := range map[string]string{
		"Authorization":                "Bearer " + token,
		"Content-Type":                 connectwire.ContentType,
		"Connect-Protocol-Version":     "1",
		"Connect-Accept-Encoding":      "gzip",
		"User-Agent":                   "composer-api",
		"X-Cursor-Client-Type":         "sdk",
		"X-Cursor-Client-Version":      clientVersion,
		"X-Ghost-Mode":                 "true",
		"X-Request-Id":                 newUUID(), // new for each attempt
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
	return t.envelope(nil, t.userAction), t.runID
}

// newUUID returns a random UUID (version 4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
