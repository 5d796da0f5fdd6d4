// Package connectwire reads and writes the framing of Connect's streaming protocol.
//
// A stream is a sequence of envelopes: one flag byte, a four-byte big-endian length, and the payload. A
// payload may be compressed with gzip. The last envelope carries the end-of-stream flag and JSON: {} for
// a good end, or an error.
//
//	00 00000005 …                            a message of 5 bytes
//	01 00000017 …                            a message of 23 bytes, compressed
//	02 00000002 {}                           the end
//	02 0000003f {"error":{"code":…}}         the end, with an error
//
// What the payloads mean is not known here. The format is public:
// https://connectrpc.com/docs/protocol (streaming-RPCs).
package connectwire
