// Package connectwire reads and writes the framing of Connect's streaming protocol.
//
// A stream is a row of envelopes: one flag byte, a four-byte big-endian length, and the payload. A payload may be
// compressed with gzip. The last envelope carries the end-of-stream flag and JSON: {} for a good end, or an error.
// What the payloads mean is the business of the backends.
//
// The format is public: https://connectrpc.com/docs/protocol (streaming-RPCs).
package connectwire
