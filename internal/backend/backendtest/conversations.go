package backendtest

import (
	"testing"

	"composer-api/internal/agent"
)

// The exam's cases about conversations: what is left of a run that ended well, and how
// another run goes on from there with the new messages alone.
//
//	first run  ── Done.Conversation ──► req.Continue, req.New ──► second run: only req.Messages[New:] go up

// converse has a first turn and returns its conversation and the request for the second.
// It skips the test for backends that can't continue one.
//
// What was said before is in the conversation, so of the second request only the last message is
// new.
func (e exam) converse(t *testing.T, b agent.Backend) (agent.Conversation, *agent.Request) {
	t.Helper()
	if e.features.NoConversation {
		t.Skip("this backend can't continue a conversation")
	}
	first := collect(t, e.run(t, b, Request("hello")), agent.Stop)
	if first.Done.Conversation == nil || first.Done.Conversation.ID() == "" || first.Done.Conversation.Size() <= 0 {
		t.Fatalf("no conversation to continue: %+v", first.Done)
	}
	req := Request("hello")
	req.Messages = append(req.Messages,
		agent.Message{Role: agent.Assistant, Parts: []agent.Part{{Text: first.Text}}},
		agent.Message{Role: agent.User, Parts: []agent.Part{{Text: "and now?"}}})
	return first.Done.Conversation, req
}

// twoTurns is a script whose second answer shows which messages reached the model.
const twoTurns = "turn when not continued\nset-blob b kept\ncheckpoint 100 200000\ntext one\nturn times 2 when continued\ntext two heard {prompt}\n"

// continued: only what is new reaches upstream, and the same state can be continued twice, as when a user
// goes back and asks something else.
func (e exam) continued(t *testing.T) {
	b := e.backend(t, twoTurns)
	c, req := e.converse(t, b)
	times := 2 // a conversation may be continued twice
	if e.features.ContinueOnce {
		times = 1
	}
	for range times {
		req.Continue, req.New = c, 2
		wantText(t, collect(t, e.run(t, b, req), agent.Stop).Text, "two heard and now?")
	}
}

// continueOnce: a conversation that has gone on is lost for whoever holds an older state of it.
func (e exam) continueOnce(t *testing.T) {
	if !e.features.ContinueOnce {
		t.Skip("this backend can continue a conversation more than once")
	}
	b := e.backend(t, twoTurns)
	c, req := e.converse(t, b)
	req.Continue, req.New = c, 2
	collect(t, e.run(t, b, req), agent.Stop)
	run, err := b.Start(t.Context(), req)
	if err == nil {
		defer run.Close()
		_, err = Collect(t.Context(), run)
	}
	if agent.CodeOf(err) != agent.ConversationLost {
		t.Errorf("got %v, want %v", err, agent.ConversationLost)
	}
}

// restored: a conversation's bytes are enough to continue it in another process.
//
// Foreign bytes, such as those of another version of this program, have to be refused and must not
// panic.
func (e exam) restored(t *testing.T) {
	b := e.backend(t, twoTurns)
	c, req := e.converse(t, b)
	restorer, ok := b.(agent.Restorer)
	if !ok {
		t.Skip("this backend's conversations live in memory only")
	}
	data, err := c.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	restored, err := restorer.Restore(data)
	if err != nil || restored.ID() != c.ID() {
		t.Fatalf("restored %v, %v", restored, err)
	}
	req.Continue, req.New = restored, 2
	wantText(t, collect(t, e.run(t, b, req), agent.Stop).Text, "two heard and now?")
	if _, err := restorer.Restore([]byte("something else")); agent.CodeOf(err) != agent.ConversationLost {
		t.Errorf("foreign bytes: %v", err)
	}
}

// lost: a conversation of another backend fails with ConversationLost, from Start or Next, so that the
// gateway begins again from the transcript.
func (e exam) lost(t *testing.T) {
	b := e.backend(t, "turn always\ntext ok\n")
	req := Request("hello")
	req.Continue, req.New = FakeConversation("foreign"), 0
	run, err := b.Start(t.Context(), req)
	if err == nil {
		defer run.Close()
		_, err = Collect(t.Context(), run)
	}
	if agent.CodeOf(err) != agent.ConversationLost {
		t.Errorf("got %v, want %v", err, agent.ConversationLost)
	}
}
