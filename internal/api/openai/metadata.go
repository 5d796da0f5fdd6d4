package openai

import (
	"bytes"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
)

// Metadata is what a client attaches to an object of ours, for itself: names and texts of its own. Null and absence
// leave it nil.
//
// Its names are the client's, so no error about it names more than the field: an error's Param goes into the log.
type Metadata map[string]string

// The limits that OpenAI gives. Lengths are in characters, that is, in code points.
const (
	maxMetadata      = 16
	maxMetadataKey   = 64
	maxMetadataValue = 512
)

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (m *Metadata) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	*m = nil
	kind := d.PeekKind()
	// The value is read as a whole first, so that the decoder stands behind it whatever it is.
	raw, err := d.ReadValue()
	if err != nil || kind == 'n' {
		return err
	}
	var texts map[string]string
	if kind == '{' && json.Unmarshal(raw, &texts, Liberal) != nil {
		kind = 0 // an object, but another one
	}
	if kind != '{' {
		return &unionError{want: "an object whose values are strings", got: kind}
	}
	*m = texts
	return nil
}

// Check checks the limits. param is where the metadata stands.
func (m Metadata) Check(param string) error {
	// Which of several that are too long is told is left to chance: a map has no order.
	if len(m) > maxMetadata {
		return agent.ParamError(agent.InvalidValue, param, "'%s' has %d entries; at most %d are allowed.", param, len(m), maxMetadata)
	}
	for key, value := range m {
		switch {
		case utf8.RuneCountInString(key) > maxMetadataKey:
			return agent.ParamError(agent.InvalidValue, param, "A key in '%s' is longer than %d characters.", param, maxMetadataKey)
		case utf8.RuneCountInString(value) > maxMetadataValue:
			return agent.ParamError(agent.InvalidValue, param, "A value in '%s' is longer than %d characters.", param, maxMetadataValue)
		}
	}
	return nil
}

// WithMember is a JSON object of ours in which the member name has another value. It stands at
// the end. The other members keep their order and their bytes.
//
// The object is one of ours, so names are not repeated and there is nothing behind it. An error
// means that what was stored is damaged.
func WithMember(object jsontext.Value, name string, value jsontext.Value) (jsontext.Value, error) {
	d := jsontext.NewDecoder(bytes.NewReader(object), Liberal)
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	changed := []byte{'{'}
	for d.PeekKind() == '"' {
		member, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		known := member.String()
		// kept is valid until the next read, and is copied before that.
		kept, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		if known != name {
			changed = append(AppendString(changed, known), ':')
			changed = append(append(changed, kept...), ',')
		}
	}
	changed = append(AppendString(changed, name), ':')
	return append(append(changed, value...), '}'), nil
}
