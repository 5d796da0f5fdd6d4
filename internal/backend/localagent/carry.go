package localagent

import (
	"encoding/json"
	"net/http"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/cursorerr"
	"composer-api/internal/cursor/pb"
)

// This file is for those who carry a run to upstream by other means than a Backend: the bridge, at one end of which a
// run is encoded and its frames are read, and at the other end of which it goes out. With EncodeRun they say the same
// as a Backend, because it is the same code.

// CarriedHeader is the header of an attempt to carry out run, which somebody else has encoded. blobSecret is what the
// conversation's blob encryption key is derived from. An empty requestID is a new one. Compressed messages are not asked
// for: they would have to be passed on to somebody who has not.
func CarriedHeader(run *pb.AgentRunRequest, token agent.Secret, clientVersion, requestID string, blobSecret agent.Secret) http.Header {
	t := &ticket{runID: run.GetRunId(), blobKey: blobKey(blobSecret, run.GetConversationId()), tools: &toolset{}}
	for _, tool := range run.GetMcpTools().GetMcpTools() {
		t.tools.names = append(t.tools.names, tool.GetToolName())
	}
	h := t.header(token, clientVersion)
	h.Del("Connect-Accept-Encoding")
	if requestID != "" {
		h.Set("X-Request-Id", requestID)
	}
	return h
}

// RequestContextAnswer is what answers an exec that asks for the request context: envelopes for upstream.
func RequestContextAnswer(execID uint32, tools []*pb.McpToolDefinition) []byte {
	b := appendEnvelope(nil, appendField(nil, fieldExecAnswer, encode(&pb.ExecClientMessage{
		Id: execID,
		Message: &pb.ExecClientMessage_RequestContextResult{RequestContextResult: &pb.RequestContextResult{
			Result: &pb.RequestContextResult_Success{
				Success: &pb.RequestContextSuccess{RequestContext: requestContext(tools)},
			},
		}},
	})))
	return append(b, control(controlClose, execID)...)
}

// HeartbeatEvery is how often upstream wants to hear [ClientHeartbeat].
const HeartbeatEvery = clientEvery

// ClientHeartbeat is the envelope that says that the client is alive.
func ClientHeartbeat() []byte { return clientHeartbeat }

// TextDelta finds the text of a message that is a text or thinking delta and nothing else: text points into message, and
// may be cut within a character, which generated code doesn't take. A server's notice is reasoning. Any other message is
// for generated code.
func TextDelta(message []byte) (kind agent.Kind, text []byte, ok bool) { return textDelta(message) }

// CalledTool is the client's tool that a call is for; false when it is for somebody else's.
func CalledTool(args *pb.McpArgs) (name string, ours bool) {
	if p := args.GetProviderIdentifier(); p != "" && p != provider {
		return "", false
	}
	if name = args.GetToolName(); name == "" {
		name = strings.TrimPrefix(args.GetName(), provider+"-")
	}
	return name, true
}

// ArgumentsJSON writes a call's arguments as a JSON object.
func ArgumentsJSON(args map[string]*structpb.Value) json.RawMessage { return argumentsJSON(args) }

// UpstreamError is what an error of upstream's means.
func UpstreamError(said *connectwire.Error) *cursorerr.Failure { return route.Read(said) }

// UpstreamRefusal is what an answer means that upstream refused by its status. body is the beginning of its body.
func UpstreamRefusal(resp *http.Response, body []byte) *cursorerr.Failure {
	return route.ReadResponse(resp, body)
}
