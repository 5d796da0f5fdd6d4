package cursorsim

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"composer-api/internal/cursorpb"
	"composer-api/internal/script"
)

// A builtin is one of Cursor's own tools: the number of its field, the same in the question and in the answer, its
// arguments, and which field of its result is the refusal (0 where there is none). The numbers are those of Cursor's
// public SDK. The simulator reads and writes them by hand, without generated code.
type builtin struct {
	number   protowire.Number
	args     map[string]argument
	rejected protowire.Number
}

// An argument is a field of a built-in tool's arguments.
type argument struct {
	number protowire.Number
	kind   byte // 's' string, 'n' number, 'b' bool
}

var shellArgs = map[string]argument{"command": {1, 's'}, "working_directory": {2, 's'}, "timeout": {3, 'n'}, "tool_call_id": {4, 's'}, "is_background": {11, 'b'}, "description": {15, 's'}}

var builtins = map[string]builtin{
	"shell":        {2, shellArgs, 4},
	"shell_stream": {14, shellArgs, 5},
	"write":        {3, map[string]argument{"path": {1, 's'}, "file_text": {2, 's'}, "tool_call_id": {3, 's'}}, 6},
	"delete":       {4, map[string]argument{"path": {1, 's'}, "tool_call_id": {2, 's'}}, 6},
	"grep": {5, map[string]argument{
		"pattern": {1, 's'}, "path": {2, 's'}, "glob": {3, 's'}, "output_mode": {4, 's'}, "case_insensitive": {8, 'b'},
		"type": {9, 's'}, "head_limit": {10, 'n'}, "multiline": {11, 'b'}, "tool_call_id": {14, 's'},
	}, 0},
	"read":        {7, map[string]argument{"path": {1, 's'}, "tool_call_id": {2, 's'}, "offset": {4, 'n'}, "limit": {5, 'n'}}, 3},
	"ls":          {8, map[string]argument{"path": {1, 's'}, "tool_call_id": {3, 's'}}, 3},
	"diagnostics": {9, map[string]argument{"path": {1, 's'}, "tool_call_id": {2, 's'}}, 3},
	"fetch":       {20, map[string]argument{"url": {1, 's'}, "tool_call_id": {2, 's'}}, 0},
}

// encode writes a tool's arguments.
func (b builtin) encode(args json.RawMessage) ([]byte, error) {
	var values map[string]any
	if err := json.Unmarshal(args, &values); err != nil {
		return nil, err
	}
	values["tool_call_id"] = "toolu_" + rand.Text()
	var data []byte
	for name, value := range values {
		arg, ok := b.args[name]
		if !ok {
			return nil, fmt.Errorf("it has no argument %q", name)
		}
		switch v := value.(type) {
		case string:
			ok = arg.kind == 's'
			data = appendString(data, arg.number, v)
		case bool:
			ok = arg.kind == 'b'
			data = protowire.AppendTag(data, arg.number, protowire.VarintType)
			data = protowire.AppendVarint(data, protowire.EncodeBool(v))
		case float64:
			ok = arg.kind == 'n'
			data = protowire.AppendTag(data, arg.number, protowire.VarintType)
			data = protowire.AppendVarint(data, uint64(int64(v)))
		default:
			ok = false
		}
		if !ok {
			return nil, fmt.Errorf("argument %q has the wrong type", name)
		}
	}
	return data, nil
}

func (p *run) callBuiltin(c script.Call) (*exec, error) {
	b, ok := builtins[c.Tool]
	if !ok {
		return nil, scriptError{&endError{Code: "invalid_argument", Message: "the simulator has no built-in tool " + c.Tool}}
	}
	data, err := b.encode(c.Args)
	if err != nil {
		return nil, scriptError{&endError{Code: "invalid_argument", Message: c.Tool + ": " + err.Error()}}
	}
	e, err := p.ask(c.Tool, &c, appendMessage(nil, b.number, data), func(m *cursorpb.ExecClientMessage) {
		if _, ok := answerField(m, b.number); !ok {
			p.violation("built-in tool %s was not answered with its result", c.Tool)
		}
	})
	if e != nil {
		p.calls[c.N] = e
	}
	return e, err
}

// answerField is the field of an exec's answer with that number.
func answerField(m *cursorpb.ExecClientMessage, number protowire.Number) ([]byte, bool) {
	data, err := proto.Marshal(m)
	if err != nil {
		return nil, false
	}
	for n, value := range fields(data) {
		if n == number {
			return value, true
		}
	}
	return nil, false
}

// fields walks over the length-delimited fields of a message and ends at the first mistake.
func fields(data []byte) func(yield func(protowire.Number, []byte) bool) {
	return func(yield func(protowire.Number, []byte) bool) {
		for len(data) > 0 {
			number, kind, n := protowire.ConsumeTag(data)
			if n < 0 {
				return
			}
			data = data[n:]
			size := protowire.ConsumeFieldValue(number, kind, data)
			if size < 0 {
				return
			}
			if kind == protowire.BytesType {
				value, _ := protowire.ConsumeBytes(data)
				if !yield(number, value) {
					return
				}
			}
			data = data[size:]
		}
	}
}

// builtinResult reads the answer to a built-in tool: the texts in it, one a line. Field 1 is the success in every
// result; for shell_stream the answers add up, and only its refusal is an error.
func builtinResult(p *run, e *exec, m *cursorpb.ExecClientMessage) script.Result {
	b := builtins[e.kind]
	answer, _ := answerField(m, b.number)
	var r script.Result
	for number, value := range fields(answer) {
		r.IsError = number != 1 && (e.kind != "shell_stream" || number == b.rejected)
		texts := strings.Join(texts(value), "\n")
		if number == b.rejected {
			texts = "rejected: " + texts
		}
		r.Text = texts
	}
	if e.kind == "shell_stream" {
		r.Text = p.streamed(e) + r.Text
	}
	return r
}

// streamed is what earlier answers of the same exec said.
func (p *run) streamed(e *exec) (said string) {
	p.record(func(r *Run) { said = r.Execs[e.index].Result })
	return said
}

// texts collects the strings of a message of a shape that we do not know, in order. What reads as a message is taken for
// one.
func texts(data []byte) []string {
	var all []string
	for _, value := range fields(data) {
		if len(value) == 0 {
			continue
		}
		if inner := texts(value); len(inner) > 0 && !printable(value) {
			all = append(all, inner...)
		} else if utf8.Valid(value) {
			all = append(all, string(value))
		}
	}
	return all
}

// printable reports whether bytes are a text rather than a message.
func printable(b []byte) bool {
	return utf8.Valid(b) && !strings.ContainsFunc(string(b), func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' && r != '\r' })
}
