// Package pb holds the generated messages of the local-agent protocol.
//
// The source is proto/agent/v1. The messages are facts about a wire, not a published contract: unknown fields
// and unknown messages are legal and must be tolerated.
package pb

//go:generate go -C ../../../tools run ./protogen -proto ../proto -out ..
