package agentwire

import (
	"encoding/json"
	"runtime"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"composer-api/internal/agent"
	"composer-api/internal/cursor/pb"
)

// provider is the MCP server to which a client's tools belong, under the name that Cursor's SDK uses.
const provider = "custom-user-tools"

// A Toolset is what upstream is told about a client's tools, encoded once: agents send the same tools
// with every request, and ten thousand parked runs of one agent share one toolset. It is immutable, so it
// may be used by any number of runs at once.
//
// The same tools are encoded three times, because upstream asks for them in three forms: in the
// run request, in the request context and in the state of the MCP servers.
type Toolset struct {
	// names are the tools' own, in the client's order.
	names []string
	index *agent.ToolIndex // of tools that have nothing but their names

	mcpTools       []byte // an McpTools message, for the run request
	requestContext []byte // a RequestContextResult message
	mcpState       []byte // an McpStateExecResult message
}

// Names are the tools' names as upstream knows them. The caller must not change them.
func (s *Toolset) Names() []string { return s.names }

// Index has the tools, with nothing but their names.
func (s *Toolset) Index() *agent.ToolIndex { return s.index }

// Find is the tool that the model means by a name, as agent.ToolIndex has it. It reports false when there is none.
func (s *Toolset) Find(name string) (string, bool) {
	t := s.index.Find(name)
	if t == nil {
		return "", false
	}
	return t.Name, true
}

// Size is how many bytes the tools take in a run request.
func (s *Toolset) Size() int { return len(s.mcpTools) }

// NewToolset encodes the tools. A schema that isn't a JSON object is replaced by one that allows any
// object. The result shares no memory with tools, which may be part of a large request body.
func NewToolset(tools []agent.Tool) *Toolset {
	s := &Toolset{}
	defs := make([]*pb.McpToolDefinition, 0, len(tools))
	named := make([]agent.Tool, 0, len(tools))
	for _, t := range tools {
		name := Valid(strings.Clone(t.Name)) // the request's own may be part of a large body, which must not be kept
		s.names = append(s.names, name)
		named = append(named, agent.Tool{Name: name})
		defs = append(defs, &pb.McpToolDefinition{
			Name: provider + "-" + name, ToolName: name, ProviderIdentifier: provider,
			Description: Valid(t.Description), InputSchema: schemaValue(t.Parameters),
		})
	}
	s.index = agent.IndexTools(named)
	s.mcpTools = encode(&pb.McpTools{McpTools: defs})
	s.requestContext = encode(&pb.RequestContextResult{Result: &pb.RequestContextResult_Success{
		Success: &pb.RequestContextSuccess{RequestContext: requestContext(defs)},
	}})
	s.mcpState = encode(&pb.McpStateExecResult{Result: &pb.McpStateExecResult_Success{
		Success: &pb.McpStateSuccess{Servers: []*pb.McpStateServer{{
			ServerName: provider, ServerIdentifier: provider, Tools: defs, Instructions: instructions(defs),
		}}},
	}})
	return s
}

// requestContext describes the model's surroundings: an empty workspace on a machine like ours. The paths
// of this machine are not sent.
func requestContext(defs []*pb.McpToolDefinition) *pb.RequestContext {
	c := &pb.RequestContext{
		// The operating system is the server's, not the client's, which nobody has told us.
		Env:                 &pb.RequestContextEnv{OsVersion: runtime.GOOS, Shell: "bash", TimeZone: "UTC"},
		SupportsMcpAuth:     proto.Bool(true), // as Cursor's SDK says, which refuses it when asked, as we do
		GitRepoInfoComplete: proto.Bool(true),
		McpMetaToolOptions:  &pb.McpMetaToolOptions{Enabled: true},
	}
	if len(defs) == 0 {
		return c
	}
	c.Tools, c.McpInstructions = defs, instructions(defs)
	descriptor := &pb.McpDescriptor{
		ServerName: provider, ServerIdentifier: provider, ServerUseInstructions: proto.String(c.McpInstructions[0].GetInstructions()),
	}
	for _, d := range defs {
		descriptor.Tools = append(descriptor.Tools, &pb.McpToolDescriptor{
			ToolName: d.GetToolName(), Description: proto.String(d.GetDescription()), InputSchema: d.GetInputSchema(),
		})
	}
	c.McpMetaToolOptions.McpDescriptors = []*pb.McpDescriptor{descriptor}
	return c
}

// instructions tell the model what the tools are for. They name all of them, because it may
// have to look their schemas up before it can call one. Descriptions are cut to one line each:
// the whole of them is in the tools' definitions.
func instructions(defs []*pb.McpToolDefinition) []*pb.McpInstructions {
	var b strings.Builder
	b.WriteString("These are the tools of the program that the user works with (server \"" + provider + "\"). They run on the user's " +
		"machine: use them for everything that reads or changes something there. Where a tool can't be called directly, look its schema " +
		"up in this server's tools and call it through the MCP call tool.\n\nTools:\n")
	for _, d := range defs {
		b.WriteString("- " + d.GetToolName())
		if about := firstLine(d.GetDescription()); about != "" {
			b.WriteString(": " + about)
		}
		b.WriteByte('\n')
	}
	return []*pb.McpInstructions{{ServerName: provider, ServerIdentifier: provider, Instructions: b.String()}}
}

// firstLine is the first line of a description, at most 200 bytes of it, for a list.
func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	if len(line) > 200 {
		line = strings.ToValidUTF8(line[:200], "") + "…"
	}
	return line
}

// anyObject is the schema of a tool that doesn't say what it takes.
const anyObject = `{"type":"object","properties":{},"additionalProperties":true}`

// schemaValue is a tool's schema as upstream takes it. What isn't a JSON object becomes anyObject.
func schemaValue(schema json.RawMessage) *structpb.Value {
	v := &structpb.Value{}
	if len(schema) > 0 && v.UnmarshalJSON(schema) == nil && v.GetStructValue() != nil {
		return v
	}
	if err := v.UnmarshalJSON([]byte(anyObject)); err != nil {
		panic(err) // it is a constant
	}
	return v
}
