package cursorsim

import (
	"composer-api/internal/cursor/pb"
	"composer-api/internal/sim/script"
)

// The steps of a script, as a run on the local-agent endpoint plays them. What the other
// endpoint makes of the same steps is chatRun.do in chat.go.

// do plays one step of the script. A step that has no case here is skipped. An error ends the
// run: it may be one that the step asks for (errCut, scriptError), or a failed write. Most
// steps return as soon as their messages are written; calls, queries, blobs that are asked for,
// delays and holds wait for the client or for time.
func (p *run) do(step script.Step) error {
	switch s := step.(type) {
	case script.Text:
		return p.updates.text(s.Text, s.Notice)
	case script.Think:
		return p.updates.think(s.Text)
	case script.Calls:
		return p.doCalls(s)
	case script.Abort:
		return p.execs.abort(s.N)
	case script.Mirror:
		return p.updates.mirrorOnly(s)
	case script.Query:
		return p.query(s.Kind)
	case script.Exec:
		return p.askUnknown(s.Field)

	// The name is the script's alone: the protocol knows a blob by its hash.
	case script.SetBlob:
		id, err := p.blobs.set([]byte(s.Text))
		p.name(s.Name, id)
		return err
	case script.GetBlob:
		return p.getNamed(s.Name)
	case script.Checkpoint:
		return p.sendCheckpoint(s.Used, s.Max)
	case script.Tokens:
		return p.updates.send(&pb.InteractionUpdate{Message: &pb.InteractionUpdate_TokenDelta{
			TokenDelta: &pb.TokenDelta{Tokens: int32(s.N)},
		}})
	case script.Usage:
		p.updates.usage = &s
		return nil
	case script.TurnEnded:
		return p.updates.endTurn(p.prior)

	case script.AskTools:
		return p.askTools()
	// A delay lasts with heartbeats, as a model that thinks; a stall is silent, so that the
	// client's own time limit is tried.
	case script.Delay:
		if s.For == 0 {
			return nil
		}
		return p.pause(s.For, true)
	case script.Hold:
		return p.pause(s.For, true)
	case script.Stall:
		return p.pause(s.For, false)
	// Cut breaks the connection; drop ends the stream properly, but before the turn's end.
	case script.Cut:
		return errCut
	case script.Drop:
		return errDrop
	case script.Error:
		return scriptError{endErrorOf(s)}
	case script.Garbage:
		return p.garbage(s.Kind)
	case script.Unknown:
		return p.unknown()
	case script.Frames:
		// Bytes that the old mode has kept back go first, or they would stand behind what comes
		// next.
		err := p.wire.flushHeld()
		p.wire.frames = s.How
		return err
	case script.Gzip:
		p.wire.compress = s.On
		return nil
	}
	return nil
}

// garbage sends bytes that are no message, and ends the run. Only after "length" the stream stays open:
// the client waits for the bytes that were promised, and it is for the client to give up.
func (p *run) garbage(kind string) error {
	if err := p.wire.garbage(kind); err != nil {
		return err
	}
	if kind == "length" {
		return p.pause(0, false)
	}
	return errGarbage
}

// unknown sends a message, an update and a field that no client knows. Clients must skip all
// three and go on.
func (p *run) unknown() error {
	if err := p.wire.frame(0, unknownMessage()); err != nil {
		return err
	}
	if err := p.wire.frame(0, unknownUpdate()); err != nil {
		return err
	}
	// A heartbeat, so that the unknown field stands beside a known one.
	known := appendMessage(nil, 1, appendMessage(nil, 13, nil))
	return p.wire.frame(0, appendString(known, 4000, "from a newer server"))
}

// name remembers a blob by the script's name for it. It takes the conversation's lock. It does
// so also when the blob could not be sent; the run ends then anyway.
func (p *run) name(name string, id []byte) {
	p.conversation.mu.Lock()
	defer p.conversation.mu.Unlock()
	p.conversation.names[name] = id
}

// getNamed asks for a blob by the script's name for it, and waits. The conversation's lock is not held
// while it waits.
func (p *run) getNamed(name string) error {
	p.conversation.mu.Lock()
	id := p.conversation.names[name]
	p.conversation.mu.Unlock()
	// The script is wrong, and not the client. So the error names the script.
	if id == nil {
		return scriptError{&endError{Code: "invalid_argument", Message: "the script gave no blob of the name " + name}}
	}
	return p.getBlob(id)
}
