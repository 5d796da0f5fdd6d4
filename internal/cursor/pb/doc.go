// Package pb has the generated messages of the local-agent protocol.
//
// The source is proto/agent/v1. It lists what was seen on the wire, and is not a contract that Cursor has
// published: fields and messages that it doesn't name are legal and must be tolerated.
package pb

//go:generate go -C ../../../tools run ./protogen -proto ../proto -out ..
