package cursorsim

import (
	"encoding/json"
	"sync"

	"google.golang.org/protobuf/proto"

	"composer-api/internal/cursor/pb"
)

// conversations is what the simulator remembers of each conversation, by its id. The conversation
// itself lives with the client, in the checkpoint and its blobs, as it does with the real server. This
// is for checking, and so that a resumed run still knows its prompt. mu protects the map; each
// conversation has a lock of its own.
type conversations struct {
	// mu guards the map alone. keep is how many conversations are remembered.
	mu   sync.Mutex
	keep int
	oldest[string, *conversation]
}

// A conversation is shared by all runs that name its id, also by two at the same time. mu
// protects all fields. A new message can be answered without it: a restarted simulator takes
// the conversation up from the client's state.
type conversation struct {
	// mu is never held while something is written to a client.
	mu          sync.Mutex
	blobKey     string                     // hash
	checkpoints oldest[string, checkpoint] // those sent, as stateHash names them
	attempts    map[string]int             // streams by run id
	names       map[string][]byte          // blob ids by a script's names
}

// A checkpoint is what a run that resumes from it has to know. It is the checkpoint's and not the conversation's: two runs may be
// at work in one conversation.
type checkpoint struct {
	prompt string // of the user's message
	said   string // of the answer to it, up to here
	// images is how many came with the prompt.
	images int
}

// checkpointsKept is how many checkpoints of a conversation are remembered. It is more than one,
// because a client may go back to an earlier one, to try its last message again.
const checkpointsKept = 64

// stateHash names a conversation state, however its fields are ordered on the wire. Fields that this
// program does not know count, too: a client has to send back the bytes that it was given.
func stateHash(state *pb.ConversationState) string {
	data, err := marshal(state)
	if err != nil {
		return ""
	}
	return string(blobID(data))
}

// of returns the conversation of an id. One that is not known, or was forgotten, begins again.
func (c *conversations) of(id string) *conversation {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.items[id]; ok {
		return known
	}
	fresh := &conversation{attempts: map[string]int{}, names: map[string][]byte{}}
	c.add(id, fresh, c.keep)
	return fresh
}

// turnBlob is what the simulator has a client keep for one turn. The real content is unknown to
// clients, and they must not look at it.
type turnBlob struct {
	// A number and both sides of the turn, so that a test can see which turns a client has kept.
	Turn   int    `json:"turn"`
	User   string `json:"user"`
	Answer string `json:"answer"`
}

// excerpt is the beginning of a text: blobs prove that a client keeps them, they need not be large.
func excerpt(s string) string {
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return s
}

// getBlob asks for bytes that the client was given, and waits; a miss fails the run. The miss
// is the error; see errBlob.
func (p *run) getBlob(id []byte) error {
	g, err := p.blobs.get(id)
	if err == nil {
		err = p.await("the answer to get_blob", func() bool { return g.done })
	}
	if err == nil {
		err = g.miss
	}
	return err
}

// fetchState asks for the blobs that the checkpoint of a continued conversation names: its prompt and
// its last four turns. A real server needs them to build the model's input. One that is missing fails
// the run, see errBlob.
func (p *run) fetchState(state *pb.ConversationState) error {
	turns := state.GetTurns()
	if len(turns) > 4 {
		// Four are enough to see that a client keeps them; a real server may ask for more.
		turns = turns[len(turns)-4:]
	}
	for _, ids := range [][][]byte{state.GetRootPromptMessagesJson(), turns} {
		for _, id := range ids {
			if err := p.getBlob(id); err != nil {
				return err
			}
		}
	}
	// A copy, because the request's own is in the journal.
	p.state = proto.CloneOf(state)
	return nil
}

// sendCheckpoint gives the client the conversation as it stands: the ids of its blobs, and its
// tokens. The blobs are set first, so that the client never holds a checkpoint that names bytes
// which it was not given. Zero used and limit are counted by the simulator. With
// Config.ContextOnly none is sent.
func (p *run) sendCheckpoint(used, limit int) error {
	if p.sim.config.ContextOnly {
		return nil
	}
	if len(p.state.RootPromptMessagesJson) == 0 {
		id, err := p.blobs.set([]byte(`{"role":"system","content":"You are simulated."}`))
		if err != nil {
			return err
		}
		p.state.RootPromptMessagesJson = [][]byte{id}
	}
	data, _ := json.Marshal(turnBlob{p.before + 1, excerpt(p.rec.Prompt), excerpt(p.updates.answer.String())})
	id, err := p.blobs.set(data)
	if err != nil {
		return err
	}
	// A later checkpoint of the same turn replaces the turn's blob.
	p.state.Turns = append(p.state.Turns[:p.before:p.before], id)
	if used == 0 {
		used, limit = int(p.prior+p.updates.tokens()), contextWindow
	}
	p.state.TokenDetails = &pb.ConversationTokenDetails{UsedTokens: uint32(used), MaxTokens: uint32(limit)}
	// A field that the client doesn't know. If it decodes and encodes the state, and loses the field on
	// the way, the next run's stateHash doesn't match.
	if p.wire.random != nil {
		p.state.ProtoReflect().SetUnknown(appendString(nil, 4002, "state of a newer server"))
	}
	p.conversation.mu.Lock()
	now := p.from
	now.said += p.updates.answer.String()
	p.conversation.checkpoints.add(stateHash(p.state), now, checkpointsKept)
	p.conversation.mu.Unlock()
	return p.wire.send(&pb.AgentServerMessage{Message: &pb.AgentServerMessage_ConversationCheckpointUpdate{
		ConversationCheckpointUpdate: p.state,
	}})
}

// contextWindow is composer-2.5's, in tokens.
const contextWindow = 200_000
