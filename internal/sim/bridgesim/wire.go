package bridgesim

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
)

// Connect's framing and errors, written a second time on purpose: package sdkv1 has its own,
// and a mistake in one of them shows as a failed test.

// A wireError is an error in Connect's JSON form. It is the body of a unary answer, and the
// member "error" of a stream's last envelope.
type wireError struct {
	// Code is one of Connect's names: "unauthenticated".
	Code    string       `json:"code"`
	Message string       `json:"message"`
	Details []wireDetail `json:"details,omitempty"`
}

// A wireDetail is a typed message that comes with an error. Value is the message in base64
// without padding, and Debug the same in JSON.
type wireDetail struct {
	// Type is the message's full name.
	Type  string `json:"type"`
	Value string `json:"value"`
	Debug any    `json:"debug"`
}

// sdkError is an error in the form in which the bridge gives most: with its message once more in a detail, and no code of the SDK's.
//
// The value is protobuf: field 3 of sdk.v1.SdkErrorDetails is the message.
func sdkError(code, message string) *wireError {
	return &wireError{Code: code, Message: message, Details: []wireDetail{{
		Type:  "sdk.v1.SdkErrorDetails",
		Value: base64.RawStdEncoding.EncodeToString(appendString(nil, 3, message)),
		Debug: map[string]string{"message": message},
	}}}
}

// appendString appends a field of protobuf that holds a string.
func appendString(b []byte, field int, s string) []byte {
	b = binary.AppendUvarint(b, uint64(field)<<3|2)
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// statuses are the HTTP statuses of Connect's codes. What isn't here is a 500.
var statuses = map[string]int{
	"invalid_argument": http.StatusBadRequest, "failed_precondition": http.StatusBadRequest, "unauthenticated": http.StatusUnauthorized,
	"not_found": http.StatusNotFound, "unimplemented": http.StatusNotFound, "unavailable": http.StatusServiceUnavailable,
}

// writeError answers a unary call with an error.
//
// The status is Connect's for the code, which clients of unary calls look at first.
func writeError(w http.ResponseWriter, e *wireError) {
	status := statuses[e.Code]
	if status == 0 {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(e)
}

// writeJSON answers a unary call. A client that has left is no error.
func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// frame puts a message of a stream into Connect's envelope: flags, length, payload.
func frame(flags byte, message any) []byte {
	payload, err := json.Marshal(message)
	if err != nil {
		panic(err) // the messages of this package always encode
	}
	return enclose(flags, payload)
}

// enclose puts bytes into an envelope: 1 byte of flags, 4 bytes of length (big-endian), the bytes.
func enclose(flags byte, payload []byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(payload)))
	return append(b, payload...)
}

// endOfStream is the flag of a stream's last envelope. Source: the Connect protocol.
const endOfStream = 2

// unframe reads the one message of a request whose answer is a stream. The length is believed,
// because the client is this program. Flags are ignored.
func unframe(r io.Reader) ([]byte, error) {
	var header [5]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	payload := make([]byte, binary.BigEndian.Uint32(header[1:]))
	_, err := io.ReadFull(r, payload)
	return payload, err
}
