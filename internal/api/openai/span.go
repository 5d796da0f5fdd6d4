package openai

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// A Span is where an object stands in what is being decoded, in bytes from its beginning, as the decoder counts
// (jsontext.Decoder.InputOffset): Start is taken before the object is decoded, and End after it. The zero Span is of nothing.
//
// What a client sent is kept by cutting it out afterwards. To decode every value twice, once as raw JSON and once into fields, would
// double the cost of a long prompt.
type Span struct{ Start, End int64 }

// Cut is the object, out of the same data that it was decoded from; nil for the zero Span. It shares the memory of data.
func (s Span) Cut(data []byte) jsontext.Value {
	if s.End == 0 {
		return nil
	}
	value := data[s.Start:s.End]
	return value[bytes.IndexByte(value, '{'):] // a comma and space may stand before it
}
