package bridgeserver

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"composer-api/internal/cursor/connectwire"
	"composer-api/internal/cursor/pb"

	"google.golang.org/protobuf/proto"
)

// What a caller asks of the bridge: a document of JSON that holds the token, where to go, and
// the first frame of the stream to upstream, ready to be sent.

// body is the JSON that a caller sends, as the reference's contract names its fields. Source:
// the reference system's bridge.
type body struct {
	// AccessToken is what a Cursor key was exchanged for. It goes upstream and is kept nowhere.
	AccessToken        string `json:"accessToken"`
	RequestID          string `json:"requestId"`
	BackendBaseURL     string `json:"backendBaseUrl"`
	LocalAgentEndpoint string `json:"localAgentEndpoint"`
	ClientVersion      string `json:"clientVersion"`
	RunFrame           string `json:"runFrame"`
}

// A request is a body that was checked and decoded. RunFrame is empty: the decoded frame takes its place.
type request struct {
	body
	frame []byte // the envelope with the run request, as it goes out
	// run is the message in frame, decoded: the headers repeat its ids, and upstream may ask for its tools.
	run *pb.AgentRunRequest
}

// readRequest reads a request of at most limit bytes, and checks the fields that become headers. Failures
// never quote the body, which holds a token.
func readRequest(w http.ResponseWriter, r *http.Request, limit int64) (*request, *failure) {
	// The body is read to its end: net/http notices only then that the caller leaves.
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, errTooLarge.withMessage(fmt.Sprintf("The request is larger than %d bytes. The limit is CURSOR_SDK_BRIDGE_MAX_JSON_BYTES.", limit))
	case err != nil:
		return nil, errInvalidJSON.withCause(err)
	}
	q := &request{}
	if json.Unmarshal(data, &q.body) != nil { // the cause may quote the token
		return nil, &errInvalidJSON
	}
	// They go into headers, where a line break would begin another one.
	for name, value := range map[string]string{"accessToken": q.AccessToken, "requestId": q.RequestID, "clientVersion": q.ClientVersion} {
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
			return nil, errInvalid.withMessage("The field " + name + " holds what can't stand in a header.")
		}
	}
	switch {
	case q.AccessToken == "":
		return nil, errInvalid.withMessage("The field accessToken is missing.")
	case q.RunFrame == "":
		return nil, errInvalid.withMessage("The field runFrame is missing.")
	}
	if q.frame, q.run = decodeRunFrame(q.RunFrame); q.run == nil {
		return nil, errInvalid.withMessage("The field runFrame is not a base64-encoded Connect frame with a run request.")
	}
	q.RunFrame = ""
	return q, nil
}

// decodeRunFrame decodes the one frame that goes upstream, to see what it asks for; frame itself is sent
// as it came. Both are nil when it is not exactly one frame with a run request.
//
// The payload's size is bounded by that of the body that it came in.
func decodeRunFrame(encoded string) (frame []byte, run *pb.AgentRunRequest) {
	frame, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, nil
	}
	// The length in the header must be that of the rest: a second frame would go upstream unseen.
	//
	// A header is one byte of flags and four of length.
	if len(frame) < connectwire.HeaderLen || uint64(binary.BigEndian.Uint32(frame[1:]))+connectwire.HeaderLen != uint64(len(frame)) {
		return nil, nil
	}
	flags, payload, err := connectwire.NewReader(bytes.NewReader(frame), 0).Envelope()
	if err != nil || flags&connectwire.EndOfStream != 0 {
		return nil, nil
	}
	m := &pb.AgentClientMessage{}
	if proto.Unmarshal(payload, m) != nil {
		return nil, nil
	}
	return frame, m.GetRunRequest()
}
