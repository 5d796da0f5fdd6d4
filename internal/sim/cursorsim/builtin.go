package cursorsim

import (
	"crypto/rand"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"composer-api/internal/cursor/pb"
	"composer-api/internal/sim/script"
)

// Cursor's own tools are the fields of ExecServerMessage that end in "_args"; each has its answer in
// the field of ExecClientMessage with the same number. So there is no table of tools here: a tool that
// is added to the .proto file is one that scripts can call.

// builtinArgs is the field of a built-in tool; nil when there is none of that name.
func builtinArgs(tool string) protoreflect.FieldDescriptor {
	all := (*pb.ExecServerMessage)(nil).ProtoReflect().Descriptor().Fields()
	return all.ByName(protoreflect.Name(tool + "_args"))
}

// callBuiltin asks for one of Cursor's own tools. The arguments in the script are the JSON form
// (protojson) of the tool's message; when there is no such tool, or the arguments don't fit, the error
// is for the script's author. A tool_call_id is filled in where the message has the field.
func (p *run) callBuiltin(c script.Call) (*exec, error) {
	field := builtinArgs(c.Tool)
	if field == nil {
		return nil, scriptError{&endError{Code: "invalid_argument", Message: "the simulator has no built-in tool " + c.Tool}}
	}
	exec := new(pb.ExecServerMessage)
	args := exec.ProtoReflect().Mutable(field).Message()
	if err := protojson.Unmarshal(c.Args, args.Interface()); err != nil {
		return nil, scriptError{&endError{Code: "invalid_argument", Message: c.Tool + ": " + err.Error()}}
	}
	// Not every message of a tool has the field.
	if id := args.Descriptor().Fields().ByName("tool_call_id"); id != nil {
		args.Set(id, protoreflect.ValueOfString("toolu_"+rand.Text()))
	}
	payload, err := marshal(exec)
	if err != nil {
		return nil, err
	}
	e, err := p.execs.ask(c.Tool, &c, payload, func(m *pb.ExecClientMessage) {
		if answerTo(m, field.Number()) == nil {
			p.violation("built-in tool %s was not answered with its result", c.Tool)
		}
	})
	if e != nil {
		p.execs.byCall[c.N] = e
	}
	return e, err
}

// answerTo returns the part of m that answers the question with that field number: a question and its
// answer have the same number, in execs as in queries. It is nil when the message answers another
// question.
func answerTo(m proto.Message, question protoreflect.FieldNumber) protoreflect.Message {
	r := m.ProtoReflect()
	field := r.Descriptor().Fields().ByNumber(question)
	if field == nil || !r.Has(field) {
		return nil
	}
	return r.Get(field).Message()
}

// builtinResult reads the answer to a built-in tool: the texts in it, one a line.
//
// Every result is a oneof of a success and several failures, and the name of the chosen field tells
// them apart. A stream of shell output has no success; there only the refusal is a failure. Any other
// name goes before the text, as in "file not found: go.mod".
func builtinResult(e *exec, m *pb.ExecClientMessage) script.Result {
	answer := answerTo(m, builtinArgs(e.kind).Number())
	if answer == nil {
		return script.Result{Text: "(an answer of another kind)", IsError: true}
	}
	// Every result has exactly one oneof.
	choice := answer.WhichOneof(answer.Descriptor().Oneofs().Get(0))
	if choice == nil {
		return script.Result{Text: "(an empty answer)", IsError: true}
	}
	name := string(choice.Name())
	r := script.Result{Text: strings.Join(texts(answer.Get(choice).Message()), "\n")}
	switch {
	case e.kind == "shell_stream":
		// A stream's other events are a start, pieces of output and an exit, none of which is named
		// success.
		r.IsError = name == "rejected"
	default:
		r.IsError = name != "success"
	}
	if r.IsError {
		r.Text = strings.ReplaceAll(name, "_", " ") + ": " + r.Text
	}
	return r
}

// echoes are fields of results that only repeat the arguments. Without them, what is left is the
// tool's output.
var echoes = []protoreflect.Name{"command", "working_directory", "path", "abs_path", "pattern", "url", "uri", "output_mode", "cwd"}

// texts collects the strings of a message and of those within it, in the order of the fields; entries
// of a map in the order of their keys, so that the result is always the same.
func texts(m protoreflect.Message) []string {
	var all []string
	collect := func(kind protoreflect.Kind, v protoreflect.Value) {
		switch kind {
		case protoreflect.MessageKind:
			all = append(all, texts(v.Message())...)
		case protoreflect.StringKind:
			all = append(all, v.String())
		}
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		// Numbers and flags are left out by their kinds, in collect.
		if !m.Has(f) || slices.Contains(echoes, f.Name()) {
			continue
		}
		v := m.Get(f)
		switch {
		case f.IsMap():
			var keys []string
			for key := range v.Map().Range {
				keys = append(keys, key.String())
			}
			slices.Sort(keys)
			for _, key := range keys {
				collect(f.MapValue().Kind(), v.Map().Get(protoreflect.ValueOfString(key).MapKey()))
			}
		case f.IsList():
			for j := range v.List().Len() {
				collect(f.Kind(), v.List().Get(j))
			}
		default:
			collect(f.Kind(), v)
		}
	}
	return all
}

// marshal encodes a message, always in the same way, so that the bytes depend on the seed
// alone. Messages hold maps, such as the arguments of a call, whose order is random otherwise.
func marshal(m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}
