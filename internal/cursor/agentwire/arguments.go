package agentwire

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/types/known/structpb"

	"composer-api/internal/cursor/pb"
)

// A call's arguments come as a protobuf Struct. Clients want JSON, and expect integers to look
// like integers.

// CalledTool is the client's tool that a call is for; false when it is for another server's. A call
// carries the tool's bare name, and the name with the prefix of the server, of which either may be
// missing.
func CalledTool(args *pb.McpArgs) (name string, ours bool) {
	if p := args.GetProviderIdentifier(); p != "" && p != provider {
		return "", false
	}
	if name = args.GetToolName(); name == "" {
		name = strings.TrimPrefix(args.GetName(), provider+"-")
	}
	return name, true
}

// ArgumentsJSON writes a call's arguments as a JSON object, keys in order. Numbers come as doubles; whole
// ones are written without a fraction or an exponent (3, not 3.0 or 3e0), because clients decode them
// into integers.
//
// The order of the keys is not the model's: a protobuf map has none. Sorting makes the same
// call look the same each time.
func ArgumentsJSON(args map[string]*structpb.Value) json.RawMessage {
	return appendObject(nil, args)
}

// appendObject appends the fields as a JSON object, keys in order.
func appendObject(b []byte, fields map[string]*structpb.Value) []byte {
	b = append(b, '{')
	// Keys of nested objects are sorted, too.
	for i, key := range slices.Sorted(maps.Keys(fields)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, key), ':')
		b = appendValue(b, fields[key])
	}
	return append(b, '}')
}

// appendValue appends a protobuf value as JSON. One without a kind is null.
func appendValue(b []byte, v *structpb.Value) []byte {
	switch k := v.GetKind().(type) {
	case *structpb.Value_BoolValue:
		return strconv.AppendBool(b, k.BoolValue)
	case *structpb.Value_NumberValue:
		return appendNumber(b, k.NumberValue)
	case *structpb.Value_StringValue:
		return appendString(b, k.StringValue)
	case *structpb.Value_StructValue:
		return appendObject(b, k.StructValue.GetFields())
	// A value may nest as deeply as the protobuf decoder allows.
	case *structpb.Value_ListValue:
		b = append(b, '[')
		for i, item := range k.ListValue.GetValues() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, item)
		}
		return append(b, ']')
	}
	return append(b, "null"...)
}

// exactInteger is 2⁵³: up to it, a double holds every integer exactly.
const exactInteger = 1 << 53

// appendNumber appends a double as a JSON number.
func appendNumber(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0): // JSON can't say it
		return append(b, "null"...)
	case f == math.Trunc(f) && math.Abs(f) <= exactInteger:
		return strconv.AppendInt(b, int64(f), 10)
	}
	encoded, _ := json.Marshal(f) // can't fail: it is finite
	return append(b, encoded...)
}

// appendString quotes s without escaping more than JSON must: arguments are often code.
func appendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // what isn't UTF-8 is replaced; protobuf strings are UTF-8
	return b
}
