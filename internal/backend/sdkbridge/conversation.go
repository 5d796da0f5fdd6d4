package sdkbridge

import (
	"crypto/sha256"
	"encoding/binary"

	"composer-api/internal/agent"
)

// A conversation is an agent after so many runs. The agent goes on with every run, so a
// conversation can be continued from its newest state alone: once it was, it is lost for
// everybody else who holds it. It keeps no key and no text. It is immutable; whether it can
// still be continued, claim decides.
type conversation struct {
	agent *bridgeAgent
	runs  int // of the agent, when this conversation was made
}

// ID implements agent.Conversation.
func (c *conversation) ID() string { return c.agent.id }

// Size implements agent.Conversation. What was said lies in the bridge's folder, not here.
func (c *conversation) Size() int {
	const about = 256
	return about
}

// MarshalBinary implements agent.Conversation. An agent ends with its pool's home, so there is
// nothing to write down. So after a restart the gateway starts from the transcript.
func (c *conversation) MarshalBinary() ([]byte, error) {
	return nil, &agent.Error{Code: agent.ConversationLost}
}

// A setup is what an agent is created with and can't be changed later. Another one means another agent.
type setup [sha256.Size]byte

// setupOf identifies the owner, the model and the tools of a request. The key is part of it,
// because the agent was created with it. It is hashed, and nothing else is kept of it.
func setupOf(req *agent.Request) setup {
	h := sha256.New()
	add := func(b []byte) {
		var size [8]byte
		binary.LittleEndian.PutUint64(size[:], uint64(len(b)))
		h.Write(size[:])
		h.Write(b)
	}
	add([]byte(req.Caller.Owner))
	add([]byte(req.Caller.CursorKey.Reveal()))
	add([]byte(req.Model.String()))
	for _, tool := range req.Offered() {
		add([]byte(tool.Name))
		add([]byte(tool.Description))
		add(tool.Parameters)
	}
	return setup(h.Sum(nil))
}
