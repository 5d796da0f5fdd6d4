package apitest

import (
	"encoding/json"
	"fmt"
	"strings"

	"composer-api/internal/agent"
)

// describe writes what a surface has understood of a request as text, as far as the client can say
// it. It is the "decoded" file of a case. Every line says one thing, and what is not set has no line:
// so the file of a case shows what its request is about, and all surfaces must come to the same text.
//
//	model composer-2.5
//	user
//	  "What is in this picture?"
//	  image of 70 bytes, image/png
//	offers read_file {"type":"object"}
//	tool choice required
func describe(r *agent.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "model %s\n", r.ModelName)
	for _, m := range r.Messages {
		describeMessage(&b, &m)
	}
	for _, t := range r.Tools {
		describeTool(&b, &t)
	}
	describeControls(&b, r)
	return b.String()
}

// roleNames are the roles in descriptions.
var roleNames = map[agent.Role]string{agent.System: "system", agent.User: "user", agent.Assistant: "assistant", agent.ToolRole: "tool"}

// describeMessage writes the role, and each part and call on a line of its own.
func describeMessage(b *strings.Builder, m *agent.Message) {
	b.WriteString(roleNames[m.Role])
	if m.CallID != "" {
		b.WriteString(" " + m.CallID)
	}
	if m.Name != "" {
		fmt.Fprintf(b, " name=%s", m.Name)
	}
	if m.IsError {
		b.WriteString(" error")
	}
	b.WriteByte('\n')
	for _, p := range m.Parts {
		switch {
		// A fault of a file is told without its words, which name the member that only one surface
		// has.
		case p.File != nil && p.File.Fault != nil:
			b.WriteString("  a file that can't be used\n")
		case p.File != nil:
			fmt.Fprintf(b, "  file %s of %d bytes\n", p.File.Name, len(p.File.Data))
		case p.Image == nil:
			fmt.Fprintf(b, "  %q\n", p.Text)
		case p.Image.Fault != nil:
			fmt.Fprintf(b, "  image that can't be used: %v\n", p.Image.Fault)
		case p.Image.URL != "":
			fmt.Fprintf(b, "  image at %s\n", p.Image.URL)
		default:
			fmt.Fprintf(b, "  image of %d bytes, %s\n", len(p.Image.Data), p.Image.MIME)
		}
	}
	for _, c := range m.Calls {
		fmt.Fprintf(b, "  call %s %s %s\n", c.ID, c.Name, c.Arguments)
	}
}

// describeTool writes a tool in one line, its schema included.
func describeTool(b *strings.Builder, t *agent.Tool) {
	fmt.Fprintf(b, "offers %s", t.Name)
	if t.Strict {
		b.WriteString(" strict")
	}
	if t.Description != "" {
		fmt.Fprintf(b, " %q", t.Description)
	}
	if t.Parameters != nil {
		b.WriteString(" " + oneLine(t.Parameters))
	}
	b.WriteByte('\n')
}

// describeControls writes what the request asks of its answer; defaults are left out.
func describeControls(b *strings.Builder, r *agent.Request) {
	// The words are the case files' own, the same for every surface.
	modes := map[agent.ToolMode]string{agent.ToolsAuto: "auto", agent.ToolsNone: "none", agent.ToolsRequired: "required"}
	if r.ToolChoice.Mode != agent.ToolsAuto || len(r.ToolChoice.Names) > 0 {
		fmt.Fprintf(b, "tool choice %s %s\n", modes[r.ToolChoice.Mode], strings.Join(r.ToolChoice.Names, " "))
	}
	if r.SerialToolCalls {
		b.WriteString("one call at a time\n")
	}
	switch r.Format.Kind {
	case agent.JSONObject:
		b.WriteString("answers a JSON object\n")
	case agent.JSONSchema:
		fmt.Fprintf(b, "answers JSON %s strict=%v %q %s\n", r.Format.Name, r.Format.Strict, r.Format.Description, oneLine(r.Format.Schema))
	}
	if r.MaxOutputTokens > 0 {
		fmt.Fprintf(b, "at most %d tokens\n", r.MaxOutputTokens)
	}
	for _, s := range r.Stop {
		fmt.Fprintf(b, "stops at %q\n", s)
	}
	if r.Effort != "" {
		fmt.Fprintf(b, "effort %s\n", r.Effort)
	}
}

// oneLine is raw without line breaks and needless space. What can't be compacted is returned as
// it is, so that a surface which lets bad JSON through shows.
func oneLine(raw json.RawMessage) string {
	compact, err := json.Marshal(raw)
	if err != nil {
		return string(raw)
	}
	return string(compact)
}
