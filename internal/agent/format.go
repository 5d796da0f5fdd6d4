package agent

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
)

// A Format is the form that the answer's text must have. Its zero value is plain text.
type Format struct {
	Kind        FormatKind
	Name        string          // JSONSchema: the schema's name
	Description string          // JSONSchema: what the schema is for
	Schema      json.RawMessage // JSONSchema
	// Strict asks that the answer fits Schema exactly, and not only as far as the model manages.
	Strict bool
}

// FormatKind is the kind of a Format.
type FormatKind uint8

// The formats.
const (
	PlainText FormatKind = iota
	JSONObject
	JSONSchema
)

// A FormatID tells forms of an answer apart. It is compared within one process and never kept.
type FormatID [sha256.Size]byte

// ID identifies what the model is told of the form: two of the same ID need not be told of twice. What is only checked (Strict)
// does not count. A schema is compared as it is spelled, because a client makes it once.
func (f *Format) ID() FormatID {
	h := sha256.New()
	h.Write([]byte{byte(f.Kind)})
	h.Write(binary.AppendUvarint(nil, uint64(len(f.Description))))
	h.Write([]byte(f.Description))
	h.Write(f.Schema)
	return FormatID(h.Sum(nil))
}

// FormatChanged tells the model which form its answer must have now; "" when it was told so before. A run that goes on with
// results needs it: what the run was begun with said something else.
func FormatChanged(before FormatID, now *Format) string {
	if before == now.ID() {
		return ""
	}
	switch now.Kind {
	case JSONObject:
		return "Your answer must be one JSON object and nothing else: no code fence, no words around it."
	case JSONSchema:
		text := "Your answer must be one JSON value that fits this JSON Schema and nothing else: no code fence, no words around it."
		if now.Description != "" {
			text += " What it is for: " + now.Description
		}
		return text + "\n" + string(now.Schema)
	}
	return "Your answer need not be JSON any more."
}
