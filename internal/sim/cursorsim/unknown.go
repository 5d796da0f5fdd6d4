package cursorsim

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// What a client has said that the protocol files of this program do not name. It is recorded,
// not judged: a newer client says more, and that is how it is noticed.

// unknownFields lists the fields of a message, and of those within, that the protocol files do not name, as paths below
// prefix; some may be listed more than once. They tell what a newer client says that the simulator does not see.
func unknownFields(prefix string, m protoreflect.Message) []string {
	var paths []string
	for raw := m.GetUnknown(); len(raw) > 0; {
		number, _, n := protowire.ConsumeField(raw)
		// Not protobuf: the message could not have been decoded, so this can't be.
		if n < 0 {
			break
		}
		paths = append(paths, fmt.Sprintf("%s.%d", prefix, number))
		raw = raw[n:]
	}
	// Only fields that are set are visited.
	for f, v := range m.Range {
		below := prefix + "." + string(f.Name())
		switch {
		case f.IsMap() && f.MapValue().Message() != nil:
			for _, value := range v.Map().Range {
				paths = append(paths, unknownFields(below, value.Message())...)
			}
		case f.IsMap() || f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				paths = append(paths, unknownFields(below, v.List().Get(i).Message())...)
			}
		default:
			paths = append(paths, unknownFields(below, v.Message())...)
		}
	}
	return paths
}

// merged is both lists in one, sorted and each path once. The arguments stay as they are.
func merged(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
