package cursorsim

import (
	"slices"

	"composer-api/internal/cursor/pb"
)

// What the server asks the client for that isn't a call of the model's: the context before the model
// speaks, whether a tool is allowed, and the tools once more in the middle of a run. A client that
// answers wrongly gets a violation, and the run goes on; one that doesn't answer ends it, see await.
//
// The numbers are the fields of ExecServerMessage: 10 request_context, 36 mcp_state, 42
// mcp_allowlist_precheck. With Config.ContextOnly only the first is asked, unless a script asks
// for the tools.

// askContext asks what a server wants to know before the model speaks: where the client runs and which
// tools it has. A simulator with a seed sometimes asks for both at once, without waiting between.
func (p *run) askContext() error {
	first, err := p.execs.ask("request_context", nil, field(10, &pb.RequestContextArgs{}), p.checkContext)
	if err != nil {
		return err
	}
	wait := []*exec{first}
	// One in two with a seed; without one it always waits.
	if !p.wire.chance(2) {
		if err := p.awaitExecs("the request context", wait); err != nil {
			return err
		}
	}
	// Without tools the run request names no server that could be asked about.
	if len(p.rec.Tools) > 0 && !p.sim.config.ContextOnly {
		second, err := p.execs.ask("mcp_state", nil, field(36, &pb.McpStateExecArgs{ServerIdentifiers: []string{provider}}), p.checkState)
		if err != nil {
			return err
		}
		wait = append(wait, second)
	}
	return p.awaitExecs("the request context and the MCP state", wait)
}

// awaitExecs waits until all of these are answered, thrown or aborted; stream_close may come
// later. A wait that lasts longer than Config.AnswerTimeout is an error that ends the run.
func (p *run) awaitExecs(what string, execs []*exec) error {
	return p.await(what, func() bool {
		return !slices.ContainsFunc(execs, func(e *exec) bool { return !e.done })
	})
}

// checkContext checks the client's answer to request_context against the run request: the same tools,
// in the same order, in tools and in the descriptors.
func (p *run) checkContext(m *pb.ExecClientMessage) {
	c := m.GetRequestContextResult().GetSuccess().GetRequestContext()
	if c == nil {
		p.violation("request_context was not answered with success")
		return
	}
	// Which values does not matter, but a model gets them in its prompt, so they must not be empty.
	env := c.GetEnv()
	if env.GetOsVersion() == "" || env.GetTimeZone() == "" || env.GetShell() == "" {
		p.violation("request context: env has no os_version, shell or time_zone")
	}
	p.checkTools("request context", c.GetTools())
	if names := toolNames(c.GetTools()); !slices.Equal(names, p.rec.Tools) {
		p.violation("request context: the tools are %q, those of the run request are %q", names, p.rec.Tools)
	}
	if len(p.rec.Tools) == 0 {
		return
	}
	if !c.GetMcpMetaToolOptions().GetEnabled() {
		p.violation("request context: mcp_meta_tool_options is not enabled")
	}
	var described []string
	for _, d := range c.GetMcpMetaToolOptions().GetMcpDescriptors() {
		if d.GetServerIdentifier() != provider {
			p.violation("request context: a descriptor of server %q", d.GetServerIdentifier())
		}
		for _, t := range d.GetTools() {
			described = append(described, t.GetToolName())
		}
	}
	if !slices.Equal(described, p.rec.Tools) {
		p.violation("request context: the descriptors are of %q, the tools are %q", described, p.rec.Tools)
	}
}

// toolNames lists the names as the model sees them, without the prefix of the server. The order
// is the client's, and is compared.
func toolNames(tools []*pb.McpToolDefinition) []string {
	var names []string
	for _, t := range tools {
		names = append(names, t.GetToolName())
	}
	return names
}

// checkState checks the client's answer to mcp_state against the run request. It is called only
// when the run has tools.
func (p *run) checkState(m *pb.ExecClientMessage) {
	servers := m.GetMcpStateExecResult().GetSuccess().GetServers()
	if len(servers) != 1 || servers[0].GetServerIdentifier() != provider {
		p.violation("mcp_state: the answer is not the one server %s", provider)
		return
	}
	p.checkTools("mcp_state", servers[0].GetTools())
	if names := toolNames(servers[0].GetTools()); !slices.Equal(names, p.rec.Tools) {
		p.violation("mcp_state: the tools are %q, those of the run request are %q", names, p.rec.Tools)
	}
}

// askAllowed asks whether the user has allowed a tool for good. Cursor's SDK says false for tools of
// its user, and the call goes on; so the answer changes nothing here.
func (p *run) askAllowed(tool, callID string) error {
	if p.sim.config.ContextOnly {
		return nil
	}
	e, err := p.execs.ask("mcp_allowlist_precheck", nil, field(42, &pb.McpAllowlistPrecheckArgs{
		ProviderIdentifier: provider, ToolName: tool, ToolCallId: &callID,
	}), func(m *pb.ExecClientMessage) {
		if m.GetMcpAllowlistPrecheckResult() == nil {
			p.violation("mcp_allowlist_precheck was not answered with its result")
		}
	})
	if err != nil {
		return err
	}
	return p.awaitExecs("the allow-list precheck", []*exec{e})
}

// askTools asks for the tools in the middle of a run. They may be others than those of the run request.
// What it answers replaces the tools for offers, and so decides which calls must fail from now on.
func (p *run) askTools() error {
	e, err := p.execs.ask("mcp_state", nil, field(36, &pb.McpStateExecArgs{ServerIdentifiers: []string{provider}}), func(m *pb.ExecClientMessage) {
		servers := m.GetMcpStateExecResult().GetSuccess().GetServers()
		if len(servers) != 1 || servers[0].GetServerIdentifier() != provider {
			p.violation("mcp_state: the answer is not the one server %s", provider)
			return
		}
		p.checkTools("mcp_state", servers[0].GetTools())
		// p.rec.Tools stays: it is what the run request had.
		p.tools = toolNames(servers[0].GetTools())
		p.record(func(r *Run) { r.ToolsAsked = p.tools })
	})
	if err != nil {
		return err
	}
	return p.awaitExecs("the MCP state", []*exec{e})
}
