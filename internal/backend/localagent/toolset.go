package localagent

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"runtime"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"composer-api/internal/agent"
	"composer-api/internal/backend/localagent/toolmap"
	"composer-api/internal/cursor/pb"
	"composer-api/internal/lru"
)

// provider is the server that a client's tools are said to belong to, as Cursor's SDK calls it.
const provider = "custom-user-tools"

// A toolset is what upstream is told about a client's tools, encoded once: agents send the same tools with every
// request, and ten thousand parked runs of one agent share one toolset. It is immutable.
type toolset struct {
	names  []string
	mapper *toolmap.Mapper

	mcpTools       []byte // an McpTools message, for the run request
	requestContext []byte // a RequestContextResult message
	mcpState       []byte // an McpStateExecResult message
}

// size is about how many bytes the set takes: what was encoded, and the schemas that the mapper keeps, which are a part
// of each encoding.
func (s *toolset) size() int {
	return len(s.mcpTools)*2 + len(s.requestContext) + len(s.mcpState)
}

func (s *toolset) has(name string) bool { return slices.Contains(s.names, name) }

// newToolset encodes the tools. Schemas that aren't JSON objects are taken as "any object".
func newToolset(tools []agent.Tool) *toolset {
	s := &toolset{}
	defs := make([]*pb.McpToolDefinition, 0, len(tools))
	var owned []agent.Tool // the request's own may be part of a large body, which must not be kept
	for _, t := range tools {
		name := valid(strings.Clone(t.Name))
		s.names = append(s.names, name)
		owned = append(owned, agent.Tool{Name: name, Parameters: slices.Clone(t.Parameters)})
		defs = append(defs, &pb.McpToolDefinition{
			Name: provider + "-" + name, ToolName: name, ProviderIdentifier: provider,
			Description: valid(t.Description), InputSchema: schemaValue(t.Parameters),
		})
	}
	s.mapper = toolmap.New(owned)
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

// requestContext is what the model's surroundings look like: an empty workspace on a machine like ours. The paths of
// this machine are nobody's business.
func requestContext(defs []*pb.McpToolDefinition) *pb.RequestContext {
	c := &pb.RequestContext{
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

// instructions tell the model what the tools are. They name all of them, because it may have to look their schemas up
// before it can call one.
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

// firstLine is the beginning of a description, for a list.
func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	if len(line) > 200 {
		line = strings.ToValidUTF8(line[:200], "") + "…"
	}
	return line
}

// anyObject is the schema of a tool that doesn't say what it takes.
const anyObject = `{"type":"object","properties":{},"additionalProperties":true}`

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

// encode encodes a message of our own making, whose strings are valid UTF-8.
func encode(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic("localagent: " + err.Error())
	}
	return b
}

// valid makes s UTF-8, which protobuf insists on.
func valid(s string) string { return strings.ToValidUTF8(s, replacement) }

// replacement stands for what is no UTF-8.
const replacement = "\uFFFD"

// appendField appends an encoded message as a field of another.
func appendField(b []byte, number protowire.Number, message []byte) []byte {
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return protowire.AppendBytes(b, message)
}

// Bounds of the toolsets that are kept for the next request. Runs keep theirs as long as they live.
const (
	maxToolsets     = 256
	maxToolsetBytes = 64 << 20
)

// toolsets finds the toolset of a request's tools. It is safe for concurrent use.
type toolsets struct {
	mu   sync.Mutex
	kept *lru.Cache[[sha256.Size]byte, *toolset]
}

func newToolsets() *toolsets {
	return &toolsets{kept: lru.New[[sha256.Size]byte, *toolset](lru.Limits{Count: maxToolsets, Bytes: maxToolsetBytes})}
}

func (t *toolsets) of(tools []agent.Tool) *toolset {
	hash := hashTools(tools)
	if set := t.find(hash); set != nil {
		return set
	}
	// Encoding is not done under the lock: tools may be megabytes. If two requests encode the same tools at once, the
	// one that comes second takes what the first has kept.
	set := newToolset(tools)
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, ok := t.kept.Get(hash); ok {
		return known
	}
	t.kept.Put(hash, set, set.size())
	return set
}

func (t *toolsets) find(hash [sha256.Size]byte) *toolset {
	t.mu.Lock()
	defer t.mu.Unlock()
	set, _ := t.kept.Get(hash)
	return set
}

// hashTools is the identity of a list of tools as upstream sees it.
func hashTools(tools []agent.Tool) [sha256.Size]byte {
	h := sha256.New()
	var size [8]byte
	add := func(b []byte) {
		binary.LittleEndian.PutUint64(size[:], uint64(len(b)))
		h.Write(size[:])
		h.Write(b)
	}
	for i := range tools {
		add([]byte(tools[i].Name))
		add([]byte(tools[i].Description))
		add(tools[i].Parameters)
	}
	return [sha256.Size]byte(h.Sum(nil))
}
