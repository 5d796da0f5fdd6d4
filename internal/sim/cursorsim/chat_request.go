package cursorsim

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// The request of the older chat endpoint, and what is judged of it. A request that is wrong but
// can be decoded is answered; each mistake becomes a violation, which a test asks for at the end.

// A chatRequest is the message that opens an answer on the older chat endpoint.
//
// There is no .proto file for it; the field numbers are those that the reference system sends. So it
// is decoded without generated code: every value under the path of its field numbers, as text, whatever
// its type.
//
// The fields with names are those that the simulator itself needs; all of them are also in fields.
type chatRequest struct {
	// Each is "" or 0 where the request doesn't have it.
	text           string
	images         int
	model          string
	conversationID string
	mode           string

	fields map[string][]string // by path from the request: "1.13"
}

// chatFields is what a client must send, whatever it asks: a path of field numbers below the request,
// and the value. What most of them mean is unknown.
// A client that leaves one out may work today: the simulator is strict so that a change is noticed
// here, and not by Cursor.
var chatFields = map[string]string{
	"1.2": "1", "1.47": "1",
	"2": "1", "3": "", "4": "1",
	"5.4": "",
	"8":   "", "13": "1",
	"15.1": `cursor\aisettings`, "15.3": "", "15.6.1": "", "15.6.2": "", "15.8": "1", "15.9": "1",
	"19": "1", "27": "0",
	"30.3": "1",
	"35":   "0", "38": "0", "46": "1", "47": "", "48": "0", "49": "0", "51": "0", "53": "1",
}

// chatMessages are the paths that hold messages. Every other length-delimited field is text or bytes.
var chatMessages = []string{"1", "1.10", "1.10.2", "5", "15", "15.6", "26", "30"}

// decodeChatRequest decodes the payload of the one frame: {1: request}. It fails on what is not
// protobuf; whether the fields are right is for check to say.
func decodeChatRequest(payload []byte) (*chatRequest, error) {
	outer := map[string][]string{}
	if err := scanFields(payload, "", outer, func(string) bool { return false }); err != nil {
		return nil, err
	}
	q := &chatRequest{fields: map[string][]string{}}
	// One frame is one request.
	if len(outer["1"]) != 1 {
		return nil, fmt.Errorf("the message holds %d requests", len(outer["1"]))
	}
	// The paths begin below the request, so that "1.1" is the request's field 1, and 1 in that.
	isMessage := func(path string) bool { return slices.Contains(chatMessages, path) }
	if err := scanFields([]byte(outer["1"][0]), "", q.fields, isMessage); err != nil {
		return nil, err
	}
	// Source of these numbers: the reference system.
	q.text, q.model = q.first("1.1"), q.first("5.1")
	q.conversationID, q.mode = q.first("23"), q.first("54")
	q.images = len(q.fields["1.10.1"])
	return q, nil
}

// scanFields adds the values of a message's fields to into, under their paths, and those of the
// messages within it, too. Protobuf does not tell a message from bytes, so isMessage decides. Values of
// the two fixed-width types are not used by this protocol and are kept as "".
//
// A field that comes twice has both values, in their order. A message itself has no value, only what
// is in it. The depth is bounded by chatMessages, which has no path of more than three numbers.
func scanFields(message []byte, prefix string, into map[string][]string, isMessage func(path string) bool) error {
	for len(message) > 0 {
		// n below 0 is protowire's way to say that the bytes are none of protobuf's.
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return fmt.Errorf("field %s is not protobuf", prefix)
		}
		message = message[n:]
		path := prefix + strconv.Itoa(int(field))
		var value string
		switch kind {
		case protowire.VarintType:
			var v uint64
			v, n = protowire.ConsumeVarint(message)
			value = strconv.FormatUint(v, 10)
		case protowire.BytesType:
			var v []byte
			v, n = protowire.ConsumeBytes(message)
			value = string(v)
		default:
			n = protowire.ConsumeFieldValue(field, kind, message)
		}
		if n < 0 {
			return fmt.Errorf("field %s is cut off", path)
		}
		message = message[n:]
		if isMessage(path) && kind == protowire.BytesType {
			if err := scanFields([]byte(value), path+".", into, isMessage); err != nil {
				return err
			}
			continue
		}
		into[path] = append(into[path], value)
	}
	return nil
}

// first is the first value of a field; "" when there is none.
func (q *chatRequest) first(path string) string {
	if values := q.fields[path]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// check lists what is wrong with the request, sorted; each becomes a violation.
func (q *chatRequest) check() (wrong []string) {
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	// Exactly once, and with this value.
	//
	// The order of a map is random, hence the sorting at the end.
	for path, want := range chatFields {
		if got := q.fields[path]; len(got) != 1 || got[0] != want {
			complain("request field %s is %q, not %q", path, got, want)
		}
	}
	for _, path := range []string{"1.1", "1.13", "5.1", "23", "26.1", "26.2", "26.4", "26.5"} {
		if q.first(path) == "" {
			complain("request field %s is empty", path)
		}
	}
	// The id of the message stands in two places.
	if q.first("30.1") != q.first("1.13") {
		complain("request field 30.1 is not the id of the message, 1.13")
	}
	if !isUUID(q.conversationID) {
		complain("the conversation id %q is not a UUID", q.conversationID)
	}
	if q.mode != "Agent" && q.mode != "Ask" {
		complain("the mode is %q, neither Agent nor Ask", q.mode)
	}
	// Each image has a width, a height and a UUID.
	for _, path := range []string{"1.10.2.1", "1.10.2.2", "1.10.3"} {
		if len(q.fields[path]) != q.images || slices.Contains(q.fields[path], "0") || slices.Contains(q.fields[path], "") {
			complain("the %d images have %q in field %s", q.images, q.fields[path], path)
		}
	}
	slices.Sort(wrong)
	return wrong
}

// isUUID reports whether s is a UUID in lower case, of any version. It is what the reference
// system sends; the version isn't looked at.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range s {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		if hyphen != (c == '-') || !hyphen && !strings.ContainsRune("0123456789abcdef", c) {
			return false
		}
	}
	return true
}

// checkHeader notes what is wrong with the headers. Values that vary from client to client only
// have to be there.
func (c *chatRun) checkHeader(h http.Header) {
	for name, want := range map[string]string{
		"Content-Type": "application/connect+proto", "Connect-Protocol-Version": "1", "X-Cursor-Timezone": "UTC",
	} {
		if got := h.Get(name); got != want {
			c.violation(fmt.Sprintf("header %s is %q, not %q", strings.ToLower(name), got, want))
		}
	}
	for _, name := range []string{"X-Cursor-Client-Version", "X-Cursor-Client-Type", "X-Request-Id", "X-Session-Id"} {
		if h.Get(name) == "" {
			c.violation("header " + strings.ToLower(name) + " is missing")
		}
	}
}
