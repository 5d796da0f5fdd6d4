package connectwire

import (
	"encoding/binary"
	"fmt"
)

// HeaderLen is the size of an envelope without its payload.
const HeaderLen = 5

// The flags of an envelope. The other bits are not defined, and a [Reader] refuses them.
const (
	Compressed  byte = 1 << 0 // the payload is compressed with the stream's encoding
	EndOfStream byte = 1 << 1 // the payload is the end of the stream, as JSON
)

// ContentType is the content type of a stream of protobuf messages.
const ContentType = "application/connect+proto"

// PutHeader writes an envelope's header into the first [HeaderLen] bytes of b, for a payload of
// n bytes. It is for senders that have the payload in several pieces. n must fit into 32 bits;
// our messages are bounded far below.
func PutHeader(b []byte, flags byte, n int) {
	b[0] = flags
	binary.BigEndian.PutUint32(b[1:], uint32(n))
}

// Append appends an envelope with the payload to dst. The payload is copied.
func Append(dst []byte, flags byte, payload []byte) []byte {
	var header [HeaderLen]byte
	PutHeader(header[:], flags, len(payload))
	dst = append(dst, header[:]...)
	return append(dst, payload...)
}

// A FormatError says that the bytes are not a Connect stream, or one that we don't accept (a payload that
// is too large). Reason never quotes a payload.
type FormatError struct {
	// Reason is for the log.
	Reason string
	// TooLarge says that an envelope was over the limit once it was decompressed. The same request would bring it again,
	// and cost as much. A length over the limit is more likely garbage, and costs nothing.
	TooLarge bool
}

// Error implements error.
func (e *FormatError) Error() string { return "connect stream: " + e.Reason }

// formatErrorf makes a FormatError. It never quotes a payload.
func formatErrorf(format string, args ...any) *FormatError {
	return &FormatError{Reason: fmt.Sprintf(format, args...)}
}
