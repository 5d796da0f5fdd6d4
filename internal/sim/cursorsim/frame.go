package cursorsim

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"

	"composer-api/internal/sim/script"
)

// Connect's framing, and its errors. The encoding of protobuf by hand, for what has no Go type,
// is at the end. Package connectwire is the client's own reading of the same; they share
// nothing, so that they check each other.

// A message of a Connect stream is one byte of flags, four of length (the first the most significant)
// and the payload:
//
//	00 00 00 00 05  0a 03 66 6f 6f     a message
//	02 00 00 00 02  7b 7d              the end: {}
const (
	flagGzip = 1 << iota
	flagEnd
)

// maxFrame is the largest message that the simulator takes, in bytes, before and after decompression.
const maxFrame = 64 << 20

// readFrame reads one message, decompressed. It returns io.EOF only where a message may end, and
// io.ErrUnexpectedEOF inside one. A length over maxFrame is an error before anything is allocated.
//
// The flags are returned as they came; flagGzip says how it was, not how payload is.
func readFrame(r io.Reader) (flags byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size > maxFrame {
		return 0, nil, fmt.Errorf("a message of %d bytes", size)
	}
	// The bound above makes this safe: 64 MB at most, for a test's client.
	payload = make([]byte, size)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, midway(err)
	}
	if head[0]&flagGzip != 0 {
		payload, err = gunzip(payload)
	}
	return head[0], payload, err
}

// midway turns io.EOF into io.ErrUnexpectedEOF, for reads in the middle of a message.
func midway(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// appendFrame appends one message in its frame.
func appendFrame(dst []byte, flags byte, payload []byte) []byte {
	dst = append(dst, flags)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
	return append(dst, payload...)
}

// gunzip decompresses at most maxFrame bytes; more is an error, so a small message can't fill memory.
func gunzip(data []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, midway(err)
	}
	// One byte more, to see whether there is more.
	plain, err := io.ReadAll(io.LimitReader(z, maxFrame+1))
	if len(plain) > maxFrame {
		return nil, errors.New("a compressed message that is too large")
	}
	return plain, err
}

// gzipped compresses a payload. Writing to memory does not fail.
func gzipped(data []byte) []byte {
	var b bytes.Buffer
	w := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(w)
	w.Reset(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

// gzipWriters are kept because a new one takes most of a megabyte.
var gzipWriters = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// endError is the error of an end frame: {"error":{"code":…,"message":…,"details":[…]}}. As a Go error
// it ends a run that the client is to blame for; see also scriptError.
type endError struct {
	// Code is one of Connect's names: "unauthenticated". Source: the Connect protocol, "Error codes".
	Code    string        `json:"code"`
	Message string        `json:"message,omitempty"`
	Details []errorDetail `json:"details,omitempty"`
}

// errorDetail is one entry of details. Value is the encoded message of that type in base64; Debug is
// the same as JSON, which only the older endpoint sends.
type errorDetail struct {
	// Type is the message's full name, without a URL before it.
	Type  string          `json:"type"`
	Value string          `json:"value"`
	Debug json.RawMessage `json:"debug,omitempty"`
}

// Error implements error.
func (e *endError) Error() string { return e.Code + ": " + e.Message }

// payload is the JSON of the end frame. A nil endError is a good end, "{}".
func (e *endError) payload() []byte {
	if e == nil {
		return []byte("{}")
	}
	// Texts and raw JSON: it can't fail.
	body, _ := json.Marshal(map[string]*endError{"error": e})
	return body
}

// endErrorOf turns a script's error into what Cursor's servers send. When there are details, they hold
// the sentence for the user, and the outer message is just "Error".
func endErrorOf(e script.Error) *endError {
	if e.Detail == 0 && e.Retryable == nil && e.Title == "" {
		return &endError{Code: e.Code, Message: e.Message}
	}
	// ErrorDetails{1: enum, 2: {1: title, 2: detail, 4: is_retryable}}
	var custom []byte
	custom = appendString(custom, 1, e.Title)
	custom = appendString(custom, 2, e.Message)
	if e.Retryable != nil {
		custom = protowire.AppendTag(custom, 4, protowire.VarintType)
		custom = protowire.AppendVarint(custom, protowire.EncodeBool(*e.Retryable))
	}
	var details []byte
	details = protowire.AppendTag(details, 1, protowire.VarintType)
	details = protowire.AppendVarint(details, uint64(e.Detail))
	details = protowire.AppendTag(details, 2, protowire.BytesType)
	details = protowire.AppendBytes(details, custom)
	return &endError{Code: e.Code, Message: "Error", Details: []errorDetail{
		// Connect writes base64 without padding.
		{Type: "aiserver.v1.ErrorDetails", Value: base64.RawStdEncoding.EncodeToString(details)},
	}}
}

// appendString appends a string field. An empty string is left out, as proto3 does.
func appendString(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendString(b, s)
}

// appendMessage appends a field that holds an encoded message, also when that is empty.
func appendMessage(b []byte, field protowire.Number, message []byte) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, message)
}
