package control

import (
	"context"
	"fmt"
	"strings"

	"composer-api/internal/agent"
)

// mustCall reports whether the turn must end in a tool call.
func (t *Turn) mustCall() bool { return t.req.ToolChoice.Mode == agent.ToolsRequired }

// withoutCall handles the end of a turn that should have ended in a call: the model is told so once.
//
// The text of the attempt is dropped unless the client has got it: the answer that was asked for is a call.
func (r *Run) withoutCall(ctx context.Context, done *agent.Done) error {
	if r.turn.repaired(agent.RepairToolChoice) {
		return &agent.Error{
			Code: agent.ToolChoiceUnmet, Final: true,
			Message: "The model did not call the tool that 'tool_choice' asks for, also after it was asked again. Say in your message when to call it, or let the model choose.",
		}
	}
	return r.repair(ctx, agent.RepairToolChoice, done, callNow(r.turn.req.Offered()))
}

// maxNamed bounds how many tools a corrective message names.
const maxNamed = 50

// callNow tells the model to call one of tools. Where one tool is left, it is named; the model
// can't be forced, only told.
func callNow(tools []agent.Tool) string {
	if len(tools) == 1 {
		return fmt.Sprintf("You have not called the tool %q, which this answer must do. Call it now. Don't answer in text, and don't write the call as text.", tools[0].Name)
	}
	var names []string
	for i := range tools[:min(len(tools), maxNamed)] {
		names = append(names, tools[i].Name)
	}
	return "You have called no tool, which this answer must do. Call one of these tools now: " + strings.Join(names, ", ") + ". Don't answer in text, and don't write the call as text."
}
